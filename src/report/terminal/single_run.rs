//! One run: a table per section with claim, observation, outcome and reason.
//!
//! Where the terminal is wide, the reason is a column; where a column for it would be a thin strip of words, it stands
//! below its row over the whole width.

use crate::report::common::matrix::Matrix;
use crate::report::common::phrases;
use crate::report::common::row_status::Standing;
use crate::report::common::sanitize::one_line;
use crate::report::terminal::color::{Ink, paint};
use crate::report::terminal::table::{GAP, Grid, widest};
use crate::report::terminal::{TerminalStyle, heading, ink_of};
use crate::results::model::RowResult;

const INDENT: usize = 2;
/// `unsupported`, `substituted`.
const CLAIM: usize = 11;
/// `inconclusive`.
const OBSERVED: usize = 12;
/// `? undetermined`.
const OUTCOME: usize = 14;
/// The narrowest column in which reasons are still pleasant to read.
const LEAST_WHY: usize = 44;
/// Longer lines are hard to follow with the eye.
const MOST_WHY: usize = 100;

/// Where reasons stand.
enum Why {
    Column,
    Below,
}

/// The tables of the only run.
pub(super) fn render(matrix: &Matrix<'_>, style: TerminalStyle) -> String {
    let lines = || matrix.sections.iter().flat_map(|section| &section.lines);
    let titles: Vec<String> = lines().map(|line| one_line(line.title)).collect();
    let taken = INDENT + CLAIM + OBSERVED + OUTCOME + 3 * GAP;
    let title = widest(titles.iter().map(String::as_str)).clamp(3, style.columns() - taken);
    let rest = (style.columns() - taken - title).saturating_sub(GAP);
    let (why, grid) = if rest >= LEAST_WHY {
        (Why::Column, Grid::new(INDENT, [title, CLAIM, OBSERVED, OUTCOME, rest.min(MOST_WHY)]))
    } else {
        (Why::Below, Grid::new(INDENT, [title, CLAIM, OBSERVED, OUTCOME]))
    };

    let below = Grid::paragraph(2 * INDENT, style.columns());
    let mut out = String::new();
    for section in &matrix.sections {
        out.push_str(&heading(&one_line(section.title), style));
        out.push_str(&grid.row(header(&why)));
        out.push_str(&grid.rule(style.stroke()));
        for line in &section.lines {
            for row in line.cells.iter().copied().flatten() {
                let mut cells = cells(row, line.title, style);
                let reason = reason(row);
                match why {
                    Why::Column => {
                        cells.push(reason);
                        out.push_str(&grid.row(cells));
                    }
                    Why::Below => {
                        out.push_str(&grid.row(cells));
                        out.push_str(&below.row(vec![reason]));
                    }
                }
            }
        }
    }
    out
}

fn header(why: &Why) -> Vec<String> {
    let mut header = vec!["Row", "Claim", "Observed", "Outcome"];
    match why {
        Why::Column => header.push("Why"),
        Why::Below => {}
    }
    header.into_iter().map(|word| paint(Ink::Dim, word)).collect()
}

fn cells(row: &RowResult, title: &str, style: TerminalStyle) -> Vec<String> {
    let standing = Standing::of(row);
    let outcome = paint(ink_of(standing), &format!("{} {}", style.mark(standing), standing.word()));
    let claim = row.claim.as_ref().map_or("", |claim| claim.status.word());
    vec![one_line(title), claim.to_owned(), row.observed().to_owned(), outcome]
}

/// The verdict's reason. The document's own words stand beside it where the endpoint does otherwise.
fn reason(row: &RowResult) -> String {
    let said = row.claim.as_ref().and_then(phrases::claim_words);
    let why = one_line(&phrases::why(row));
    match (Standing::of(row), said) {
        (Standing::Contradicts | Standing::Exceeds | Standing::Silent, Some(said)) => {
            format!("{why} Claimed: {}.", one_line(&said))
        }
        (Standing::Contradicts | Standing::Exceeds | Standing::Silent | Standing::Undetermined, _) => why,
        // What is as expected stands back.
        (Standing::Conforms | Standing::Unclaimed, _) => paint(Ink::Dim, &why),
    }
}
