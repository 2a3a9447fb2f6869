use proptest::prelude::*;

use crate::catalog::Outcome;
use crate::results::fixtures;
use crate::results::gateway_diff::*;
use crate::results::model::{Summary, Verdict};

/// Results with one row of each of these verdicts.
fn results(statuses: &[(&str, VerdictStatus, bool)], findings: &[(&str, &[&str])]) -> Results {
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
    results.summary = Summary::of(&results.rows);
    results.findings = findings
        .iter()
        .map(|(check, rows)| Finding {
            check: (*check).to_owned(),
            severity: Severity::Error,
            count: 1,
            rows: rows.iter().map(|row| (*row).to_owned()).collect(),
            example: "example".to_owned(),
        })
        .collect();
    results
}

fn fate_of(direct: (VerdictStatus, bool), via: (VerdictStatus, bool), again: bool) -> Fate {
    let (direct, via) = (results(&[("a", direct.0, direct.1)], &[]), results(&[("a", via.0, via.1)], &[]));
    let sides = Sides { direct: &direct, via: &via };
    compare(sides, again.then_some(sides)).rows[0].fate
}

#[test]
fn a_row_has_the_fate_that_both_verdicts_amount_to() {
    use VerdictStatus::{Ignored, Inconclusive, Rejected, Skipped, Substituted, Supported};
    for (direct, via, fate) in [
        (Supported, Supported, Fate::PassedThrough),
        (Ignored, Ignored, Fate::PassedThrough),
        (Supported, Ignored, Fate::Introduced),
        (Supported, Rejected, Fate::Introduced),
        (Supported, Substituted, Fate::Introduced),
        (Ignored, Supported, Fate::Repaired),
        (Rejected, Ignored, Fate::Changed),
        (Ignored, Rejected, Fate::Changed),
        (Supported, Inconclusive, Fate::Undetermined),
        (Skipped, Supported, Fate::Undetermined),
    ] {
        assert_eq!(fate_of((direct, false), (via, false), true), fate, "{direct} {via}");
    }
    assert_eq!(fate_of((Supported, false), (Supported, true), true), Fate::Introduced);
    assert_eq!(fate_of((Supported, true), (Supported, false), true), Fate::Repaired);
    // What was not asked again is not anybody's.
    assert_eq!(fate_of((Supported, false), (Ignored, false), false), Fate::Undetermined);
}

#[test]
fn what_does_not_come_out_the_same_twice_is_nobodys() {
    let [good, bad] = [VerdictStatus::Supported, VerdictStatus::Ignored].map(|s| results(&[("a", s, false)], &[]));
    let first = Sides { direct: &good, via: &bad };
    assert_eq!(in_doubt(first), ["a"]);
    for again in [Sides { direct: &good, via: &good }, Sides { direct: &bad, via: &bad }] {
        let row = compare(first, Some(again)).rows.remove(0);
        assert_eq!(row.fate, Fate::Undetermined);
        assert!(row.why.contains("did not come out the same twice"), "{}", row.why);
    }
}

#[test]
fn a_finding_of_the_upstream_is_never_blamed_on_the_gateway() {
    let rows = [("a", VerdictStatus::Supported, false), ("b", VerdictStatus::Supported, false)];
    let skipped = [("a", VerdictStatus::Supported, false), ("b", VerdictStatus::Skipped, false)];
    let clean = results(&rows, &[]);
    let broken = results(&rows, &[("sse.x", &["a"])]);
    let elsewhere = results(&rows, &[("sse.x", &["b"])]);
    let fate = |direct: &Results, via: &Results| {
        let sides = Sides { direct, via };
        compare(sides, Some(sides)).findings[0].fate
    };
    assert_eq!(fate(&clean, &broken), Fate::Introduced);
    assert_eq!(fate(&broken, &clean), Fate::Repaired);
    assert_eq!(fate(&broken, &broken), Fate::PassedThrough);
    assert_eq!(fate(&elsewhere, &broken), Fate::PassedThrough, "the upstream does it too");
    assert_eq!(fate(&results(&skipped, &[]), &elsewhere), Fate::Undetermined, "not run on both sides");
    let once = Sides { direct: &clean, via: &broken };
    assert_eq!(in_doubt(once), ["a"]);
    let again = Sides { direct: &clean, via: &clean };
    assert_eq!(compare(once, Some(again)).findings[0].fate, Fate::Undetermined);
}

#[test]
fn reports_hold_every_row_and_the_terminal_those_that_changed() {
    let direct =
        results(&[("field.a", VerdictStatus::Supported, false), ("field.b", VerdictStatus::Ignored, false)], &[]);
    let via = results(
        &[("field.a", VerdictStatus::Rejected, false), ("field.b", VerdictStatus::Ignored, false)],
        &[("sse.x", &["field.a"])],
    );
    let sides = Sides { direct: &direct, via: &via };
    let comparison = compare(sides, Some(sides));
    let page = markdown(&comparison);
    for part in ["`field.a`", "`field.b`", "introduced", "`sse.x`", "it is rejected"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let shown = terminal(&comparison, 100);
    assert!(shown.contains("field.a") && !shown.contains("field.b"), "{shown}");
    assert!(shown.contains("2 rows: ✗ 1 introduced, ▲ 0 repaired, ≠ 0 changed, ✓ 1 passed through"), "{shown}");
    let value: serde_json::Value = serde_json::from_str(&json(&comparison)).unwrap();
    assert!(jsonschema::validator_for(&schema()).unwrap().is_valid(&value));
}

proptest! {
    /// Whatever both sides show: swapped sides have swapped fates, and the same side on both has nothing to tell.
    #[test]
    fn swapped_sides_have_swapped_fates(a in fixtures::any_run(), b in fixtures::any_run()) {
        let (one, other) = (Sides { direct: &a, via: &b }, Sides { direct: &b, via: &a });
        let (one, other) = (compare(one, Some(one)), compare(other, Some(other)));
        for row in &one.rows {
            let swapped = other.rows.iter().find(|r| r.id == row.id).unwrap();
            let expected = match row.fate {
                Fate::Introduced => Fate::Repaired,
                Fate::Repaired => Fate::Introduced,
                same => same,
            };
            prop_assert_eq!(swapped.fate, expected);
        }
        let same = Sides { direct: &a, via: &a };
        prop_assert!(compare(same, None).rows.iter().all(|r| matches!(r.fate, Fate::PassedThrough | Fate::Undetermined)));
        prop_assert!(in_doubt(same).is_empty());
    }
}
