//! The matrix: a table per section, a column per run.

use crate::report::common::matrix::{Column, Matrix};
use crate::report::common::row_status::Standing;
use crate::report::common::sanitize::one_line;
use crate::report::markdown::escape::{Table, code, escape};
use crate::report::markdown::{anchor, headings};
use crate::results::model::RowResult;

/// All sections, in the order of the tables. Cells of rows that are `linked` lead to their evidence.
pub(super) fn render(matrix: &Matrix<'_>, linked: impl Fn(&RowResult) -> bool) -> String {
    let mut out = String::from("## Matrix\n");
    for section in &matrix.sections {
        let mut table = Table::new(std::iter::once("Row".to_owned()).chain(headings(matrix)).collect());
        for line in &section.lines {
            let title = format!("{}<br><sub>{}</sub>", escape(line.title), code(line.id));
            let cells = matrix.columns.iter().zip(&line.cells).map(|(column, row)| cell(column, *row, &linked));
            table.row(std::iter::once(title).chain(cells).collect());
        }
        out.push_str(&format!("\n### {}\n\n{}", escape(section.title), table.finish()));
    }
    out
}

fn cell(column: &Column<'_>, row: Option<&RowResult>, linked: &impl Fn(&RowResult) -> bool) -> String {
    let Some(row) = row else { return "— not run".to_owned() };
    let standing = Standing::of(row);
    let mut seen = format!("{} {}", standing.mark(), row.observed());
    if standing == Standing::Contradicts {
        seen = format!("**{seen}**");
    }
    if linked(row) {
        seen = format!("[{seen}](#{})", anchor(&column.heading, &row.id));
    }
    let claim = match (&row.claim, standing) {
        (None, _) => "no claim".to_owned(),
        (Some(claim), Standing::Silent) => format!("claimed {}, silent", claim.status.word()),
        (Some(claim), _) => format!("claimed {}", claim.status.word()),
    };
    // Honoured in another way than documented is no plain tick.
    let altered = row.verdict.qualifiers.iter().find(|told| told.starts_with("altered: "));
    let altered = altered.map_or(String::new(), |told| format!("; {}", escape(&one_line(told))));
    format!("{seen}<br><sub>{claim}{altered}</sub>")
}
