//! `badge-<target>.json`: a badge for a page, in the shape of the endpoint badges of shields.io.
//!
//! It shows counts, never a share, and is green only where every claim was decided and none is contradicted.

use serde_json::json;

use crate::report::common::format;
use crate::report::common::sanitize::one_line;
use crate::results::file_names::slug;
use crate::results::merge::is_flaky;
use crate::results::model::Results;

/// The name of a target's badge: `badge-deepseek.json`.
pub fn file_name(target: &str) -> String {
    format!("badge-{}.json", slug(target))
}

/// The badge of one run.
pub fn render(run: &Results) -> String {
    let simulated = if run.target.simulated { " (simulated)" } else { "" };
    let badge = json!({
        "schemaVersion": 1,
        "label": format!("{}{simulated}", one_line(&run.target.name)),
        "message": message(run),
        "color": colour(run),
    });
    format!("{badge:#}\n")
}

fn message(run: &Results) -> String {
    let summary = &run.summary;
    if summary.decided == 0 {
        return "could not be tested".to_owned();
    }
    let held = run.baseline.as_ref().map(|held| held.counts).unwrap_or_default();
    let regressions = if held.regression == 1 { "regression" } else { "regressions" };
    let parts = [
        (held.regression, regressions),
        (held.stale, "stale"),
        (summary.conforms, "conform"),
        (summary.exceeds, "exceed"),
        (summary.contradicts, "contradicted"),
        (summary.undetermined, "undetermined"),
        (summary.unclaimed, "unclaimed"),
        (flaky(run), "flaky"),
    ];
    let counted = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", format::count(*n)));
    let partial = run.partial.is_some().then(|| "partial".to_owned());
    counted.chain(partial).collect::<Vec<_>>().join(", ")
}

fn flaky(run: &Results) -> u64 {
    run.rows.iter().filter(|row| is_flaky(row)).count() as u64
}

fn colour(run: &Results) -> &'static str {
    let summary = &run.summary;
    let broken = match &run.baseline {
        Some(held) => held.is_broken(),
        None => summary.contradicts > 0,
    };
    if broken {
        "red"
    } else if summary.decided == 0 || run.partial.is_some() {
        "lightgrey"
    } else if summary.contradicts > 0 {
        // The baseline expects it; it is no less a contradiction.
        "orange"
    } else if summary.undetermined > 0 || summary.silent > 0 || flaky(run) > 0 {
        "yellow"
    } else if summary.conforms + summary.exceeds > 0 {
        "brightgreen"
    } else {
        // Nothing is claimed, so nothing can be right or wrong.
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

    fn badge(run: &Results) -> (String, String) {
        let value: Value = serde_json::from_str(&render(run)).unwrap();
        assert_eq!(value["schemaVersion"], 1);
        let word = |key: &str| value[key].as_str().unwrap().to_owned();
        (word("message"), word("color"))
    }

    fn of(rows: &[(Option<ClaimStatus>, VerdictStatus)]) -> (String, String) {
        let rows = rows.iter().enumerate().map(|(i, (claim, status))| {
            let id = format!("field.{i}");
            fixtures::row("S", &id, &id, *claim, *status)
        });
        badge(&fixtures::run("any", rows.collect()))
    }

    #[test]
    fn counts_and_colours() {
        use ClaimStatus as C;
        use VerdictStatus as V;
        let told = |message: &str, colour: &str| (message.to_owned(), colour.to_owned());
        let well = (Some(C::Supported), V::Supported);
        assert_eq!(of(&[well, well]), told("2 conform", "brightgreen"));
        assert_eq!(of(&[well, (Some(C::Supported), V::Ignored)]), told("1 conform, 1 contradicted", "red"));
        assert_eq!(of(&[well, (Some(C::Ignored), V::Skipped)]), told("1 conform, 1 undetermined", "yellow"));
        assert_eq!(of(&[well, (Some(C::Unsupported), V::Ignored)]), told("2 conform", "yellow"));
        assert_eq!(of(&[(None, V::Supported)]), told("1 unclaimed", "blue"));
        assert_eq!(of(&[(Some(C::Ignored), V::Inconclusive)]), told("could not be tested", "lightgrey"));
        assert_eq!(of(&[]), told("could not be tested", "lightgrey"));
        let mut partial = fixtures::partial();
        assert_eq!(badge(&partial).1, "red");
        partial.rows.remove(3);
        partial.summary = crate::results::model::Summary::of(&partial.rows);
        let (message, colour) = badge(&partial);
        assert!(message.ends_with(", partial") && colour == "lightgrey", "{message} {colour}");
    }

    #[test]
    fn a_baseline_shows_what_broke_and_makes_nothing_green() {
        let mut run = fixtures::held_against_a_list();
        let (message, colour) = badge(&run);
        assert!(message.contains("stale") && colour == "red", "{message} {colour}");
        let held = run.baseline.as_mut().unwrap();
        (held.counts.regression, held.counts.stale) = (0, 0);
        assert_eq!(badge(&run).1, "orange");
    }

    #[test]
    fn one_badge() {
        fixtures::snapshots().bind(|| insta::assert_snapshot!("badge.json", render(&fixtures::every_outcome())));
    }

    proptest! {
        #[test]
        fn green_is_only_what_was_tested_and_holds(run in fixtures::any_run()) {
            let (_, colour) = badge(&run);
            let s = &run.summary;
            let sound = s.contradicts == 0 && s.undetermined == 0 && s.silent == 0 && s.decided > 0 && run.partial.is_none();
            prop_assert!(!colour.contains("green") || sound);
        }
    }
}
