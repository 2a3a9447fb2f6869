//! The results of `fieldtest check`, for documents that state the kill rate.

use crate::report::common::mutation_phrases;
use crate::report::common::mutation_phrases::mark;
use crate::report::markdown::escape::{MarkdownTable, code_span, escape};
use crate::results::mutation::MutationReport;

/// The whole report.
pub fn render(report: &MutationReport) -> String {
    let mut out = format!("# Every row can fail\n\n**{}**\n", escape(&mutation_phrases::summarise(report)));
    out.push_str(&format!("\n{}\n", escape(&mutation_phrases::describe_comparison(report))));
    out.push_str("\n## Controls\n\n");
    for subject in &report.grounds {
        for (holds, line) in mutation_phrases::describe_soundness(subject) {
            out.push_str(&format!("- {} {}: {}\n", mark(holds), code_span(&subject.target), escape(&line)));
        }
    }
    out.push_str("\n## Rows\n\n");
    let header = ["", "row", "reached", "killed", "changes too"];
    let mut table = MarkdownTable::new(header.map(str::to_owned).to_vec());
    for row in &report.rows {
        table.add_row(vec![
            mark(row.has_passed()).to_owned(),
            code_span(&row.id),
            escape(&mutation_phrases::describe_statuses(row)),
            mutation_phrases::format_killed(row),
            mutation_phrases::list_followers(row).iter().map(|row| escape(row)).collect::<Vec<_>>().join(", "),
        ]);
    }
    out.push_str(&table.finish());
    for row in report.rows.iter().filter(|row| !row.has_passed()) {
        out.push_str(&format!("\n### {}\n\n", code_span(&row.id)));
        for (failure, details) in mutation_phrases::describe_failures(row) {
            out.push_str(&format!("- {}\n", escape(&failure)));
            details.iter().for_each(|line| out.push_str(&format!("  - {}\n", escape(line))));
        }
    }
    out
}
