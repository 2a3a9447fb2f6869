//! One run: a table per section with claim, observation, outcome and reason.
//!
//! Where the terminal is wide, the reason is a column; where a column for it would be a thin strip of words, it stands
//! below its row over the whole width.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::phrases;
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::table::{COLUMN_GAP, FixedTable, max_width};
use crate::report::terminal::{TerminalStyle, render_heading, status_color};
use crate::results::model::RowResult;

const INDENT_WIDTH: usize = 2;
/// `unsupported`, `substituted`.
const CLAIM_WIDTH: usize = 11;
/// `inconclusive`.
const OBSERVED_WIDTH: usize = 12;
/// `? undetermined`.
const OUTCOME_WIDTH: usize = 14;
/// The narrowest column in which reasons are still pleasant to read.
const MIN_REASON_WIDTH: usize = 44;
/// Longer lines are hard to follow with the eye.
const MAX_REASON_WIDTH: usize = 100;

/// Where reasons stand.
enum ReasonPlacement {
    Column,
    Below,
}

/// The tables of the only run.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let lines = || matrix.sections.iter().flat_map(|section| &section.rows);
    let titles: Vec<String> = lines().map(|line| sanitize_line(line.title)).collect();
    let taken = INDENT_WIDTH + CLAIM_WIDTH + OBSERVED_WIDTH + OUTCOME_WIDTH + 3 * COLUMN_GAP;
    let title = max_width(titles.iter().map(String::as_str)).clamp(3, style.table_width() - taken);
    let rest = (style.table_width() - taken - title).saturating_sub(COLUMN_GAP);
    let (why, grid) = if rest >= MIN_REASON_WIDTH {
        (
            ReasonPlacement::Column,
            FixedTable::new(
                INDENT_WIDTH,
                [title, CLAIM_WIDTH, OBSERVED_WIDTH, OUTCOME_WIDTH, rest.min(MAX_REASON_WIDTH)],
            ),
        )
    } else {
        (ReasonPlacement::Below, FixedTable::new(INDENT_WIDTH, [title, CLAIM_WIDTH, OBSERVED_WIDTH, OUTCOME_WIDTH]))
    };

    let below = FixedTable::paragraph(2 * INDENT_WIDTH, style.table_width());
    let mut out = String::new();
    for section in &matrix.sections {
        out.push_str(&render_heading(&sanitize_line(section.title), style));
        out.push_str(&grid.render_row(header_cells(&why)));
        out.push_str(&grid.render_rule(style.stroke()));
        for line in &section.rows {
            for row in line.cells.iter().copied().flatten() {
                let mut cells = row_cells(row, line.title, style);
                let reason = render_reason(row);
                match why {
                    ReasonPlacement::Column => {
                        cells.push(reason);
                        out.push_str(&grid.render_row(cells));
                    }
                    ReasonPlacement::Below => {
                        out.push_str(&grid.render_row(cells));
                        out.push_str(&below.render_row(vec![reason]));
                    }
                }
            }
        }
    }
    out
}

fn header_cells(why: &ReasonPlacement) -> Vec<String> {
    let mut header = vec!["Row", "Claim", "Observed", "Outcome"];
    match why {
        ReasonPlacement::Column => header.push("Why"),
        ReasonPlacement::Below => {}
    }
    header.into_iter().map(|word| colorize(TextColor::Dim, word)).collect()
}

fn row_cells(row: &RowResult, title: &str, style: TerminalStyle) -> Vec<String> {
    let standing = RowStatus::from_row(row);
    let outcome = colorize(status_color(standing), &format!("{} {}", style.mark(standing), standing.as_str()));
    let claim = row.claim.as_ref().map_or("", |claim| claim.status.as_str());
    vec![sanitize_line(title), claim.to_owned(), row.verdict_label().to_owned(), outcome]
}

/// The verdict's reason. The document's own words stand beside it where the endpoint does otherwise.
fn render_reason(row: &RowResult) -> String {
    let said = row.claim.as_ref().and_then(phrases::describe_claim);
    let why = sanitize_line(&phrases::reason(row));
    match (RowStatus::from_row(row), said) {
        (RowStatus::Contradicts | RowStatus::Exceeds | RowStatus::Silent, Some(said)) => {
            format!("{why} Claimed: {}.", sanitize_line(&said))
        }
        (RowStatus::Contradicts | RowStatus::Exceeds | RowStatus::Silent | RowStatus::Undetermined, _) => why,
        // What is as expected stands back.
        (RowStatus::Conforms | RowStatus::Unclaimed, _) => colorize(TextColor::Dim, &why),
    }
}
