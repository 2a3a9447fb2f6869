//! The matrix: a table per section, a column per run.

use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::markdown::escape::{MarkdownTable, code_span, escape};
use crate::report::markdown::{escaped_headings, row_anchor};
use crate::results::model::RowResult;

/// All sections, in the order of the tables. Cells of rows that are `linked` lead to their evidence.
pub(super) fn render(matrix: &ResultsMatrix<'_>, linked: impl Fn(&RowResult) -> bool) -> String {
    let mut out = String::from("## Matrix\n");
    for section in &matrix.sections {
        let mut table = MarkdownTable::new(std::iter::once("Row".to_owned()).chain(escaped_headings(matrix)).collect());
        for line in &section.rows {
            let title = format!("{}<br><sub>{}</sub>", escape(line.title), code_span(line.id));
            let cells = matrix.columns.iter().zip(&line.cells).map(|(column, row)| render_cell(column, *row, &linked));
            table.add_row(std::iter::once(title).chain(cells).collect());
        }
        out.push_str(&format!("\n### {}\n\n{}", escape(section.title), table.finish()));
    }
    out
}

fn render_cell(column: &MatrixColumn<'_>, row: Option<&RowResult>, linked: &impl Fn(&RowResult) -> bool) -> String {
    let Some(row) = row else { return "— not run".to_owned() };
    let standing = RowStatus::from_row(row);
    let mut seen = format!("{} {}", standing.mark(), row.verdict_label());
    if standing == RowStatus::Contradicts {
        seen = format!("**{seen}**");
    }
    if linked(row) {
        seen = format!("[{seen}](#{})", row_anchor(&column.heading, &row.id));
    }
    let claim = match (&row.claim, standing) {
        (None, _) => "no claim".to_owned(),
        (Some(claim), RowStatus::Silent) => format!("claimed {}, silent", claim.status.as_str()),
        (Some(claim), _) => format!("claimed {}", claim.status.as_str()),
    };
    // Honoured in another way than documented is no plain tick.
    let altered = row.verdict.qualifiers.iter().find(|told| told.starts_with("altered: "));
    let altered = altered.map_or(String::new(), |told| format!("; {}", escape(&sanitize_line(told))));
    format!("{seen}<br><sub>{claim}{altered}</sub>")
}
