//! A proof as Markdown, for documents that carry the kill rate.

use crate::report::common::mutation_phrases;
use crate::report::markdown::escape::{Table, code, escape};
use crate::results::mutation::Proof;

/// The text.
pub fn render(proof: &Proof) -> String {
    let mut out = format!("# Every row can fail\n\n**{}**\n", escape(&mutation_phrases::total(proof)));
    out.push_str("\n## What makes it trustworthy\n\n");
    for ground in &proof.grounds {
        for (holds, line) in mutation_phrases::soundness(ground) {
            out.push_str(&format!("- {} {}: {}\n", mark(holds), code(&ground.target), escape(&line)));
        }
    }
    out.push_str("\n## Rows\n\n");
    let header = ["", "row", "reached", "killed", "changes along"];
    let mut table = Table::new(header.map(str::to_owned).to_vec());
    for row in &proof.rows {
        table.row(vec![
            mark(row.passed()).to_owned(),
            code(&row.id),
            escape(&mutation_phrases::statuses(row)),
            mutation_phrases::killed(row),
            mutation_phrases::followers(row).iter().map(|row| escape(row)).collect::<Vec<_>>().join(", "),
        ]);
    }
    out.push_str(&table.finish());
    if proof.rows.iter().any(mutation_phrases::has_negatives) {
        out.push_str(&format!("\n{}\n", escape(mutation_phrases::NEGATIVES)));
    }
    for row in proof.rows.iter().filter(|row| !row.passed()) {
        out.push_str(&format!("\n### {}\n\n", code(&row.id)));
        for (told, below) in mutation_phrases::failures(row) {
            out.push_str(&format!("- {}\n", escape(&told)));
            below.iter().for_each(|line| out.push_str(&format!("  - {}\n", escape(line))));
        }
    }
    out
}

fn mark(holds: bool) -> &'static str {
    if holds { "✓" } else { "✗" }
}
