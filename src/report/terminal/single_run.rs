//! One run: one table per section with claim, verdict, outcome and reason.
//!
//! On a wide terminal, the reason is a column. On a narrow one, it is below its row and uses the whole
//! width.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::phrases;
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::sanitize_line;
use crate::report::terminal::color::{TextColor, colorize};
use crate::report::terminal::style::{TerminalStyle, row_color};
use crate::report::terminal::table::{COLUMN_GAP, FixedTable, max_width};
use crate::results::model::RowResult;

const INDENT_WIDTH: usize = 2;
/// `unsupported`, `substituted`.
const CLAIM_WIDTH: usize = 11;
/// `inconclusive`.
const OBSERVED_WIDTH: usize = 12;
/// `? undetermined`.
const OUTCOME_WIDTH: usize = 14;
/// Reasons are hard to read in a narrower column.
const MIN_REASON_WIDTH: usize = 44;
/// Longer lines are hard to read.
const MAX_REASON_WIDTH: usize = 100;

/// Where reasons are shown.
enum ReasonPlacement {
    Column,
    Below,
}

/// The tables of the run.
pub(super) fn render(matrix: &ResultsMatrix<'_>, style: TerminalStyle) -> String {
    let lines = || matrix.sections.iter().flat_map(|section| &section.rows);
    let titles: Vec<String> = lines().map(|line| sanitize_line(line.title)).collect();
    let fixed_width = INDENT_WIDTH + CLAIM_WIDTH + OBSERVED_WIDTH + OUTCOME_WIDTH + 3 * COLUMN_GAP;
    let title = max_width(titles.iter().map(String::as_str)).clamp(3, style.table_width() - fixed_width);
    let rest = (style.table_width() - fixed_width - title).saturating_sub(COLUMN_GAP);
    let (placement, table) = if rest >= MIN_REASON_WIDTH {
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

    let mut out = String::new();
    for section in &matrix.sections {
        out.push_str(&style.render_heading(&sanitize_line(section.title)));
        out.push_str(&table.render_row(header_cells(&placement)));
        out.push_str(&table.render_rule(style.stroke()));
        for line in &section.rows {
            for row in line.cells.iter().copied().flatten() {
                let mut cells = row_cells(row, line.title, style);
                let reason = render_reason(row);
                match placement {
                    ReasonPlacement::Column => {
                        cells.push(reason);
                        out.push_str(&table.render_row(cells));
                    }
                    ReasonPlacement::Below => {
                        out.push_str(&table.render_row(cells));
                        out.push_str(&style.render_paragraph(2 * INDENT_WIDTH, reason));
                    }
                }
            }
        }
    }
    out
}

fn header_cells(placement: &ReasonPlacement) -> Vec<String> {
    let mut header = vec!["Row", "Claim", "Observed", "Outcome"];
    match placement {
        ReasonPlacement::Column => header.push("Why"),
        ReasonPlacement::Below => {}
    }
    header.into_iter().map(|word| colorize(TextColor::Dim, word)).collect()
}

fn row_cells(row: &RowResult, title: &str, style: TerminalStyle) -> Vec<String> {
    let status = RowStatus::from_row(row);
    let outcome = colorize(row_color(row), &format!("{} {}", style.mark(status), status.as_str()));
    let claim = row.claim.as_ref().map_or("", |claim| claim.status.as_str());
    vec![sanitize_line(title), claim.to_owned(), row.verdict_label().to_owned(), outcome]
}

/// The reason of the verdict, with the wording of the claim if the endpoint does something else.
fn render_reason(row: &RowResult) -> String {
    let claim = row.claim.as_ref().and_then(phrases::describe_claim);
    let why = sanitize_line(&phrases::reason(row));
    match (RowStatus::from_row(row), claim) {
        (RowStatus::Contradicts | RowStatus::Exceeds | RowStatus::Silent, Some(claim)) => {
            format!("{} Claimed: {}.", phrases::end_sentence(&why), sanitize_line(&claim))
        }
        (RowStatus::Contradicts | RowStatus::Exceeds | RowStatus::Silent | RowStatus::Undetermined, _) => why,
        // Expected verdicts are less important.
        (RowStatus::Conforms | RowStatus::Unclaimed, _) => colorize(TextColor::Dim, &why),
    }
}
