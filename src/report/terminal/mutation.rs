//! A proof as plain text: what makes it trustworthy, a table of rows, what is wrong, and the kill rate at the end.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, TableStyle};

use crate::report::common::{mutation_phrases, sanitize};
use crate::results::mutation::MutationReport;

/// The text, so many columns wide.
pub fn render(proof: &MutationReport, width: usize) -> String {
    let mut out = String::new();
    let mut say = |text: &str| {
        out.push_str(&sanitize::sanitize_block(text));
        out.push('\n');
    };
    for ground in &proof.grounds {
        say(&ground.target);
        for (holds, line) in mutation_phrases::describe_soundness(ground) {
            say(&format!("  {} {line}", mark(holds)));
        }
        say("");
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.clamp(60, 65_535) as u16);
    table.set_header(["", "row", "reached", "killed", "changes along"]);
    for row in &proof.rows {
        table.add_row([
            mark(row.has_passed()).to_owned(),
            row.id.clone(),
            mutation_phrases::describe_statuses(row),
            mutation_phrases::format_killed(row),
            mutation_phrases::list_followers(row).join(", "),
        ]);
    }
    // Ids and counts stay whole; what changes along takes the lines that it needs.
    for column in 0..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    say(&table.to_string());
    if proof.rows.iter().any(mutation_phrases::has_rejected_negatives) {
        say(mutation_phrases::REJECTED_NEGATIVE_NOTE);
    }
    for row in proof.rows.iter().filter(|row| !row.has_passed()) {
        say("");
        say(&format!("{} {}", mark(false), row.id));
        for (told, below) in mutation_phrases::describe_failures(row) {
            say(&format!("    {}", sanitize::sanitize_line(&told)));
            below.iter().for_each(|line| say(&format!("      {}", sanitize::sanitize_line(line))));
        }
    }
    say("");
    say(&format!("{} {}", mark(proof.passed), mutation_phrases::summarise(proof)));
    out
}

fn mark(holds: bool) -> &'static str {
    if holds { "✓" } else { "✗" }
}
