//! Complete outputs, each kind of change by example, and properties of any two runs.

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::catalog::{ClaimStatus as C, VerdictStatus as V};
use crate::checks::CheckSeverity;
use crate::published_schemas;
use crate::report::markdown::diff::render as markdown;
use crate::report::terminal::TerminalStyle;
use crate::report::terminal::diff::render as terminal;
use crate::results::diff::*;
use crate::results::gateway::{GatewayVerdict, GatewayVerdictKind, GatewayWay};
use crate::results::model::{FindingSummary, Results};
use crate::results::reason::{CallList, CountedCall, ExpectedBehaviour, ObservedBehaviour, ReasonData};
use crate::results::{fixtures, json};

const PLAIN_STYLE: TerminalStyle = TerminalStyle { width: 80, colour: false, unicode: true };

fn run_with_rows(rows: &[(&str, Option<C>, V)]) -> Results {
    let rows = rows.iter().map(|(id, claim, verdict)| fixtures::make_row("S", id, id, *claim, *verdict));
    fixtures::make_run("any", rows.collect())
}

fn run_with_finding(check: &str, severity: CheckSeverity, count: u64) -> Results {
    let mut run = run_with_rows(&[("a", None, V::Supported)]);
    run.findings =
        vec![FindingSummary { check: check.to_owned(), severity, count, rows: vec![], example: "e".to_owned() }];
    run
}

fn change_kinds(old: &Results, new: &Results) -> Vec<RowKind> {
    diff(old, new, false).rows.iter().map(|change| change.kind).collect()
}

/// A later run of the same target with worse, better, undecided and new rows.
fn later_run() -> Results {
    let mut run = fixtures::every_outcome();
    run.started_at = "2026-12-01T06:30:00Z".to_owned();
    for (id, claim, verdict) in [
        ("header.anthropic-version", C::Ignored, V::Rejected),
        ("header.x-api-key", C::Supported, V::Inconclusive),
        ("field.metadata", C::Ignored, V::Ignored),
        ("field.temperature", C::Supported, V::Supported),
        ("content.document", C::Ignored, V::Rejected),
    ] {
        let row = run.rows.iter_mut().find(|row| row.id == id).expect("there is such a row");
        *row = fixtures::make_row(&row.section, &row.id, &row.title, Some(claim), verdict);
    }
    run.rows[5].verdict.qualifiers = vec!["altered: only with top_k 1".to_owned()];
    run.rows.retain(|row| row.id != "field.top_p");
    run.rows.push(fixtures::make_row("Tools", "tool_choice.none", "tool_choice: none", Some(C::Supported), V::Ignored));
    run.findings.remove(0);
    run.findings[0].count = 40;
    let example = "the stream ended after | `content_block_stop`".to_owned();
    let check = "sse.message-stop-missing".to_owned();
    run.findings.push(FindingSummary { check, severity: CheckSeverity::Error, count: 1, rows: vec![], example });
    run
}

#[test]
fn every_kind_of_change_is_shown() {
    let changes = diff(&fixtures::every_outcome(), &later_run(), false);
    for kind in RowKind::ALL {
        assert!(changes.rows.iter().any(|change| change.kind == kind), "no {kind:?}");
    }
    for kind in FindingKind::ALL {
        assert!(changes.findings.iter().any(|change| change.kind == kind), "no {kind:?}");
    }
    assert_eq!(changes.regressions, 2);
    assert_eq!(diff(&fixtures::every_outcome(), &later_run(), true).regressions, 5);
    fixtures::snapshot_settings().bind(|| {
        insta::assert_snapshot!("diff-terminal-80", terminal(&changes, PLAIN_STYLE));
        insta::assert_snapshot!(
            "diff-terminal-ascii",
            terminal(&changes, TerminalStyle { unicode: false, ..PLAIN_STYLE })
        );
        insta::assert_snapshot!("diff.md", markdown(&changes));
        insta::assert_snapshot!("diff.json", json::render(&changes));
    });
}

#[test]
fn two_targets_have_their_own_headings() {
    let changes = diff(&fixtures::every_outcome(), &fixtures::second_run(), false);
    fixtures::snapshot_settings().bind(|| {
        insta::assert_snapshot!("diff-across-terminal-80", terminal(&changes, PLAIN_STYLE));
        insta::assert_snapshot!("diff-across.md", markdown(&changes));
    });
}

#[test]
fn hostile_texts_are_escaped() {
    let changes = diff(&fixtures::every_outcome(), &fixtures::hostile_run(), false);
    let text = markdown(&changes);
    assert!(!text.contains("<script>") && !text.contains('\u{1b}'), "{text}");
    let back = diff(&fixtures::hostile_run(), &fixtures::second_run(), false);
    assert!(!terminal(&back, PLAIN_STYLE).contains('\u{1b}'));
}

#[test]
fn verdicts_are_ordered_by_their_benefit_for_a_client() {
    use RowKind as K;
    let changed =
        |before, after| change_kinds(&run_with_rows(&[("a", None, before)]), &run_with_rows(&[("a", None, after)]));
    for (before, after, kind) in [
        (V::Supported, V::Ignored, K::Lost),
        (V::Supported, V::Rejected, K::Lost),
        (V::Supported, V::Substituted, K::Lost),
        (V::Ignored, V::Rejected, K::Lost),
        (V::Substituted, V::Rejected, K::Lost),
        (V::Ignored, V::Supported, K::Gained),
        (V::Rejected, V::Ignored, K::Gained),
        (V::Rejected, V::Supported, K::Gained),
        (V::Ignored, V::Substituted, K::Changed),
        (V::Supported, V::Inconclusive, K::Undetermined),
        (V::Rejected, V::Skipped, K::Undetermined),
        (V::Skipped, V::Rejected, K::Decided),
        (V::Skipped, V::Inconclusive, K::Changed),
    ] {
        assert_eq!(changed(before, after), [kind], "{before} to {after}");
    }
    assert!(changed(V::Ignored, V::Ignored).is_empty());
}

#[test]
fn new_qualifiers_and_other_claims_are_changes() {
    let old = run_with_rows(&[("a", Some(C::Supported), V::Ignored)]);
    let mut new = old.clone();
    new.rows[0].verdict.qualifiers = vec!["altered: cut".to_owned()];
    assert_eq!(change_kinds(&old, &new), [RowKind::Changed]);
    assert_eq!((diff(&old, &new, false).regressions, diff(&old, &new, true).regressions), (0, 1));
    // Each run words the evidence of a qualifier differently.
    let checked = |reason: &str| {
        let mut run = old.clone();
        run.rows[0].verdict.qualifiers = vec![format!("validated, then ignored: {reason}")];
        run
    };
    assert!(change_kinds(&checked("2 of 2"), &checked("3 of 3")).is_empty());
    assert_eq!(change_kinds(&old, &checked("2 of 2")), [RowKind::Changed]);
    assert_eq!(change_kinds(&old, &run_with_rows(&[("a", Some(C::Ignored), V::Ignored)])), [RowKind::Outcome]);
}

#[test]
fn findings_are_added_removed_or_change_their_class() {
    let none = run_with_rows(&[("a", None, V::Supported)]);
    let changes = |old: &Results, new: &Results, strict| {
        let diff = diff(old, new, strict);
        (diff.findings.first().map(|change| change.kind), diff.regressions)
    };
    let error = |count| run_with_finding("x", CheckSeverity::Error, count);
    assert_eq!(changes(&none, &error(1), false), (Some(FindingKind::Added), 1));
    assert_eq!(changes(&error(1), &none, true), (Some(FindingKind::Removed), 0));
    assert_eq!(changes(&error(3), &error(9), true), (None, 0));
    assert_eq!(changes(&error(9), &error(10), true), (Some(FindingKind::Changed), 0));
    let warning = run_with_finding("x", CheckSeverity::Warning, 1);
    assert_eq!((changes(&none, &warning, false).1, changes(&none, &warning, true).1), (0, 1));
    assert_eq!(changes(&none, &run_with_finding("x", CheckSeverity::Note, 1), true).1, 0);
}

#[test]
fn equal_runs_have_no_differences() {
    let run = fixtures::every_outcome();
    let changes = diff(&run, &run, true);
    assert!(changes.is_empty() && changes.notes.is_empty());
    assert!(terminal(&changes, PLAIN_STYLE).contains("No difference: 10 rows and 2 findings are the same."));
    assert!(markdown(&changes).contains("No difference"));
}

fn mirror_kind(kind: RowKind) -> RowKind {
    match kind {
        RowKind::Lost => RowKind::Gained,
        RowKind::Gained => RowKind::Lost,
        RowKind::Undetermined => RowKind::Decided,
        RowKind::Decided => RowKind::Undetermined,
        RowKind::Removed => RowKind::Added,
        RowKind::Added => RowKind::Removed,
        RowKind::Changed | RowKind::Outcome => kind,
    }
}

#[test]
fn counts_of_a_behaviour_are_no_change_and_other_calls_are() {
    let run = |observed: ObservedBehaviour| {
        let mut run = run_with_rows(&[("behaviour.calls", None, V::Substituted)]);
        let row = &mut run.rows[0];
        row.fate = Some(GatewayVerdict {
            kind: GatewayVerdictKind::Changed,
            way: Some(GatewayWay::Behaviour),
            place: None,
            from: None,
            to: Some(observed.to_string()),
            upstream: None,
        });
        row.verdict.set_reason(ReasonData::BehaviourDiffers { expected: ExpectedBehaviour::OneCallEach {}, observed });
        run
    };
    let repeated = |repeated| ObservedBehaviour::RepeatedCalls { max_calls: 2, repeated, requests: 40 };
    let other = |call: &str| ObservedBehaviour::OtherCalls {
        calls: CallList(vec![CountedCall { call: call.to_owned(), count: 40 }]),
    };
    assert_eq!(change_kinds(&run(repeated(4)), &run(repeated(5))), []);
    assert_eq!(change_kinds(&run(other("POST /v1/moderations")), &run(other("POST /v1/other"))), [RowKind::Changed]);
    assert_eq!(change_kinds(&run(repeated(4)), &run(other("POST /v1/other"))), [RowKind::Changed]);
    let changes = diff(&run(repeated(4)), &run(other("POST /v1/other")), false);
    assert!(matches!(changes.rows[0].because, Some(ReasonData::BehaviourDiffers { .. })), "{changes:?}");
}

/// Two runs with rows and findings in common.
fn any_run_pair() -> impl Strategy<Value = (Results, Results)> {
    (fixtures::any_run_without_baseline(), fixtures::any_run_without_baseline()).prop_map(|(old, mut new)| {
        for (row, then) in new.rows.iter_mut().zip(&old.rows).step_by(2) {
            row.id.clone_from(&then.id);
            row.section.clone_from(&then.section);
        }
        for (finding, then) in new.findings.iter_mut().zip(&old.findings) {
            finding.check.clone_from(&then.check);
        }
        (old, new)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_does_not_differ_from_itself(run in fixtures::any_run_without_baseline(), strict: bool) {
        let changes = diff(&run, &run, strict);
        prop_assert!(changes.is_empty() && changes.regressions == 0, "{:?}", changes);
    }

    #[test]
    fn a_loss_is_a_gain_in_the_other_direction((old, new) in any_run_pair()) {
        let (there, back) = (diff(&old, &new, false), diff(&new, &old, false));
        let sorted = |mut list: Vec<(String, RowKind)>| {
            list.sort();
            list
        };
        let of_there = there.rows.iter().map(|c| (c.row.clone(), mirror_kind(c.kind))).collect();
        let of_back = back.rows.iter().map(|c| (c.row.clone(), c.kind)).collect();
        prop_assert_eq!(sorted(of_there), sorted(of_back));
        prop_assert_eq!(there.findings.len(), back.findings.len());
    }

    #[test]
    fn lines_fit_the_terminal_and_do_not_move_the_cursor((old, new) in any_run_pair(), width in 60_usize..160) {
        let text = terminal(&diff(&old, &new, false), TerminalStyle { width, ..PLAIN_STYLE });
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{}: {line:?}", line.width());
        }
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn json_is_valid_and_read_back_unchanged((old, new) in any_run_pair(), strict: bool) {
        let changes = diff(&old, &new, strict);
        let text = json::render(&changes);
        prop_assert_eq!(&serde_json::from_str::<ResultsDiff>(&text).expect("it was just written"), &changes);
        let validator = published_schemas::validator_for("diff");
        prop_assert!(validator.is_valid(&serde_json::from_str(&text).expect("it is JSON")));
    }
}
