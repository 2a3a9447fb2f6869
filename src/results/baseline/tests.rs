//! Baselines: each status by example, and properties of any run.

use jiff::civil::{Date, date};
use proptest::prelude::*;

use crate::catalog::{ClaimStatus as C, VerdictStatus as V};
use crate::checks::CheckSeverity;
use crate::published_schemas;
use crate::results::baseline::*;
use crate::results::model::{FindingSummary, Results, ResultsSummary};
use crate::results::{fixtures, json};

const TODAY: Date = date(2026, 11, 22);

fn run_with_rows(rows: &[(&str, Option<C>, V)]) -> Results {
    let rows = rows.iter().map(|(id, claim, verdict)| fixtures::make_row("S", id, id, *claim, *verdict));
    fixtures::make_run("any", rows.collect())
}

fn make_finding(check: &str, severity: CheckSeverity) -> FindingSummary {
    FindingSummary { check: check.to_owned(), severity, count: 1, rows: vec!["a".to_owned()], example: String::new() }
}

fn make_expected_row(id: &str, verdict: V) -> ExpectedFailure {
    let subject = EntrySubject::Row(id.to_owned());
    ExpectedFailure { subject, verdict: Some(verdict), reason: Some("known".to_owned()), link: None, until: None }
}

fn make_expected_check(id: &str) -> ExpectedFailure {
    let subject = EntrySubject::Check(id.to_owned());
    ExpectedFailure { subject, verdict: None, reason: Some("known".to_owned()), link: None, until: None }
}

fn make_baseline(expect: Vec<ExpectedFailure>) -> BaselineSource {
    BaselineSource::Expectations(ExpectationList { target: None, expect })
}

fn compare_and_verify(
    results: &Results,
    baseline: &BaselineSource,
    strict: bool,
    all_rows: &[&str],
) -> BaselineComparison {
    let all_rows: Vec<String> = all_rows.iter().map(|id| (*id).to_owned()).collect();
    let comparison =
        compare(results, baseline, &CompareOptions { file: "f", today: TODAY, strict, all_rows: &all_rows });
    let with = Results { baseline: Some(comparison.clone()), ..results.clone() };
    assert_eq!(find_inconsistency(&with, &comparison), None);
    comparison
}

/// The status of the only entry.
fn single_entry(comparison: &BaselineComparison) -> (EntryStatus, Option<RegressionCause>) {
    let [entry] = comparison.entries.as_slice() else { panic!("one entry, not {:?}", comparison.entries) };
    (entry.case, entry.cause)
}

/// Compares a row with this claim and verdict with a list.
fn compare_one_row(claim: Option<C>, verdict: V, expect: Vec<ExpectedFailure>, strict: bool) -> BaselineComparison {
    compare_and_verify(&run_with_rows(&[("a", claim, verdict)]), &make_baseline(expect), strict, &[])
}

#[test]
fn rows_are_expected_regressions_stale_or_pass() {
    let broken = |expect| compare_one_row(Some(C::Supported), V::Ignored, expect, false);
    assert_eq!(single_entry(&broken(vec![make_expected_row("a", V::Ignored)])), (EntryStatus::Expected, None));
    assert_eq!(single_entry(&broken(vec![])), (EntryStatus::Regression, Some(RegressionCause::Unlisted)));
    let sound = |expect| compare_one_row(Some(C::Supported), V::Supported, expect, false);
    assert_eq!(single_entry(&sound(vec![make_expected_row("a", V::Ignored)])), (EntryStatus::Stale, None));
    assert_eq!(single_entry(&sound(vec![make_expected_row("a", V::Supported)])), (EntryStatus::Stale, None));
    let passes = sound(vec![]);
    assert_eq!((passes.entries.len(), passes.counts.passes, passes.fails_run()), (0, 1, false));
}

#[test]
fn an_entry_applies_to_its_verdict_until_its_last_day() {
    let comparison = compare_one_row(Some(C::Supported), V::Ignored, vec![make_expected_row("a", V::Rejected)], false);
    assert_eq!(single_entry(&comparison), (EntryStatus::Regression, Some(RegressionCause::AnotherVerdict)));
    for (until, case) in [
        (date(2026, 11, 21), (EntryStatus::Regression, Some(RegressionCause::Expired))),
        (date(2026, 11, 22), (EntryStatus::Expected, None)),
        (date(2026, 11, 23), (EntryStatus::Expected, None)),
    ] {
        let entry = ExpectedFailure { until: Some(until), ..make_expected_row("a", V::Ignored) };
        let comparison = compare_one_row(Some(C::Supported), V::Ignored, vec![entry.clone()], false);
        assert_eq!(single_entry(&comparison), case, "{until}");
        assert_eq!(comparison.entries[0].until, Some(until.to_string()));
        // A row that passes is stale on any day.
        assert_eq!(
            single_entry(&compare_one_row(Some(C::Supported), V::Supported, vec![entry], false)),
            (EntryStatus::Stale, None)
        );
    }
}

#[test]
fn an_undecided_row_satisfies_no_entry() {
    for verdict in [V::Inconclusive, V::Skipped] {
        let comparison = compare_one_row(Some(C::Supported), verdict, vec![make_expected_row("a", V::Ignored)], false);
        assert_eq!(single_entry(&comparison), (EntryStatus::Unconfirmed, None));
        assert!(!comparison.fails_run());
        let comparison = compare_one_row(Some(C::Supported), verdict, vec![], false);
        assert_eq!((comparison.entries.len(), comparison.counts.undetermined), (0, 1));
    }
}

#[test]
fn a_listed_row_outside_the_run_is_not_run() {
    let comparison = compare_one_row(Some(C::Supported), V::Supported, vec![make_expected_row("b", V::Ignored)], false);
    assert_eq!(single_entry(&comparison), (EntryStatus::NotRun, None));
    assert_eq!((comparison.entries[0].now, comparison.fails_run()), (None, false));
}

#[test]
fn silent_rows_fail_only_in_strict_mode_and_can_always_be_listed() {
    let silent = |expect, strict| compare_one_row(Some(C::Unsupported), V::Ignored, expect, strict);
    assert_eq!(single_entry(&silent(vec![], true)), (EntryStatus::Regression, Some(RegressionCause::Unlisted)));
    assert_eq!(silent(vec![], false).counts.passes, 1);
    for strict in [true, false] {
        assert_eq!(
            single_entry(&silent(vec![make_expected_row("a", V::Ignored)], strict)),
            (EntryStatus::Expected, None)
        );
    }
}

#[test]
fn a_worse_verdict_than_in_the_earlier_run_is_a_regression() {
    let against = |claim, before, now| {
        let earlier = BaselineSource::EarlierRun(Box::new(run_with_rows(&[("a", claim, before)])));
        compare_and_verify(&run_with_rows(&[("a", claim, now)]), &earlier, false, &[])
    };
    let behind = (EntryStatus::Regression, Some(RegressionCause::FellBehind));
    // A regression without a contradicted claim.
    for claim in [None, Some(C::Unsupported)] {
        for (before, now) in [
            (V::Supported, V::Ignored),
            (V::Supported, V::Rejected),
            (V::Supported, V::Substituted),
            (V::Ignored, V::Rejected),
            (V::Substituted, V::Rejected),
        ] {
            assert_eq!(single_entry(&against(claim, before, now)), behind, "{before} to {now}");
        }
        for (before, now) in [(V::Ignored, V::Supported), (V::Rejected, V::Ignored), (V::Ignored, V::Substituted)] {
            assert!(against(claim, before, now).entries.is_empty(), "{before} to {now}");
        }
    }
    assert_eq!(single_entry(&against(None, V::Supported, V::Inconclusive)), (EntryStatus::Unconfirmed, None));
    assert!(against(None, V::Inconclusive, V::Skipped).entries.is_empty());
    assert_eq!(single_entry(&against(Some(C::Supported), V::Ignored, V::Ignored)), (EntryStatus::Expected, None));
    assert_eq!(single_entry(&against(Some(C::Supported), V::Ignored, V::Supported)), (EntryStatus::Stale, None));
    assert_eq!(
        single_entry(&against(Some(C::Supported), V::Rejected, V::Ignored)),
        (EntryStatus::Regression, Some(RegressionCause::AnotherVerdict))
    );
}

#[test]
fn notes_list_the_differences_between_the_runs() {
    let mut earlier = run_with_rows(&[("a", None, V::Supported), ("b", None, V::Supported)]);
    earlier.target.name = "other".to_owned();
    earlier.target.anthropic_version = "2026-10-21".to_owned();
    let comparison = compare_and_verify(
        &run_with_rows(&[("a", None, V::Supported)]),
        &BaselineSource::EarlierRun(Box::new(earlier)),
        false,
        &[],
    );
    let text = comparison.notes.join("\n");
    for part in ["the target differs: other and any", "2026-10-21", "1 only in the first"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn findings_are_expected_or_regressions() {
    let with = |severity: &[(&str, CheckSeverity)]| {
        let mut run = run_with_rows(&[("a", None, V::Supported)]);
        run.findings = severity.iter().map(|(id, severity)| make_finding(id, *severity)).collect();
        run
    };
    let error = with(&[("x", CheckSeverity::Error)]);
    assert_eq!(
        single_entry(&compare_and_verify(&error, &make_baseline(vec![]), false, &[])),
        (EntryStatus::Regression, Some(RegressionCause::Unlisted))
    );
    assert_eq!(
        single_entry(&compare_and_verify(&error, &make_baseline(vec![make_expected_check("x")]), false, &[])),
        (EntryStatus::Expected, None)
    );
    let expired = ExpectedFailure { until: Some(date(2026, 1, 1)), ..make_expected_check("x") };
    assert_eq!(
        single_entry(&compare_and_verify(&error, &make_baseline(vec![expired]), false, &[])),
        (EntryStatus::Regression, Some(RegressionCause::Expired))
    );
    let warning = with(&[("x", CheckSeverity::Warning)]);
    assert!(compare_and_verify(&warning, &make_baseline(vec![]), false, &[]).entries.is_empty());
    assert_eq!(
        single_entry(&compare_and_verify(&warning, &make_baseline(vec![]), true, &[])),
        (EntryStatus::Regression, Some(RegressionCause::Unlisted))
    );
    // A harmless finding can be listed too.
    let note = with(&[("x", CheckSeverity::Note)]);
    assert_eq!(
        single_entry(&compare_and_verify(&note, &make_baseline(vec![make_expected_check("x")]), false, &[])),
        (EntryStatus::Expected, None)
    );
}

#[test]
fn a_finding_is_stale_only_if_it_could_have_appeared() {
    let gone = |run: &Results, all_rows: &[&str]| {
        single_entry(&compare_and_verify(run, &make_baseline(vec![make_expected_check("x")]), false, all_rows)).0
    };
    let all_rows = run_with_rows(&[("a", None, V::Supported), ("b", None, V::Inconclusive)]);
    assert_eq!(gone(&all_rows, &["a", "b"]), EntryStatus::Stale);
    assert_eq!(gone(&all_rows, &["a", "b", "c"]), EntryStatus::NotRun);
    let partial = Results { partial: Some("interrupted".to_owned()), ..all_rows.clone() };
    assert_eq!(gone(&partial, &["a", "b"]), EntryStatus::Unconfirmed);
    let mut silent = all_rows.clone();
    silent.rows[1].arms.clear();
    assert_eq!(gone(&silent, &["a", "b"]), EntryStatus::Unconfirmed);
    // The rows of the finding in the earlier run are enough.
    let mut earlier = all_rows;
    earlier.findings = vec![make_finding("x", CheckSeverity::Error)];
    let earlier = BaselineSource::EarlierRun(Box::new(earlier));
    let of_row = |id: &str| {
        single_entry(&compare_and_verify(&run_with_rows(&[(id, None, V::Supported)]), &earlier, false, &[])).0
    };
    assert_eq!((of_row("a"), of_row("b")), (EntryStatus::Stale, EntryStatus::NotRun));
}

#[test]
fn an_edited_comparison_is_rejected() {
    let good = fixtures::run_with_expectations();
    let refused = |change: &dyn Fn(&mut BaselineComparison)| {
        let mut run = good.clone();
        change(run.baseline.as_mut().expect("there is a baseline"));
        json::parse("f", &json::render(&run)).expect_err("it was edited").to_string()
    };
    assert!(json::parse("f", &json::render(&good)).is_ok());
    let edited = "The file was edited, or written by another program";
    let first = |comparison: &mut BaselineComparison, case: EntryStatus| {
        comparison.entries.iter().position(|e| e.case == case).expect("there is one")
    };
    let of = |case: EntryStatus, change: &dyn Fn(&mut BaselineEntry)| {
        refused(&|comparison| {
            let at = first(comparison, case);
            change(&mut comparison.entries[at]);
        })
    };
    assert!(of(EntryStatus::Regression, &|entry| entry.case = EntryStatus::Expected).contains(edited));
    assert!(
        of(EntryStatus::Stale, &|entry| entry.now = Some(EntryState::Verdict(V::Rejected))).contains("field.top_k")
    );
    assert!(of(EntryStatus::Expected, &|entry| entry.listed = false).contains(edited));
    assert!(refused(&|comparison| drop(comparison.entries.remove(0))).contains(edited));
    assert!(refused(&|comparison| comparison.counts.regression = 0).contains("does not match the entries"));
    assert!(refused(&|comparison| comparison.held_on = "today".to_owned()).contains("not a date"));
    assert!(refused(&|comparison| comparison.entries.push(comparison.entries[0].clone())).contains("duplicate entry"));
}

#[test]
fn a_removed_entry_is_detected_by_the_counts() {
    let good = fixtures::run_with_expectations();
    let mut run = good.clone();
    let comparison = run.baseline.as_mut().expect("there is a baseline");
    comparison.entries.retain(|entry| entry.case != EntryStatus::NotRun);
    assert!(json::parse("f", &json::render(&run)).is_err());
}

fn catalog_names() -> CatalogNames {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    CatalogNames {
        rows: names(&["field.top_k", "field.top_p", "stream.order"]),
        checks: names(&["sse.ping-missing", "error.envelope"]),
        targets: names(&["deepseek"]),
    }
}

fn read_error(entries: &str) -> String {
    let text = format!("schema: fieldtest-baseline/1\nexpect:\n{entries}");
    read_expectations("k.yaml", &text, &catalog_names()).expect_err("this must be rejected").to_string()
}

#[test]
fn a_list_of_expected_failures_is_read() {
    let text = "schema: fieldtest-baseline/1\ntarget: deepseek\nexpect:\n  - row: field.top_k\n    verdict: dropped\n    \
                reason: later\n    link: https://x.example/7\n    until: 2027-01-31\n  - check: sse.ping-missing\n    \
                reason: never mind\n";
    let read = read_expectations("k.yaml", text, &catalog_names()).expect("it is valid");
    let mut first = make_expected_row("field.top_k", V::Ignored);
    first.reason = Some("later".to_owned());
    first.link = Some("https://x.example/7".to_owned());
    first.until = Some(date(2027, 1, 31));
    let mut second = make_expected_check("sse.ping-missing");
    second.reason = Some("never mind".to_owned());
    assert_eq!(read.expectations, ExpectationList { target: Some("deepseek".to_owned()), expect: vec![first, second] });
    assert_eq!(read.locations.iter().map(|place| place.line).collect::<Vec<_>>(), [4, 9]);
}

#[test]
fn every_problem_of_a_file_has_its_location() {
    let row = |keys: &str| read_error(&format!("  - row: field.top_k\n{keys}"));
    let cases = [
        (
            read_error("  - row: field.topk\n    verdict: ignored\n    reason: r\n"),
            "k.yaml:3:10: unknown row `field.topk`",
        ),
        (read_error("  - row: field.topk\n    verdict: ignored\n    reason: r\n"), "did you mean `field.top_k`?"),
        (read_error("  - check: sse.ping\n    reason: r\n"), "k.yaml:3:12: unknown check `sse.ping`"),
        (row("    reason: r\n"), "k.yaml:3:10: the entry of `field.top_k` has no `verdict`"),
        (row("    verdict: ignored\n"), "k.yaml:3:10: the entry of `field.top_k` has no `reason`"),
        (row("    verdict: ignored\n    reason: \" \"\n"), "k.yaml:5:13: the reason of `field.top_k` is empty"),
        (row("    verdict: ignord\n    reason: r\n"), "k.yaml:4:14: `ignord` cannot be an expected verdict"),
        (row("    verdict: ignord\n    reason: r\n"), "did you mean `ignored`?"),
        (row("    verdict: inconclusive\n    reason: r\n"), "satisfies no entry"),
        (
            row("    verdict: ignored\n    reason: r\n    until: 2027-02-30\n"),
            "k.yaml:6:12: `2027-02-30` is not a date",
        ),
        (row("    verdict: ignored\n    reason: r\n    until: soon\n"), "Use the form 2027-01-31"),
        (
            row("    verdict: ignored\n    reason: r\n    link: javascript:x\n"),
            "k.yaml:6:11: `javascript:x` is not a web",
        ),
        (row("    check: error.envelope\n    reason: r\n"), "has both"),
        (read_error("  - reason: r\n"), "has neither"),
        (read_error("  - check: error.envelope\n    verdict: ignored\n    reason: r\n"), "a finding has no verdict"),
        (row("    verdict: ignored\n    reason: r\n    untill: 2027-01-31\n"), "unknown key `untill`"),
    ];
    for (message, part) in cases {
        assert!(message.contains(part), "`{part}` is not in:\n{message}");
    }
    let entry = "  - row: field.top_k\n    verdict: ignored\n    reason: r\n";
    let twice = read_error(&format!("{entry}{entry}"));
    assert!(twice.contains("k.yaml:6:10: `field.top_k` is listed twice"), "{twice}");
    assert!(twice.contains("is on line 3"), "{twice}");
    let version = read_expectations("k.yaml", "schema: fieldtest-baseline/3\nexpect: []\n", &catalog_names());
    assert!(version.expect_err("another version").to_string().contains("reads fieldtest-baseline/2"));
    let target =
        read_expectations("k.yaml", "schema: fieldtest-baseline/1\ntarget: deepsek\nexpect: []\n", &catalog_names());
    assert!(target.expect_err("no target").to_string().contains("k.yaml:2:9: unknown target `deepsek`"));
}

#[test]
fn the_kind_of_baseline_follows_from_its_text() {
    let entry = r#"{"row": "field.top_k", "verdict": "ignored", "reason": "r"}"#;
    let text = format!(r#"{{"schema": "fieldtest-baseline/1", "expect": [{entry}]}}"#);
    assert!(matches!(read_baseline("k.json", &text, &catalog_names()), Ok(BaselineSource::Expectations(_))));
    let mut run = fixtures::every_outcome();
    run.rows[0].verdict.reason = "an answer with \"fieldtest-baseline/1\" in it".to_owned();
    assert!(!is_expectations(&json::render(&run)));
}

#[test]
fn an_earlier_run_with_unknown_rows_is_rejected() {
    let run = fixtures::every_outcome();
    let text = json::render(&run);
    let mut known = CatalogNames {
        rows: run.rows.iter().map(|row| row.id.clone()).collect(),
        checks: run.findings.iter().map(|finding| finding.check.clone()).collect(),
        targets: vec![],
    };
    assert!(matches!(read_baseline("r.json", &text, &known), Ok(BaselineSource::EarlierRun(_))));
    known.rows.retain(|id| id != "field.top_k");
    let message = read_baseline("r.json", &text, &known).expect_err("a row is unknown").to_string();
    assert!(
        message.contains("unknown row `field.top_k`") && message.contains("did you mean `field.top_p`?"),
        "{message}"
    );
    assert!(message.contains("r.json:") && message.contains("\"id\": \"field.top_k\""), "{message}");
}

#[test]
fn an_update_keeps_removes_changes_and_adds() {
    let results = run_with_rows(&[
        ("kept", Some(C::Supported), V::Ignored),
        ("gone", Some(C::Supported), V::Supported),
        ("other", Some(C::Supported), V::Rejected),
        ("old", Some(C::Supported), V::Ignored),
        ("open", Some(C::Supported), V::Inconclusive),
        ("new", Some(C::Supported), V::Ignored),
    ]);
    let expired = ExpectedFailure { until: Some(date(2026, 1, 1)), ..make_expected_row("old", V::Ignored) };
    let kept = ExpectedFailure { link: Some("https://x.example".to_owned()), ..make_expected_row("kept", V::Ignored) };
    let absent = make_expected_row("absent", V::Ignored);
    let open = make_expected_row("open", V::Ignored);
    let expect = vec![
        kept.clone(),
        make_expected_row("gone", V::Ignored),
        make_expected_row("other", V::Ignored),
        expired,
        open.clone(),
        absent.clone(),
    ];
    let options = CompareOptions { file: "f", today: TODAY, strict: false, all_rows: &[] };
    let old = ExpectationList { target: None, expect };
    let (new, changes) = update(&old, &results, &options, "since 1.4");
    let because =
        |id, verdict| ExpectedFailure { reason: Some("since 1.4".to_owned()), ..make_expected_row(id, verdict) };
    let expected =
        [kept, because("other", V::Rejected), because("old", V::Ignored), open, absent, because("new", V::Ignored)];
    assert_eq!(new.expect, expected);
    let text: Vec<String> = changes.iter().map(BaselineChange::to_string).collect();
    assert_eq!(
        text,
        [
            "removed  gone: no longer fails",
            "changed  other: ignored to rejected",
            "renewed  old: the entry had expired",
            "added    new: ignored",
        ]
    );
    assert!(update(&new, &results, &options, "again").1.is_empty());
}

#[test]
fn parts_of_a_run_are_combined_unless_they_contradict_each_other() {
    let (a, b) = (
        run_with_rows(&[("a", None, V::Supported)]),
        run_with_rows(&[("b", None, V::Ignored), ("a", None, V::Skipped)]),
    );
    let all_rows = combine_results(&[a.clone(), b]).expect("they fit");
    assert_eq!(all_rows.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(all_rows.summary, ResultsSummary::from_rows(&all_rows.rows));
    let message = combine_results(&[a.clone(), run_with_rows(&[("a", None, V::Ignored)])])
        .expect_err("they contradict each other");
    assert!(message.contains("supported") && message.contains("ignored"), "{message}");
    let mut other = a.clone();
    other.target.name = "other".to_owned();
    assert!(combine_results(&[a, other]).is_err());
}

fn row_ids(run: &Results) -> Vec<String> {
    run.rows.iter().map(|row| row.id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_has_no_regression_against_itself_or_its_own_list(run in fixtures::any_run_without_baseline(), strict: bool) {
        let all_rows = row_ids(&run);
        let options = CompareOptions { file: "f", today: TODAY, strict, all_rows: &all_rows };
        let expect = collect_failures(&run, strict);
        let count = expect.len() as u64;
        for baseline in [make_baseline(expect), BaselineSource::EarlierRun(Box::new(run.clone()))] {
            let comparison = compare(&run, &baseline, &options);
            prop_assert!(!comparison.fails_run(), "{:?}", comparison.entries);
            prop_assert_eq!(comparison.counts.expected, count);
            prop_assert_eq!(comparison.counts.unconfirmed + comparison.counts.not_run, 0);
        }
    }

    #[test]
    fn every_unlisted_failure_is_a_regression(run in fixtures::any_run_without_baseline(), strict: bool) {
        let options = CompareOptions { file: "f", today: TODAY, strict, all_rows: &[] };
        let comparison = compare(&run, &make_baseline(vec![]), &options);
        prop_assert_eq!(comparison.counts.regression, collect_failures(&run, strict).len() as u64);
        prop_assert_eq!(comparison.counts.stale, 0);
    }

    #[test]
    fn a_written_list_is_valid_and_read_back_unchanged(run in fixtures::any_run_without_baseline(), text in ".{1,60}", day: bool) {
        prop_assume!(!text.trim().is_empty());
        let mut expect = collect_failures(&run, true);
        for listed in &mut expect {
            listed.reason = Some(text.clone());
            listed.link = day.then(|| "https://x.example/a?b=c#d".to_owned());
            listed.until = day.then_some(TODAY);
        }
        let known = CatalogNames {
            rows: row_ids(&run),
            checks: run.findings.iter().map(|finding| finding.check.clone()).collect(),
            targets: vec![run.target.name.clone()],
        };
        let expectations = ExpectationList { target: day.then(|| run.target.name.clone()), expect };
        let written = write_expectations(&expectations).expect("plain data");
        let again = read_expectations("k.yaml", &written, &known);
        prop_assert_eq!(again.map(|read| read.expectations), Ok(expectations), "{}", written);
        let value: serde_json::Value = serde_yaml::from_str(&written).expect("it was read before");
        let validator = published_schemas::validator_for("baseline");
        prop_assert!(validator.is_valid(&value), "{}", written);
    }

    #[test]
    fn an_updated_list_fits_the_run(run in fixtures::any_run_without_baseline(), then in fixtures::any_run_without_baseline(), strict: bool) {
        let mut then = then;
        for (row, now) in then.rows.iter_mut().zip(&run.rows) {
            row.id.clone_from(&now.id);
        }
        let all_rows = row_ids(&run);
        let options = CompareOptions { file: "f", today: TODAY, strict, all_rows: &all_rows };
        let old = ExpectationList { target: None, expect: collect_failures(&then, strict) };
        let (new, _) = update(&old, &run, &options, "r");
        prop_assert!(!compare(&run, &BaselineSource::Expectations(new.clone()), &options).fails_run());
        prop_assert!(update(&new, &run, &options, "r").1.is_empty());
    }
}
