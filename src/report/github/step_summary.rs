//! The summary of a step: the Markdown report, as far as it fits.
//!
//! GitHub accepts one mebibyte per step and rejects a larger summary completely. So whole sections are left
//! out until the rest fits; details are left out first.

use crate::report::common::page::PageView;
use crate::report::markdown;
use crate::report::markdown::ReportSection;
use crate::results::model::Results;

/// The maximum size of a summary on GitHub.
pub const MAX_SUMMARY_BYTES: usize = 1024 * 1024;

/// The summary in at most `room` bytes.
pub fn render(results: &[Results], room: usize) -> String {
    if results.is_empty() {
        return "Nothing was run.\n".to_owned();
    }
    let page = PageView::from_results(results);
    let mut shown: Vec<ReportSection> = ReportSection::ALL.to_vec();
    let mut left_out: Vec<&str> = Vec::new();
    // The last section is the least important.
    loop {
        let text = render_sections(&page, &shown, &left_out);
        if text.len() <= room {
            return text;
        }
        match shown.pop() {
            Some(section) => left_out.insert(0, section.title()),
            None => break,
        }
    }
    let note = "The results do not fit into this summary. See `matrix.md`.\n";
    if note.len() <= room { note.to_owned() } else { String::new() }
}

fn render_sections(page: &PageView, shown: &[ReportSection], left_out: &[&str]) -> String {
    let sections = shown.iter().map(|section| markdown::render_section(page, *section, shown));
    let mut text = sections.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    if !left_out.is_empty() {
        let note = format!(
            "\n> [!NOTE]\n> Left out, since it does not fit into this summary: {}. See `matrix.md`.\n",
            left_out.join(", ")
        );
        text.push_str(&note);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{ClaimStatus, VerdictStatus};
    use crate::results::fixtures;

    #[test]
    fn a_small_report_is_shown_completely() {
        fixtures::snapshot_settings().bind(|| {
            let results = [fixtures::every_outcome(), fixtures::second_run()];
            insta::assert_snapshot!("github-summary.md", render(&results, MAX_SUMMARY_BYTES));
        });
    }

    #[test]
    fn whole_sections_are_left_out_and_details_first() {
        let results = [fixtures::every_outcome(), fixtures::hostile_run()];
        let complete = render(&results, MAX_SUMMARY_BYTES);
        let mut before = usize::MAX;
        for room in (0..=complete.len()).rev().step_by(97) {
            let text = render(&results, room);
            assert!(text.len() <= room);
            if text.is_empty() || text.starts_with("The results do not fit") {
                break;
            }
            for link in text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
                assert!(text.contains(&format!("<a id=\"{link}\"></a>")), "{link} leads nowhere");
            }
            assert!(text.contains("Left out") != (text == complete));
            // Sections are complete: no table is cut.
            for line in text.lines().filter(|line| line.starts_with('|')) {
                assert!(line.ends_with('|'), "{line}");
            }
            let parts = text.matches("\n## ").count();
            assert!(parts <= before);
            before = parts;
        }
        assert!(before < 3, "{before}");
    }

    #[test]
    fn a_run_that_is_too_large_for_github_keeps_its_counts_and_matrix() {
        let rows = (0..4000).map(|i| {
            let id = format!("field.{i}");
            let status = if i % 2 == 0 { VerdictStatus::Ignored } else { VerdictStatus::Supported };
            let mut row = fixtures::make_row("S", &id, &id, Some(ClaimStatus::Supported), status);
            row.verdict.reason = "x".repeat(400);
            row
        });
        let text = render(&[fixtures::make_run("any", rows.collect())], MAX_SUMMARY_BYTES);
        assert!(
            text.len() <= MAX_SUMMARY_BYTES && text.contains("## Summary") && text.contains("Left out"),
            "{}",
            text.len()
        );
        assert!(text.contains("4,000") && text.contains("Matrix"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_run_fits(results in vec(fixtures::any_run(), 0..4), room in 0..20_000usize) {
            prop_assert!(render(&results, room).len() <= room);
        }
    }
}
