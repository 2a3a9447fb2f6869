//! A proof as Markdown, for documents that carry the kill rate.

use super::{Proof, words};
use crate::report::markdown::text::{Table, code, escape};

/// The text.
pub fn render(proof: &Proof) -> String {
    let mut out = format!("# Every row can fail\n\n**{}**\n", escape(&words::total(proof)));
    out.push_str("\n## What makes it trustworthy\n\n");
    for ground in &proof.grounds {
        for (holds, line) in words::soundness(ground) {
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
            escape(&words::statuses(row)),
            words::killed(row),
            words::followers(row).iter().map(|row| escape(row)).collect::<Vec<_>>().join(", "),
        ]);
    }
    out.push_str(&table.finish());
    if proof.rows.iter().any(words::has_negatives) {
        out.push_str(&format!("\n{}\n", escape(words::NEGATIVES)));
    }
    for row in proof.rows.iter().filter(|row| !row.passed()) {
        out.push_str(&format!("\n### {}\n\n", code(&row.id)));
        for (told, below) in words::failures(row) {
            out.push_str(&format!("- {}\n", escape(&told)));
            below.iter().for_each(|line| out.push_str(&format!("  - {}\n", escape(line))));
        }
    }
    out
}

fn mark(holds: bool) -> &'static str {
    if holds { "✓" } else { "✗" }
}
