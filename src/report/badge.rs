//! `badge-<target>.json`: a badge in the format of the endpoint badges of shields.io.
//!
//! It shows counts and no percentages. It is green only if every claim is decided and none is contradicted.

use serde_json::json;

use crate::report::common::phrases;
use crate::report::common::sanitize::sanitize_line;
use crate::results::file_names::slugify;
use crate::results::format;
use crate::results::merge::is_flaky;
use crate::results::model::Results;

/// The file name of the badge of a target: `badge-deepseek.json`.
pub fn badge_file_name(target: &str) -> String {
    format!("badge-{}.json", slugify(target))
}

/// The badge of one run.
pub fn render(run: &Results) -> String {
    let simulated = if run.target.simulated { " (simulated)" } else { "" };
    let badge = json!({
        "schemaVersion": 1,
        "label": format!("{}{simulated}", sanitize_line(&run.target.name)),
        "message": render_message(run),
        "color": choose_color(run),
    });
    format!("{badge:#}\n")
}

fn render_message(run: &Results) -> String {
    let summary = &run.summary;
    if summary.decided == 0 {
        return "not tested".to_owned();
    }
    let baseline = run.baseline.as_ref().map(|comparison| comparison.counts).unwrap_or_default();
    let regressions = if baseline.regression == 1 { "regression" } else { "regressions" };
    let parts = [
        (baseline.regression, regressions),
        (baseline.stale, "stale"),
        (summary.conforms, "conform"),
        (summary.exceeds, "exceed"),
        (summary.contradicts, "contradicted"),
        (summary.undetermined, "undetermined"),
        (summary.unclaimed, "unclaimed"),
        (count_flaky_rows(run), "flaky"),
    ];
    // A claim that is met without an observed effect must not look proven.
    let met = phrases::describe_met_claims(summary).filter(|_| summary.met_by.validated + summary.met_by.accepted > 0);
    let counted = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| match (*word, &met) {
        ("conform", Some(met)) => format!("{} conform ({met})", format::with_thousands(*n)),
        _ => format!("{} {word}", format::with_thousands(*n)),
    });
    let partial = run.partial.is_some().then(|| "partial".to_owned());
    counted.chain(partial).collect::<Vec<_>>().join(", ")
}

fn count_flaky_rows(run: &Results) -> u64 {
    run.rows.iter().filter(|row| is_flaky(row)).count() as u64
}

fn choose_color(run: &Results) -> &'static str {
    let summary = &run.summary;
    let broken = match &run.baseline {
        Some(comparison) => comparison.fails_run(),
        None => summary.contradicts > 0,
    };
    if broken {
        "red"
    } else if summary.decided == 0 || run.partial.is_some() {
        "lightgrey"
    } else if summary.contradicts > 0 {
        // Expected by the baseline, but still a contradiction.
        "orange"
    } else if summary.undetermined > 0 || summary.silent > 0 || count_flaky_rows(run) > 0 {
        "yellow"
    } else if summary.conforms + summary.exceeds > 0 {
        "brightgreen"
    } else {
        // Without claims, nothing can be right or wrong.
        "blue"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::catalog::{ClaimStatus, VerdictStatus};
    use crate::results::fixtures;

    fn parse_badge(run: &Results) -> (String, String) {
        let value: Value = serde_json::from_str(&render(run)).unwrap();
        assert_eq!(value["schemaVersion"], 1);
        let word = |key: &str| value[key].as_str().unwrap().to_owned();
        (word("message"), word("color"))
    }

    fn render_rows(rows: &[(Option<ClaimStatus>, VerdictStatus)]) -> (String, String) {
        let rows = rows.iter().enumerate().map(|(i, (claim, status))| {
            let id = format!("field.{i}");
            fixtures::make_row("S", &id, &id, *claim, *status)
        });
        parse_badge(&fixtures::make_run("any", rows.collect()))
    }

    #[test]
    fn counts_and_colours() {
        use ClaimStatus as C;
        use VerdictStatus as V;
        let badge = |message: &str, colour: &str| (message.to_owned(), colour.to_owned());
        let well = (Some(C::Supported), V::Supported);
        assert_eq!(render_rows(&[well, well]), badge("2 conform", "brightgreen"));
        assert_eq!(render_rows(&[well, (Some(C::Supported), V::Ignored)]), badge("1 conform, 1 contradicted", "red"));
        assert_eq!(render_rows(&[well, (Some(C::Ignored), V::Skipped)]), badge("1 conform, 1 undetermined", "yellow"));
        assert_eq!(render_rows(&[well, (Some(C::Unsupported), V::Ignored)]), badge("2 conform", "yellow"));
        assert_eq!(render_rows(&[(None, V::Supported)]), badge("1 unclaimed", "blue"));
        assert_eq!(render_rows(&[(Some(C::Ignored), V::Inconclusive)]), badge("not tested", "lightgrey"));
        assert_eq!(render_rows(&[]), badge("not tested", "lightgrey"));
        let mut partial = fixtures::partial_run();
        assert_eq!(parse_badge(&partial).1, "red");
        partial.rows.remove(3);
        partial.summary = crate::results::model::ResultsSummary::from_rows(&partial.rows);
        let (message, colour) = parse_badge(&partial);
        assert!(message.ends_with(", partial") && colour == "lightgrey", "{message} {colour}");
    }

    #[test]
    fn a_badge_with_a_baseline_shows_regressions_and_is_never_green() {
        let mut run = fixtures::run_with_expectations();
        let (message, colour) = parse_badge(&run);
        assert!(message.contains("stale") && colour == "red", "{message} {colour}");
        let counts = &mut run.baseline.as_mut().unwrap().counts;
        (counts.regression, counts.stale) = (0, 0);
        assert_eq!(parse_badge(&run).1, "orange");
    }

    #[test]
    fn one_badge() {
        fixtures::snapshot_settings()
            .bind(|| insta::assert_snapshot!("badge.json", render(&fixtures::every_outcome())));
    }

    proptest! {
        #[test]
        fn only_a_complete_run_without_problems_is_green(run in fixtures::any_run()) {
            let (_, colour) = parse_badge(&run);
            let s = &run.summary;
            let sound = s.contradicts == 0 && s.undetermined == 0 && s.silent == 0 && s.decided > 0 && run.partial.is_none();
            prop_assert!(!colour.contains("green") || sound);
        }
    }
}
