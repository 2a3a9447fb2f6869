//! How each run stands to its baseline.

use crate::report::common::matrix::Matrix;
use crate::report::common::phrases;
use crate::report::markdown::escape::{Table, code, escape, link};
use crate::results::baseline::{Case, Entry, Held, State, Subject};

/// A chapter for the runs that were held against a baseline; nothing where none was.
pub(super) fn render(matrix: &Matrix<'_>) -> String {
    let several = matrix.columns.len() > 1;
    let held = matrix.columns.iter().filter_map(|column| Some((column, column.run.baseline.as_ref()?)));
    let mut out = String::new();
    for (column, held) in held {
        if out.is_empty() {
            out.push_str("## Held against a baseline\n");
        }
        if several {
            out.push_str(&format!("\n### {}\n", escape(&column.heading)));
        }
        out.push_str(&chapter(held));
    }
    out
}

fn chapter(held: &Held) -> String {
    let mut out = format!("\nThe baseline is {}, held on {}.", code(&held.file), escape(&held.held_on));
    let counts: Vec<String> = phrases::baseline_counts(held).into_iter().map(|(_, told)| told).collect();
    if !counts.is_empty() {
        out.push_str(&format!(" {}.", counts.join(", ")));
    }
    out.push('\n');
    let notes = phrases::baseline_notes(held);
    if !notes.is_empty() {
        out.push('\n');
        out.extend(notes.iter().map(|note| format!("- {}\n", escape(note))));
    }
    if held.entries.is_empty() {
        return out;
    }
    let header = ["Case", "Row or check", "Before", "Now", "Why", "Listed because"];
    let mut table = Table::new(header.map(str::to_owned).to_vec());
    for case in Case::ALL {
        for entry in held.of_case(case) {
            table.row(row(entry));
        }
    }
    out + "\n" + &table.finish()
}

fn row(entry: &Entry) -> Vec<String> {
    let state = |state: Option<State>| state.map_or("—", State::word).to_owned();
    let case = match entry.case {
        Case::Regression | Case::Stale => format!("**{}**", phrases::case(entry.case)),
        Case::Unconfirmed | Case::NotRun | Case::Expected => phrases::case(entry.case).to_owned(),
    };
    let case = entry.cause.map_or(case.clone(), |cause| format!("{case}: {}", cause.words()));
    let about = match &entry.subject {
        Subject::Row(id) => code(id),
        Subject::Check(id) => format!("finding {}", code(id)),
    };
    let reason = entry.reason.as_deref().unwrap_or_default();
    let reason = link(reason, entry.link.as_deref());
    let until = entry.until.as_deref().map_or(String::new(), |day| format!(" (until {})", escape(day)));
    vec![case, about, state(entry.before), state(entry.now), escape(&entry.why), format!("{reason}{until}")]
}
