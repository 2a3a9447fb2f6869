//! The summary of a step: the matrix in Markdown, as far as it fits.
//!
//! GitHub takes a mebibyte a step and refuses the whole of what is larger. So the text is made of parts; the details go
//! first, and a part is there as a whole or not at all.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::markdown;
use crate::report::markdown::ReportSection;
use crate::results::model::Results;

/// The most bytes that GitHub takes of a step.
pub const MAX_SUMMARY_BYTES: usize = 1024 * 1024;

/// The summary, in `room` bytes at most.
pub fn render(results: &[Results], room: usize) -> String {
    let matrix = ResultsMatrix::from_results(results);
    if matrix.columns.is_empty() {
        return "Nothing was run.\n".to_owned();
    }
    let mut kept: Vec<ReportSection> = ReportSection::ALL.to_vec();
    let mut left_out: Vec<&str> = Vec::new();
    // The last of them is needed least.
    loop {
        let text = render_sections(&matrix, &kept, &left_out);
        if text.len() <= room {
            return text;
        }
        match kept.pop() {
            Some(part) => left_out.insert(0, part.title()),
            None => break,
        }
    }
    let note = "The results do not fit into this summary; `matrix.md` has them.\n";
    if note.len() <= room { note.to_owned() } else { String::new() }
}

fn render_sections(matrix: &ResultsMatrix<'_>, kept: &[ReportSection], left_out: &[&str]) -> String {
    let parts = kept.iter().map(|part| markdown::render_section(matrix, *part, kept)).filter(|text| !text.is_empty());
    let mut text = parts.collect::<Vec<_>>().join("\n");
    if !left_out.is_empty() {
        let note = format!(
            "\n> [!NOTE]\n> Left out, since it does not fit into this summary: {}. `matrix.md` has all of it.\n",
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
    fn all_of_it_where_it_fits() {
        fixtures::snapshot_settings().bind(|| {
            let results = [fixtures::every_outcome(), fixtures::second_run()];
            insta::assert_snapshot!("github-summary.md", render(&results, MAX_SUMMARY_BYTES));
        });
    }

    #[test]
    fn details_go_first_and_whole_parts_only() {
        let results = [fixtures::every_outcome(), fixtures::hostile_run()];
        let whole = render(&results, MAX_SUMMARY_BYTES);
        let mut before = usize::MAX;
        for room in (0..=whole.len()).rev().step_by(97) {
            let text = render(&results, room);
            assert!(text.len() <= room);
            if text.is_empty() || text.starts_with("The results do not fit") {
                break;
            }
            for link in text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
                assert!(text.contains(&format!("<a id=\"{link}\"></a>")), "{link} leads nowhere");
            }
            assert!(text.contains("Left out") != (text == whole));
            // Each part ends as it does in the whole text: no table is cut.
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
    fn a_run_too_large_for_github_keeps_its_counts_and_contradictions() {
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
