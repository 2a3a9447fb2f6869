//! The comparison of each run with its baseline.

use crate::report::common::page::{BaselineEntryView, BaselineView, PageView};
use crate::report::markdown::escape::{MarkdownTable, code_span, escape, render_link};

/// A section for the runs with a baseline; empty without any.
pub(super) fn render(page: &PageView) -> String {
    let mut out = String::new();
    for baseline in &page.baselines {
        if out.is_empty() {
            out.push_str("## Comparison with a baseline\n");
        }
        if page.runs.len() > 1 {
            out.push_str(&format!("\n### {}\n", escape(&baseline.heading)));
        }
        out.push_str(&render_comparison(baseline));
    }
    out
}

fn render_comparison(baseline: &BaselineView) -> String {
    let mut out = format!("\nThe baseline is {}, compared on {}.", code_span(&baseline.file), escape(&baseline.date));
    if !baseline.counts.is_empty() {
        out.push_str(&format!(" {}.", baseline.counts));
    }
    out.push('\n');
    if !baseline.notes.is_empty() {
        out.push('\n');
        out.extend(baseline.notes.iter().map(|note| format!("- {}\n", escape(note))));
    }
    if baseline.entries.is_empty() {
        return out;
    }
    let header = ["Status", "Row or check", "Before", "Now", "Why", "Listed because"];
    let mut table = MarkdownTable::new(header.map(str::to_owned).to_vec());
    baseline.entries.iter().for_each(|entry| table.add_row(render_entry(entry)));
    out + "\n" + &table.finish()
}

fn render_entry(entry: &BaselineEntryView) -> Vec<String> {
    let status = if entry.is_failure { format!("**{}**", entry.status) } else { entry.status.to_owned() };
    let status = entry.cause.map_or(status.clone(), |cause| format!("{status}: {cause}"));
    let subject = format!("{}{}", if entry.is_finding { "finding " } else { "" }, code_span(&entry.id));
    let reason = render_link(entry.reason.as_deref().unwrap_or_default(), entry.href.as_deref());
    let until = entry.until.as_deref().map_or(String::new(), |day| format!(" (until {})", escape(day)));
    vec![status, subject, entry.before.to_owned(), entry.now.to_owned(), escape(&entry.why), format!("{reason}{until}")]
}
