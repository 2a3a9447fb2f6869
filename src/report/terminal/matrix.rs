//! Several runs: a table per section with a column for each.
//!
//! A cell says what was observed; the claim stands below it where the two differ. Reasons are listed after the tables.

use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::terminal::color::{TextColor, colorize, use_no_break_spaces};
use crate::report::terminal::table::{COLUMN_GAP, FixedTable, max_width};
use crate::report::terminal::{TerminalStyle, render_heading, status_color};
use crate::results::model::RowResult;

const INDENT_WIDTH: usize = 2;
/// `? inconclusive`: a narrower column would break words.
const MIN_CELL_WIDTH: usize = 14;
/// `claimed unsupported`: a wider column is only wanted for a long name.
const PREFERRED_CELL_WIDTH: usize = 19;
const MIN_TITLE_WIDTH: usize = 16;
/// Most titles fit: claims may wrap before titles get narrower than this.
const PREFERRED_TITLE_WIDTH: usize = 30;

/// How columns are laid out: a width for titles, one for cells, and how many runs stand side by side.
pub(super) struct ColumnLayout {
    pub(super) title_width: usize,
    pub(super) cell_width: usize,
    pub(super) columns_per_table: usize,
}

impl ColumnLayout {
    /// The shape for these titles. Where not all runs fit abreast, the tables come in several goes.
    pub(super) fn new(titles: &[String], columns: &[MatrixColumn<'_>], style: TerminalStyle) -> Self {
        let width = style.table_width() - INDENT_WIDTH;
        let abreast = ((width - MIN_TITLE_WIDTH) / (MIN_CELL_WIDTH + COLUMN_GAP)).min(columns.len());
        let widest_title = max_width(titles.iter().map(String::as_str)).max(MIN_TITLE_WIDTH);
        let name = max_width(columns.iter().map(|column| column.heading.as_str()));
        let share = (width - widest_title.min(PREFERRED_TITLE_WIDTH)) / abreast - COLUMN_GAP;
        let cell = share.clamp(MIN_CELL_WIDTH, PREFERRED_CELL_WIDTH.max(name));
        let title = widest_title.min(width - abreast * (cell + COLUMN_GAP));
        Self { title_width: title, cell_width: cell, columns_per_table: abreast }
    }

    /// Title and `n` cells.
    pub(super) fn widths(&self, n: usize) -> impl Iterator<Item = usize> {
        std::iter::once(self.title_width).chain(std::iter::repeat_n(self.cell_width, n))
    }
}

/// The tables of all runs, and what the marks mean.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let lines = || matrix.sections.iter().flat_map(|section| &section.rows);
    let titles: Vec<String> = lines().map(|line| sanitize_line(line.title)).collect();
    let shape = ColumnLayout::new(&titles, &matrix.columns, style);
    let mut out = String::new();
    for (go, columns) in matrix.columns.chunks(shape.columns_per_table).enumerate() {
        let grid = FixedTable::new(INDENT_WIDTH, shape.widths(columns.len()));
        for section in &matrix.sections {
            out.push_str(&render_heading(&sanitize_line(section.title), style));
            let names = columns.iter().map(|column| colorize(TextColor::Bold, &column.heading));
            out.push_str(&grid.render_row(std::iter::once(colorize(TextColor::Dim, "Row")).chain(names).collect()));
            out.push_str(&grid.render_rule(style.stroke()));
            for line in &section.rows {
                let cells = line.cells.iter().skip(go * shape.columns_per_table).take(columns.len());
                let cells = cells.map(|cell| render_cell(*cell, style));
                out.push_str(&grid.render_row(std::iter::once(sanitize_line(line.title)).chain(cells).collect()));
            }
        }
    }
    out + &render_legend(style)
}

fn render_cell(cell: Option<&RowResult>, style: TerminalStyle) -> String {
    let Some(row) = cell else { return colorize(TextColor::Dim, style.not_run_label()) };
    let standing = RowStatus::from_row(row);
    let seen = colorize(status_color(standing), &format!("{} {}", style.mark(standing), row.verdict_label()));
    match (standing, &row.claim) {
        (RowStatus::Conforms | RowStatus::Unclaimed, _) | (_, None) => seen,
        (RowStatus::Silent | RowStatus::Exceeds | RowStatus::Contradicts | RowStatus::Undetermined, Some(claim)) => {
            format!("{seen}\n{}", colorize(TextColor::Dim, &format!("claimed {}", claim.status.as_str())))
        }
    }
}

fn render_legend(style: TerminalStyle) -> String {
    let marks = RowStatus::ALL.map(|standing| {
        colorize(
            status_color(standing),
            &use_no_break_spaces(&format!("{} {}", style.mark(standing), standing.as_str())),
        )
    });
    let grid = FixedTable::paragraph(INDENT_WIDTH, style.table_width());
    format!("\n{}", grid.render_row(vec![marks.join("  ")]))
}
