//! Several runs: one table per section, with one column per run.
//!
//! A cell has the verdict, and below it the claim if they differ. Reasons are listed after the tables.

use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::terminal::color::{TextColor, colorize, use_no_break_spaces};
use crate::report::terminal::style::{TerminalStyle, row_color, status_color};
use crate::report::terminal::table::{COLUMN_GAP, FixedTable, max_width};
use crate::results::model::RowResult;

const INDENT_WIDTH: usize = 2;
/// `? inconclusive`: a narrower column would break words.
const MIN_CELL_WIDTH: usize = 14;
/// `claimed unsupported`: only a long name needs a wider column.
const PREFERRED_CELL_WIDTH: usize = 19;
const MIN_TITLE_WIDTH: usize = 16;
/// Most titles fit. Claims are wrapped before titles get narrower.
const PREFERRED_TITLE_WIDTH: usize = 30;

/// The layout of columns: widths of titles and cells, and the number of runs side by side.
pub(super) struct ColumnLayout {
    pub(super) title_width: usize,
    pub(super) cell_width: usize,
    pub(super) columns_per_table: usize,
}

impl ColumnLayout {
    /// The layout for these titles. If not all runs fit, each section has several tables.
    pub(super) fn new(titles: &[String], columns: &[MatrixColumn<'_>], style: TerminalStyle) -> Self {
        let width = style.table_width() - INDENT_WIDTH;
        let columns_per_table = ((width - MIN_TITLE_WIDTH) / (MIN_CELL_WIDTH + COLUMN_GAP)).min(columns.len());
        let widest_title = max_width(titles.iter().map(String::as_str)).max(MIN_TITLE_WIDTH);
        let name = max_width(columns.iter().map(|column| column.heading.as_str()));
        let share = (width - widest_title.min(PREFERRED_TITLE_WIDTH)) / columns_per_table - COLUMN_GAP;
        let cell = share.clamp(MIN_CELL_WIDTH, PREFERRED_CELL_WIDTH.max(name));
        let title = widest_title.min(width - columns_per_table * (cell + COLUMN_GAP));
        Self { title_width: title, cell_width: cell, columns_per_table }
    }

    /// The widths of the title and of `n` cells.
    pub(super) fn widths(&self, n: usize) -> impl Iterator<Item = usize> {
        std::iter::once(self.title_width).chain(std::iter::repeat_n(self.cell_width, n))
    }
}

/// The tables of all runs, and the meaning of the marks.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let lines = || matrix.sections.iter().flat_map(|section| &section.rows);
    let titles: Vec<String> = lines().map(|line| sanitize_line(line.title)).collect();
    let layout = ColumnLayout::new(&titles, &matrix.columns, style);
    let mut out = String::new();
    for (nth, columns) in matrix.columns.chunks(layout.columns_per_table).enumerate() {
        let table = FixedTable::new(INDENT_WIDTH, layout.widths(columns.len()));
        for section in &matrix.sections {
            out.push_str(&style.render_heading(&sanitize_line(section.title)));
            let names = columns.iter().map(|column| colorize(TextColor::Bold, &column.heading));
            out.push_str(&table.render_row(std::iter::once(colorize(TextColor::Dim, "Row")).chain(names).collect()));
            out.push_str(&table.render_rule(style.stroke()));
            for line in &section.rows {
                let cells = line.cells.iter().skip(nth * layout.columns_per_table).take(columns.len());
                let cells = cells.map(|cell| render_cell(*cell, style));
                out.push_str(&table.render_row(std::iter::once(sanitize_line(line.title)).chain(cells).collect()));
            }
        }
    }
    out + &render_legend(style)
}

fn render_cell(cell: Option<&RowResult>, style: TerminalStyle) -> String {
    let Some(row) = cell else { return colorize(TextColor::Dim, style.not_run_label()) };
    let status = RowStatus::from_row(row);
    let verdict = colorize(row_color(row), &format!("{} {}", style.mark(status), row.verdict_label()));
    match (status, &row.claim) {
        (RowStatus::Conforms | RowStatus::Unclaimed, _) | (_, None) => verdict,
        (RowStatus::Silent | RowStatus::Exceeds | RowStatus::Contradicts | RowStatus::Undetermined, Some(claim)) => {
            format!("{verdict}\n{}", colorize(TextColor::Dim, &format!("claimed {}", claim.status.as_str())))
        }
    }
}

fn render_legend(style: TerminalStyle) -> String {
    let marks = RowStatus::ALL.map(|status| {
        colorize(status_color(status), &use_no_break_spaces(&format!("{} {}", style.mark(status), status.as_str())))
    });
    format!("\n{}", style.render_paragraph(INDENT_WIDTH, marks.join("  ")))
}
