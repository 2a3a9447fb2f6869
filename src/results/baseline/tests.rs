//! What holds of baselines: each case by hand, and what must hold of any run.

use jiff::civil::{Date, date};
use proptest::prelude::*;

use crate::catalog::{ClaimStatus as C, VerdictStatus as V};
use crate::results::baseline::*;
use crate::results::model::{Finding, Results, Severity, Summary};
use crate::results::{fixtures, json};

const TODAY: Date = date(2026, 11, 22);

fn run(rows: &[(&str, Option<C>, V)]) -> Results {
    let rows = rows.iter().map(|(id, claim, verdict)| fixtures::row("S", id, id, *claim, *verdict));
    fixtures::run("any", rows.collect())
}

fn found(check: &str, severity: Severity) -> Finding {
    Finding { check: check.to_owned(), severity, count: 1, rows: vec!["a".to_owned()], example: String::new() }
}

fn listed(id: &str, verdict: V) -> Listed {
    let subject = Subject::Row(id.to_owned());
    Listed { subject, verdict: Some(verdict), reason: Some("known".to_owned()), link: None, until: None }
}

fn listed_check(id: &str) -> Listed {
    let subject = Subject::Check(id.to_owned());
    Listed { subject, verdict: None, reason: Some("known".to_owned()), link: None, until: None }
}

fn list(expect: Vec<Listed>) -> Baseline {
    Baseline::Expectations(Expectations { target: None, expect })
}

fn hold_at(results: &Results, baseline: &Baseline, strict: bool, whole: &[&str]) -> Held {
    let whole: Vec<String> = whole.iter().map(|id| (*id).to_owned()).collect();
    let held = hold(results, baseline, &Setting { file: "f", today: TODAY, strict, whole: &whole });
    let with = Results { baseline: Some(held.clone()), ..results.clone() };
    assert_eq!(inconsistency(&with, &held), None);
    held
}

/// What is told of the only entry.
fn only(held: &Held) -> (Case, Option<Cause>) {
    let [entry] = held.entries.as_slice() else { panic!("one entry, not {:?}", held.entries) };
    (entry.case, entry.cause)
}

/// A row with this claim and verdict, held against a list.
fn row_against(claim: Option<C>, verdict: V, expect: Vec<Listed>, strict: bool) -> Held {
    hold_at(&run(&[("a", claim, verdict)]), &list(expect), strict, &[])
}

#[test]
fn the_four_cases_of_rows() {
    let broken = |expect| row_against(Some(C::Supported), V::Ignored, expect, false);
    assert_eq!(only(&broken(vec![listed("a", V::Ignored)])), (Case::Expected, None));
    assert_eq!(only(&broken(vec![])), (Case::Regression, Some(Cause::Unlisted)));
    let sound = |expect| row_against(Some(C::Supported), V::Supported, expect, false);
    assert_eq!(only(&sound(vec![listed("a", V::Ignored)])), (Case::Stale, None));
    assert_eq!(only(&sound(vec![listed("a", V::Supported)])), (Case::Stale, None));
    let passes = sound(vec![]);
    assert_eq!((passes.entries.len(), passes.counts.passes, passes.is_broken()), (0, 1, false));
}

#[test]
fn an_entry_is_bound_to_its_verdict_and_to_its_days() {
    let held = row_against(Some(C::Supported), V::Ignored, vec![listed("a", V::Rejected)], false);
    assert_eq!(only(&held), (Case::Regression, Some(Cause::AnotherVerdict)));
    for (until, case) in [
        (date(2026, 11, 21), (Case::Regression, Some(Cause::Expired))),
        (date(2026, 11, 22), (Case::Expected, None)),
        (date(2026, 11, 23), (Case::Expected, None)),
    ] {
        let entry = Listed { until: Some(until), ..listed("a", V::Ignored) };
        let held = row_against(Some(C::Supported), V::Ignored, vec![entry.clone()], false);
        assert_eq!(only(&held), case, "{until}");
        assert_eq!(held.entries[0].until, Some(until.to_string()));
        // What passes is stale whatever day it is.
        assert_eq!(only(&row_against(Some(C::Supported), V::Supported, vec![entry], false)), (Case::Stale, None));
    }
}

#[test]
fn what_is_not_decided_satisfies_no_entry() {
    for verdict in [V::Inconclusive, V::Skipped] {
        let held = row_against(Some(C::Supported), verdict, vec![listed("a", V::Ignored)], false);
        assert_eq!(only(&held), (Case::Unconfirmed, None));
        assert!(!held.is_broken());
        let held = row_against(Some(C::Supported), verdict, vec![], false);
        assert_eq!((held.entries.len(), held.counts.undetermined), (0, 1));
    }
}

#[test]
fn a_row_that_was_not_run_is_told() {
    let held = row_against(Some(C::Supported), V::Supported, vec![listed("b", V::Ignored)], false);
    assert_eq!(only(&held), (Case::NotRun, None));
    assert_eq!((held.entries[0].now, held.is_broken()), (None, false));
}

#[test]
fn silent_rows_fail_strictly_and_may_be_listed_either_way() {
    let silent = |expect, strict| row_against(Some(C::Unsupported), V::Ignored, expect, strict);
    assert_eq!(only(&silent(vec![], true)), (Case::Regression, Some(Cause::Unlisted)));
    assert_eq!(silent(vec![], false).counts.passes, 1);
    for strict in [true, false] {
        assert_eq!(only(&silent(vec![listed("a", V::Ignored)], strict)), (Case::Expected, None));
    }
}

#[test]
fn an_earlier_run_is_something_to_fall_behind_of() {
    let against = |claim, before, now| {
        let earlier = Baseline::Earlier(Box::new(run(&[("a", claim, before)])));
        hold_at(&run(&[("a", claim, now)]), &earlier, false, &[])
    };
    let behind = (Case::Regression, Some(Cause::FellBehind));
    // No claim is contradicted, and yet something was lost.
    for claim in [None, Some(C::Unsupported)] {
        for (before, now) in [
            (V::Supported, V::Ignored),
            (V::Supported, V::Rejected),
            (V::Supported, V::Substituted),
            (V::Ignored, V::Rejected),
            (V::Substituted, V::Rejected),
        ] {
            assert_eq!(only(&against(claim, before, now)), behind, "{before} to {now}");
        }
        for (before, now) in [(V::Ignored, V::Supported), (V::Rejected, V::Ignored), (V::Ignored, V::Substituted)] {
            assert!(against(claim, before, now).entries.is_empty(), "{before} to {now}");
        }
    }
    assert_eq!(only(&against(None, V::Supported, V::Inconclusive)), (Case::Unconfirmed, None));
    assert!(against(None, V::Inconclusive, V::Skipped).entries.is_empty());
    assert_eq!(only(&against(Some(C::Supported), V::Ignored, V::Ignored)), (Case::Expected, None));
    assert_eq!(only(&against(Some(C::Supported), V::Ignored, V::Supported)), (Case::Stale, None));
    assert_eq!(
        only(&against(Some(C::Supported), V::Rejected, V::Ignored)),
        (Case::Regression, Some(Cause::AnotherVerdict))
    );
}

#[test]
fn what_differs_between_the_runs_is_told() {
    let mut earlier = run(&[("a", None, V::Supported), ("b", None, V::Supported)]);
    earlier.target.name = "other".to_owned();
    earlier.target.anthropic_version = "2026-10-21".to_owned();
    let held = hold_at(&run(&[("a", None, V::Supported)]), &Baseline::Earlier(Box::new(earlier)), false, &[]);
    let told = held.notes.join("\n");
    for part in ["the target differs: other and any", "2026-10-21", "1 only in the first"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn findings_are_seen_or_not() {
    let with = |severity: &[(&str, Severity)]| {
        let mut run = run(&[("a", None, V::Supported)]);
        run.findings = severity.iter().map(|(id, severity)| found(id, *severity)).collect();
        run
    };
    let error = with(&[("x", Severity::Error)]);
    assert_eq!(only(&hold_at(&error, &list(vec![]), false, &[])), (Case::Regression, Some(Cause::Unlisted)));
    assert_eq!(only(&hold_at(&error, &list(vec![listed_check("x")]), false, &[])), (Case::Expected, None));
    let expired = Listed { until: Some(date(2026, 1, 1)), ..listed_check("x") };
    assert_eq!(only(&hold_at(&error, &list(vec![expired]), false, &[])), (Case::Regression, Some(Cause::Expired)));
    let warning = with(&[("x", Severity::Warning)]);
    assert!(hold_at(&warning, &list(vec![]), false, &[]).entries.is_empty());
    assert_eq!(only(&hold_at(&warning, &list(vec![]), true, &[])), (Case::Regression, Some(Cause::Unlisted)));
    // What harms nobody may be listed: it is seen, so the entry says what is true.
    let note = with(&[("x", Severity::Note)]);
    assert_eq!(only(&hold_at(&note, &list(vec![listed_check("x")]), false, &[])), (Case::Expected, None));
}

#[test]
fn a_finding_is_gone_only_where_it_could_have_been_seen() {
    let gone = |run: &Results, whole: &[&str]| only(&hold_at(run, &list(vec![listed_check("x")]), false, whole)).0;
    let whole = run(&[("a", None, V::Supported), ("b", None, V::Inconclusive)]);
    assert_eq!(gone(&whole, &["a", "b"]), Case::Stale);
    assert_eq!(gone(&whole, &["a", "b", "c"]), Case::NotRun);
    let partial = Results { partial: Some("interrupted".to_owned()), ..whole.clone() };
    assert_eq!(gone(&partial, &["a", "b"]), Case::Unconfirmed);
    let mut silent = whole.clone();
    silent.rows[1].arms.clear();
    assert_eq!(gone(&silent, &["a", "b"]), Case::Unconfirmed);
    // An earlier run says where it was seen: that row is enough.
    let mut earlier = whole;
    earlier.findings = vec![found("x", Severity::Error)];
    let earlier = Baseline::Earlier(Box::new(earlier));
    let of_row = |id: &str| only(&hold_at(&run(&[(id, None, V::Supported)]), &earlier, false, &[])).0;
    assert_eq!((of_row("a"), of_row("b")), (Case::Stale, Case::NotRun));
}

#[test]
fn a_comparison_that_was_edited_is_refused() {
    let good = fixtures::held_against_a_list();
    let refused = |change: &dyn Fn(&mut Held)| {
        let mut run = good.clone();
        change(run.baseline.as_mut().expect("it was held"));
        json::parse("f", &json::render(&run)).expect_err("it was edited").to_string()
    };
    assert!(json::parse("f", &json::render(&good)).is_ok());
    let edited = "the file was edited, or written by something else";
    let first = |held: &mut Held, case: Case| held.entries.iter().position(|e| e.case == case).expect("there is one");
    let of = |case: Case, change: &dyn Fn(&mut Entry)| {
        refused(&|held| {
            let at = first(held, case);
            change(&mut held.entries[at]);
        })
    };
    assert!(of(Case::Regression, &|entry| entry.case = Case::Expected).contains(edited));
    assert!(of(Case::Stale, &|entry| entry.now = Some(State::Verdict(V::Rejected))).contains("field.top_k"));
    assert!(of(Case::Expected, &|entry| entry.listed = false).contains(edited));
    assert!(refused(&|held| drop(held.entries.remove(0))).contains(edited));
    assert!(refused(&|held| held.counts.regression = 0).contains("does not count the entries"));
    assert!(refused(&|held| held.held_on = "today".to_owned()).contains("no day"));
    assert!(refused(&|held| held.entries.push(held.entries[0].clone())).contains("twice"));
}

#[test]
fn a_missing_finding_entry_is_noticed_by_its_count() {
    let good = fixtures::held_against_a_list();
    let mut run = good.clone();
    let held = run.baseline.as_mut().expect("it was held");
    held.entries.retain(|entry| entry.case != Case::NotRun);
    assert!(json::parse("f", &json::render(&run)).is_err());
}

fn known() -> Known {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Known {
        rows: names(&["field.top_k", "field.top_p", "stream.order"]),
        checks: names(&["sse.ping-missing", "error.envelope"]),
        targets: names(&["deepseek"]),
    }
}

fn wrong(entries: &str) -> String {
    let text = format!("schema: fieldtest-baseline/1\nexpect:\n{entries}");
    read_expectations("k.yaml", &text, &known()).expect_err("this must be refused").to_string()
}

#[test]
fn a_file_of_expectations_is_read() {
    let text = "schema: fieldtest-baseline/1\ntarget: deepseek\nexpect:\n  - row: field.top_k\n    verdict: dropped\n    \
                reason: later\n    link: https://x.example/7\n    until: 2027-01-31\n  - check: sse.ping-missing\n    \
                reason: never mind\n";
    let read = read_expectations("k.yaml", text, &known()).expect("it is sound");
    let mut first = listed("field.top_k", V::Ignored);
    first.reason = Some("later".to_owned());
    first.link = Some("https://x.example/7".to_owned());
    first.until = Some(date(2027, 1, 31));
    let mut second = listed_check("sse.ping-missing");
    second.reason = Some("never mind".to_owned());
    assert_eq!(read.expectations, Expectations { target: Some("deepseek".to_owned()), expect: vec![first, second] });
    assert_eq!(read.places.iter().map(|place| place.line).collect::<Vec<_>>(), [4, 9]);
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let row = |keys: &str| wrong(&format!("  - row: field.top_k\n{keys}"));
    let cases = [
        (
            wrong("  - row: field.topk\n    verdict: ignored\n    reason: r\n"),
            "k.yaml:3:10: there is no row `field.topk`",
        ),
        (wrong("  - row: field.topk\n    verdict: ignored\n    reason: r\n"), "did you mean `field.top_k`?"),
        (wrong("  - check: sse.ping\n    reason: r\n"), "k.yaml:3:12: there is no check `sse.ping`"),
        (row("    reason: r\n"), "k.yaml:3:10: the entry of `field.top_k` has no `verdict`"),
        (row("    verdict: ignored\n"), "k.yaml:3:10: the entry of `field.top_k` has no `reason`"),
        (row("    verdict: ignored\n    reason: \" \"\n"), "k.yaml:5:13: the reason of `field.top_k` is blank"),
        (row("    verdict: ignord\n    reason: r\n"), "k.yaml:4:14: `ignord` is no verdict"),
        (row("    verdict: ignord\n    reason: r\n"), "did you mean `ignored`?"),
        (row("    verdict: inconclusive\n    reason: r\n"), "satisfies no entry"),
        (row("    verdict: ignored\n    reason: r\n    until: 2027-02-30\n"), "k.yaml:6:12: `2027-02-30` is no day"),
        (row("    verdict: ignored\n    reason: r\n    until: soon\n"), "expected one like 2027-01-31"),
        (row("    verdict: ignored\n    reason: r\n    link: javascript:x\n"), "k.yaml:6:11: `javascript:x` is no web"),
        (row("    check: error.envelope\n    reason: r\n"), "here are both"),
        (wrong("  - reason: r\n"), "here is neither"),
        (wrong("  - check: error.envelope\n    verdict: ignored\n    reason: r\n"), "a finding has no verdict"),
        (row("    verdict: ignored\n    reason: r\n    untill: 2027-01-31\n"), "unknown key `untill`"),
    ];
    for (said, part) in cases {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    let entry = "  - row: field.top_k\n    verdict: ignored\n    reason: r\n";
    let twice = wrong(&format!("{entry}{entry}"));
    assert!(twice.contains("k.yaml:6:10: `field.top_k` is listed twice"), "{twice}");
    assert!(twice.contains("stands on line 3"), "{twice}");
    let version = read_expectations("k.yaml", "schema: fieldtest-baseline/2\nexpect: []\n", &known());
    assert!(version.expect_err("another version").to_string().contains("reads fieldtest-baseline/1"));
    let target = read_expectations("k.yaml", "schema: fieldtest-baseline/1\ntarget: deepsek\nexpect: []\n", &known());
    assert!(target.expect_err("no target").to_string().contains("k.yaml:2:9: there is no target `deepsek`"));
}

#[test]
fn the_text_tells_which_kind_of_file_it_is() {
    let entry = r#"{"row": "field.top_k", "verdict": "ignored", "reason": "r"}"#;
    let text = format!(r#"{{"schema": "fieldtest-baseline/1", "expect": [{entry}]}}"#);
    assert!(matches!(read("k.json", &text, &known()), Ok(Baseline::Expectations(_))));
    let mut run = fixtures::every_outcome();
    run.rows[0].verdict.reason = "an answer with \"fieldtest-baseline/1\" in it".to_owned();
    assert!(!is_expectations(&json::render(&run)));
}

#[test]
fn an_earlier_run_of_rows_that_nobody_knows_is_refused() {
    let run = fixtures::every_outcome();
    let text = json::render(&run);
    let mut known = Known {
        rows: run.rows.iter().map(|row| row.id.clone()).collect(),
        checks: run.findings.iter().map(|finding| finding.check.clone()).collect(),
        targets: vec![],
    };
    assert!(matches!(read("r.json", &text, &known), Ok(Baseline::Earlier(_))));
    known.rows.retain(|id| id != "field.top_k");
    let said = read("r.json", &text, &known).expect_err("a row is not known").to_string();
    assert!(said.contains("there is no row `field.top_k`") && said.contains("did you mean `field.top_p`?"), "{said}");
    assert!(said.contains("r.json:") && said.contains("\"id\": \"field.top_k\""), "{said}");
}

#[test]
fn an_update_keeps_removes_changes_and_adds() {
    let results = run(&[
        ("kept", Some(C::Supported), V::Ignored),
        ("gone", Some(C::Supported), V::Supported),
        ("other", Some(C::Supported), V::Rejected),
        ("old", Some(C::Supported), V::Ignored),
        ("open", Some(C::Supported), V::Inconclusive),
        ("new", Some(C::Supported), V::Ignored),
    ]);
    let expired = Listed { until: Some(date(2026, 1, 1)), ..listed("old", V::Ignored) };
    let kept = Listed { link: Some("https://x.example".to_owned()), ..listed("kept", V::Ignored) };
    let absent = listed("absent", V::Ignored);
    let open = listed("open", V::Ignored);
    let expect = vec![
        kept.clone(),
        listed("gone", V::Ignored),
        listed("other", V::Ignored),
        expired,
        open.clone(),
        absent.clone(),
    ];
    let setting = Setting { file: "f", today: TODAY, strict: false, whole: &[] };
    let old = Expectations { target: None, expect };
    let (new, changes) = update(&old, &results, &setting, "since 1.4");
    let because = |id, verdict| Listed { reason: Some("since 1.4".to_owned()), ..listed(id, verdict) };
    let expected =
        [kept, because("other", V::Rejected), because("old", V::Ignored), open, absent, because("new", V::Ignored)];
    assert_eq!(new.expect, expected);
    let told: Vec<String> = changes.iter().map(Change::to_string).collect();
    assert_eq!(
        told,
        [
            "removed  gone: it fails no longer",
            "changed  other: ignored to rejected",
            "renewed  old: its entry had expired",
            "added    new: ignored",
        ]
    );
    assert!(update(&new, &results, &setting, "again").1.is_empty());
}

#[test]
fn parts_of_a_run_are_one_and_contradicting_ones_are_none() {
    let (a, b) = (run(&[("a", None, V::Supported)]), run(&[("b", None, V::Ignored), ("a", None, V::Skipped)]));
    let whole = gather(&[a.clone(), b]).expect("they fit");
    assert_eq!(whole.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(whole.summary, Summary::of(&whole.rows));
    let said = gather(&[a.clone(), run(&[("a", None, V::Ignored)])]).expect_err("they contradict each other");
    assert!(said.contains("supported") && said.contains("ignored"), "{said}");
    let mut other = a.clone();
    other.target.name = "other".to_owned();
    assert!(gather(&[a, other]).is_err());
}

fn whole_of(run: &Results) -> Vec<String> {
    run.rows.iter().map(|row| row.id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_held_against_its_own_list_or_itself_is_never_broken(run in fixtures::any_plain_run(), strict: bool) {
        let whole = whole_of(&run);
        let setting = Setting { file: "f", today: TODAY, strict, whole: &whole };
        let expect = failing(&run, strict);
        let count = expect.len() as u64;
        for baseline in [list(expect), Baseline::Earlier(Box::new(run.clone()))] {
            let held = hold(&run, &baseline, &setting);
            prop_assert!(!held.is_broken(), "{:?}", held.entries);
            prop_assert_eq!(held.counts.expected, count);
            prop_assert_eq!(held.counts.unconfirmed + held.counts.not_run, 0);
        }
    }

    #[test]
    fn nothing_that_fails_passes_unlisted(run in fixtures::any_plain_run(), strict: bool) {
        let setting = Setting { file: "f", today: TODAY, strict, whole: &[] };
        let held = hold(&run, &list(vec![]), &setting);
        prop_assert_eq!(held.counts.regression, failing(&run, strict).len() as u64);
        prop_assert_eq!(held.counts.stale, 0);
    }

    #[test]
    fn a_written_file_reads_as_it_was_meant_and_is_valid(run in fixtures::any_plain_run(), text in ".{1,60}", day: bool) {
        prop_assume!(!text.trim().is_empty());
        let mut expect = failing(&run, true);
        for listed in &mut expect {
            listed.reason = Some(text.clone());
            listed.link = day.then(|| "https://x.example/a?b=c#d".to_owned());
            listed.until = day.then_some(TODAY);
        }
        let known = Known {
            rows: whole_of(&run),
            checks: run.findings.iter().map(|finding| finding.check.clone()).collect(),
            targets: vec![run.target.name.clone()],
        };
        let expectations = Expectations { target: day.then(|| run.target.name.clone()), expect };
        let written = write(&expectations).expect("plain data");
        let again = read_expectations("k.yaml", &written, &known);
        prop_assert_eq!(again.map(|read| read.expectations), Ok(expectations), "{}", written);
        let value: serde_json::Value = serde_yaml::from_str(&written).expect("it was just read");
        let validator = jsonschema::validator_for(&schema()).expect("a valid schema");
        prop_assert!(validator.is_valid(&value), "{}", written);
    }

    #[test]
    fn an_update_brings_a_list_up_to_date(run in fixtures::any_plain_run(), then in fixtures::any_plain_run(), strict: bool) {
        let mut then = then;
        for (row, now) in then.rows.iter_mut().zip(&run.rows) {
            row.id.clone_from(&now.id);
        }
        let whole = whole_of(&run);
        let setting = Setting { file: "f", today: TODAY, strict, whole: &whole };
        let old = Expectations { target: None, expect: failing(&then, strict) };
        let (new, _) = update(&old, &run, &setting, "r");
        prop_assert!(!hold(&run, &Baseline::Expectations(new.clone()), &setting).is_broken());
        prop_assert!(update(&new, &run, &setting, "r").1.is_empty());
    }
}
