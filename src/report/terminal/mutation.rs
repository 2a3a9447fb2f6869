//! The results of `fieldtest check`: the controls, a table of rows, the failures, and the kill rate at the end.

use comfy_table::{ColumnConstraint, Width};

use crate::report::common::mutation_phrases;
use crate::report::common::mutation_phrases::mark;
use crate::report::common::sanitize::{sanitize_block, sanitize_line};
use crate::report::terminal::table::{max_width, new_fitted_table};
use crate::results::mutation::MutationReport;

/// The whole report for a terminal of this width.
pub fn render(report: &MutationReport, width: usize) -> String {
    let mut out = String::new();
    let mut print = |text: &str| {
        out.push_str(&sanitize_block(text));
        out.push('\n');
    };
    for subject in &report.grounds {
        print(&subject.target);
        for (holds, line) in mutation_phrases::describe_soundness(subject) {
            print(&format!("  {} {line}", mark(holds)));
        }
        print("");
    }
    let mut table = new_fitted_table(&["", "row", "reached", "killed", "changes too"], width, &[0, 1, 3]);
    let mut followers = Vec::new();
    for row in &report.rows {
        let row_followers = mutation_phrases::list_followers(row);
        table.add_row([
            mark(row.has_passed()).to_owned(),
            row.id.clone(),
            mutation_phrases::describe_statuses(row),
            mutation_phrases::format_killed(row),
            row_followers.join(", "),
        ]);
        followers.extend(row_followers);
    }
    // The list of ids is wrapped between the ids only. A comma and the padding need three columns.
    if let Some(column) = table.column_mut(4) {
        let widest = max_width(followers.iter().map(String::as_str)) + 3;
        let widest = u16::try_from(widest).unwrap_or(u16::MAX);
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(widest)));
    }
    print(&table.to_string());
    for row in report.rows.iter().filter(|row| !row.has_passed()) {
        print("");
        print(&format!("{} {}", mark(false), row.id));
        for (failure, details) in mutation_phrases::describe_failures(row) {
            print(&format!("    {}", sanitize_line(&failure)));
            details.iter().for_each(|line| print(&format!("      {}", sanitize_line(line))));
        }
    }
    print("");
    print(&mutation_phrases::describe_comparison(report));
    print(&format!("{} {}", mark(report.passed), mutation_phrases::summarise(report)));
    out
}
