//! How each run stands to its baseline.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::phrases;
use crate::report::markdown::escape::{MarkdownTable, code_span, escape, render_link};
use crate::results::baseline::{BaselineComparison, BaselineEntry, EntryState, EntryStatus, EntrySubject};

/// A chapter for the runs that were held against a baseline; nothing where none was.
pub(super) fn render(matrix: &ResultsMatrix<'_>) -> String {
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
        out.push_str(&render_comparison(held));
    }
    out
}

fn render_comparison(held: &BaselineComparison) -> String {
    let mut out = format!("\nThe baseline is {}, held on {}.", code_span(&held.file), escape(&held.held_on));
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
    let mut table = MarkdownTable::new(header.map(str::to_owned).to_vec());
    for case in EntryStatus::ALL {
        for entry in held.entries_with_status(case) {
            table.add_row(render_entry(entry));
        }
    }
    out + "\n" + &table.finish()
}

fn render_entry(entry: &BaselineEntry) -> Vec<String> {
    let state = |state: Option<EntryState>| state.map_or("—", EntryState::as_str).to_owned();
    let case = match entry.case {
        EntryStatus::Regression | EntryStatus::Stale => format!("**{}**", phrases::entry_status(entry.case)),
        EntryStatus::Unconfirmed | EntryStatus::NotRun | EntryStatus::Expected => {
            phrases::entry_status(entry.case).to_owned()
        }
    };
    let case = entry.cause.map_or(case.clone(), |cause| format!("{case}: {}", cause.describe()));
    let about = match &entry.subject {
        EntrySubject::Row(id) => code_span(id),
        EntrySubject::Check(id) => format!("finding {}", code_span(id)),
    };
    let reason = entry.reason.as_deref().unwrap_or_default();
    let reason = render_link(reason, entry.link.as_deref());
    let until = entry.until.as_deref().map_or(String::new(), |day| format!(" (until {})", escape(day)));
    vec![case, about, state(entry.before), state(entry.now), escape(&entry.why), format!("{reason}{until}")]
}
