//! Several runs: a table per section with a column for each.
//!
//! A cell says what was observed; the claim stands below it where the two differ. Reasons are listed after the tables.

use crate::report::common::matrix::{Column, Matrix};
use crate::report::common::row_status::Standing;
use crate::report::common::sanitize::one_line;
use crate::report::terminal::color::{Ink, paint, unbroken};
use crate::report::terminal::table::{GAP, Grid, widest};
use crate::report::terminal::{TerminalStyle, heading, ink_of};
use crate::results::model::RowResult;

const INDENT: usize = 2;
/// `? inconclusive`: a narrower column would break words.
const LEAST_CELL: usize = 14;
/// `claimed unsupported`: a wider column is only wanted for a long name.
const CELL: usize = 19;
const LEAST_TITLE: usize = 16;
/// Most titles fit: claims may wrap before titles get narrower than this.
const GOOD_TITLE: usize = 30;

/// How columns are laid out: a width for titles, one for cells, and how many runs stand side by side.
pub(super) struct Shape {
    pub(super) title: usize,
    pub(super) cell: usize,
    pub(super) abreast: usize,
}

impl Shape {
    /// The shape for these titles. Where not all runs fit abreast, the tables come in several goes.
    pub(super) fn of(titles: &[String], columns: &[Column<'_>], style: TerminalStyle) -> Self {
        let width = style.columns() - INDENT;
        let abreast = ((width - LEAST_TITLE) / (LEAST_CELL + GAP)).min(columns.len());
        let widest_title = widest(titles.iter().map(String::as_str)).max(LEAST_TITLE);
        let name = widest(columns.iter().map(|column| column.heading.as_str()));
        let share = (width - widest_title.min(GOOD_TITLE)) / abreast - GAP;
        let cell = share.clamp(LEAST_CELL, CELL.max(name));
        let title = widest_title.min(width - abreast * (cell + GAP));
        Self { title, cell, abreast }
    }

    /// Title and `n` cells.
    pub(super) fn widths(&self, n: usize) -> impl Iterator<Item = usize> {
        std::iter::once(self.title).chain(std::iter::repeat_n(self.cell, n))
    }
}

/// The tables of all runs, and what the marks mean.
pub(super) fn render(matrix: &Matrix<'_>, style: TerminalStyle) -> String {
    let lines = || matrix.sections.iter().flat_map(|section| &section.lines);
    let titles: Vec<String> = lines().map(|line| one_line(line.title)).collect();
    let shape = Shape::of(&titles, &matrix.columns, style);
    let mut out = String::new();
    for (go, columns) in matrix.columns.chunks(shape.abreast).enumerate() {
        let grid = Grid::new(INDENT, shape.widths(columns.len()));
        for section in &matrix.sections {
            out.push_str(&heading(&one_line(section.title), style));
            let names = columns.iter().map(|column| paint(Ink::Bold, &column.heading));
            out.push_str(&grid.row(std::iter::once(paint(Ink::Dim, "Row")).chain(names).collect()));
            out.push_str(&grid.rule(style.stroke()));
            for line in &section.lines {
                let cells = line.cells.iter().skip(go * shape.abreast).take(columns.len());
                let cells = cells.map(|cell| observed(*cell, style));
                out.push_str(&grid.row(std::iter::once(one_line(line.title)).chain(cells).collect()));
            }
        }
    }
    out + &legend(style)
}

fn observed(cell: Option<&RowResult>, style: TerminalStyle) -> String {
    let Some(row) = cell else { return paint(Ink::Dim, style.absent()) };
    let standing = Standing::of(row);
    let seen = paint(ink_of(standing), &format!("{} {}", style.mark(standing), row.observed()));
    match (standing, &row.claim) {
        (Standing::Conforms | Standing::Unclaimed, _) | (_, None) => seen,
        (Standing::Silent | Standing::Exceeds | Standing::Contradicts | Standing::Undetermined, Some(claim)) => {
            format!("{seen}\n{}", paint(Ink::Dim, &format!("claimed {}", claim.status.word())))
        }
    }
}

fn legend(style: TerminalStyle) -> String {
    let marks = Standing::ALL
        .map(|standing| paint(ink_of(standing), &unbroken(&format!("{} {}", style.mark(standing), standing.word()))));
    let grid = Grid::paragraph(INDENT, style.columns());
    format!("\n{}", grid.row(vec![marks.join("  ")]))
}
