use proptest::prelude::*;

use crate::catalog::{Outcome, VerdictStatus};
use crate::checks::CheckSeverity;
use crate::published_schemas;
use crate::results::gateway_diff::*;
use crate::results::model::{FindingSummary, Results, ResultsSummary, RowResult, Verdict};
use crate::results::{fixtures, json};

/// Results with one row of each of these verdicts.
fn make_results(statuses: &[(&str, VerdictStatus, bool)], findings: &[(&str, &[&str])]) -> Results {
    let mut results = fixtures::every_outcome();
    let row = results.rows[0].clone();
    results.rows = statuses
        .iter()
        .map(|(id, status, altered)| RowResult {
            id: (*id).to_owned(),
            claim: None,
            outcome: Outcome::Unclaimed,
            silent: false,
            verdict: Verdict {
                status: *status,
                reason: format!("it is {status}"),
                qualifiers: if *altered { vec!["altered: somewhat".to_owned()] } else { Vec::new() },
                ..row.verdict.clone()
            },
            ..row.clone()
        })
        .collect();
    results.summary = ResultsSummary::from_rows(&results.rows);
    results.findings = findings
        .iter()
        .map(|(check, rows)| FindingSummary {
            check: (*check).to_owned(),
            severity: CheckSeverity::Error,
            count: 1,
            rows: rows.iter().map(|row| (*row).to_owned()).collect(),
            example: "example".to_owned(),
        })
        .collect();
    results
}

fn attribute_one_row(direct: (VerdictStatus, bool), via: (VerdictStatus, bool), again: bool) -> GatewayAttribution {
    let (direct, via) = (make_results(&[("a", direct.0, direct.1)], &[]), make_results(&[("a", via.0, via.1)], &[]));
    let sides = ResultsPair { direct: &direct, via: &via };
    compare(sides, again.then_some(sides)).rows[0].fate
}

#[test]
fn the_attribution_follows_from_both_verdicts() {
    use VerdictStatus::{Ignored, Inconclusive, Rejected, Skipped, Substituted, Supported};
    for (direct, via, fate) in [
        (Supported, Supported, GatewayAttribution::PassedThrough),
        (Ignored, Ignored, GatewayAttribution::PassedThrough),
        (Supported, Ignored, GatewayAttribution::Introduced),
        (Supported, Rejected, GatewayAttribution::Introduced),
        (Supported, Substituted, GatewayAttribution::Introduced),
        (Ignored, Supported, GatewayAttribution::Repaired),
        (Rejected, Ignored, GatewayAttribution::Changed),
        (Ignored, Rejected, GatewayAttribution::Changed),
        (Supported, Inconclusive, GatewayAttribution::Undetermined),
        (Skipped, Supported, GatewayAttribution::Undetermined),
    ] {
        assert_eq!(attribute_one_row((direct, false), (via, false), true), fate, "{direct} {via}");
    }
    assert_eq!(attribute_one_row((Supported, false), (Supported, true), true), GatewayAttribution::Introduced);
    assert_eq!(attribute_one_row((Supported, true), (Supported, false), true), GatewayAttribution::Repaired);
    // A difference that was not repeated is not attributed.
    assert_eq!(attribute_one_row((Supported, false), (Ignored, false), false), GatewayAttribution::Undetermined);
}

#[test]
fn a_difference_that_is_not_reproducible_is_not_attributed() {
    let [good, bad] = [VerdictStatus::Supported, VerdictStatus::Ignored].map(|s| make_results(&[("a", s, false)], &[]));
    let first = ResultsPair { direct: &good, via: &bad };
    assert_eq!(rows_to_confirm(first), ["a"]);
    for again in [ResultsPair { direct: &good, via: &good }, ResultsPair { direct: &bad, via: &bad }] {
        let row = compare(first, Some(again)).rows.remove(0);
        assert_eq!(row.fate, GatewayAttribution::Undetermined);
        assert!(row.why.contains("not reproducible"), "{}", row.why);
    }
}

#[test]
fn a_finding_of_the_upstream_is_never_attributed_to_the_gateway() {
    let rows = [("a", VerdictStatus::Supported, false), ("b", VerdictStatus::Supported, false)];
    let skipped = [("a", VerdictStatus::Supported, false), ("b", VerdictStatus::Skipped, false)];
    let clean = make_results(&rows, &[]);
    let broken = make_results(&rows, &[("sse.x", &["a"])]);
    let elsewhere = make_results(&rows, &[("sse.x", &["b"])]);
    let fate = |direct: &Results, via: &Results| {
        let sides = ResultsPair { direct, via };
        compare(sides, Some(sides)).findings[0].fate
    };
    assert_eq!(fate(&clean, &broken), GatewayAttribution::Introduced);
    assert_eq!(fate(&broken, &clean), GatewayAttribution::Repaired);
    assert_eq!(fate(&broken, &broken), GatewayAttribution::PassedThrough);
    assert_eq!(fate(&elsewhere, &broken), GatewayAttribution::PassedThrough, "the upstream has it too");
    assert_eq!(
        fate(&make_results(&skipped, &[]), &elsewhere),
        GatewayAttribution::Undetermined,
        "not run on both sides"
    );
    let once = ResultsPair { direct: &clean, via: &broken };
    assert_eq!(rows_to_confirm(once), ["a"]);
    let again = ResultsPair { direct: &clean, via: &clean };
    assert_eq!(compare(once, Some(again)).findings[0].fate, GatewayAttribution::Undetermined);
}

#[test]
fn markdown_has_every_row_and_the_terminal_the_changed_rows() {
    let direct =
        make_results(&[("field.a", VerdictStatus::Supported, false), ("field.b", VerdictStatus::Ignored, false)], &[]);
    let via = make_results(
        &[("field.a", VerdictStatus::Rejected, false), ("field.b", VerdictStatus::Ignored, false)],
        &[("sse.x", &["field.a"])],
    );
    let sides = ResultsPair { direct: &direct, via: &via };
    let comparison = compare(sides, Some(sides));
    let page = crate::report::markdown::gateway_diff::render(&comparison);
    for part in ["`field.a`", "`field.b`", "introduced", "`sse.x`", "it is rejected"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let shown = crate::report::terminal::gateway_diff::render(&comparison, 100);
    assert!(shown.contains("field.a") && !shown.contains("field.b"), "{shown}");
    assert!(shown.contains("2 rows: ✗ 1 introduced, ▲ 0 repaired, ≠ 0 changed, ✓ 1 passed through"), "{shown}");
    let value: serde_json::Value = serde_json::from_str(&json::render(&comparison)).unwrap();
    assert!(published_schemas::validator_for("comparison").is_valid(&value));
}

proptest! {
    /// For any results: swapped sides have swapped attributions, and equal sides have no difference.
    #[test]
    fn swapped_sides_have_swapped_attributions(a in fixtures::any_run(), b in fixtures::any_run()) {
        let (one, other) = (ResultsPair { direct: &a, via: &b }, ResultsPair { direct: &b, via: &a });
        let (one, other) = (compare(one, Some(one)), compare(other, Some(other)));
        for row in &one.rows {
            let swapped = other.rows.iter().find(|r| r.id == row.id).unwrap();
            let expected = match row.fate {
                GatewayAttribution::Introduced => GatewayAttribution::Repaired,
                GatewayAttribution::Repaired => GatewayAttribution::Introduced,
                same => same,
            };
            prop_assert_eq!(swapped.fate, expected);
        }
        let same = ResultsPair { direct: &a, via: &a };
        prop_assert!(compare(same, None).rows.iter().all(|r| matches!(r.fate, GatewayAttribution::PassedThrough | GatewayAttribution::Undetermined)));
        prop_assert!(rows_to_confirm(same).is_empty());
    }
}
