//! Adversaries: servers that provoke wrong verdicts. For each of them, every decided verdict of
//! every
//! row must be true, or the row must be inconclusive.
//!
//! They are proxies in front of the simulated reference. `FIELDTEST_TABLE=1 cargo test --test it
//! adversaries::table -- --nocapture` prints a table of the results, in lines that begin with `|`.

#![allow(clippy::print_stdout, reason = "the table is for people")]

mod acts;
mod run;
mod server;
mod truth;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures_util::stream::{self, StreamExt as _};
use run::{seen, told};
use server::Adversary;
use truth::{ALL, Truth};

/// Asserts that no decided verdict is wrong, and that the required verdicts are reached.
async fn assert_no_wrong_verdict(adversary: Adversary) {
    let (seen, truth) = (seen(adversary).await, Truth::of(adversary));
    assert!(seen.acted > 0, "{adversary:?} never acted");
    assert!(seen.unnoticed * 4 <= seen.runs.len(), "{} of {} runs noticed nothing", seen.unnoticed, seen.runs.len());
    let mut problems: Vec<String> =
        seen.wrong(truth).iter().map(|wrong| format!("wrong: {}: {}", wrong.row, wrong.told)).collect();
    for (row, status) in truth.reach {
        for run in seen.runs.iter().filter(|run| run[*row].status != *status) {
            problems.push(format!("not reached: {row} should be {status}, and is {}", told(&run[*row])));
        }
    }
    assert!(problems.is_empty(), "{}:\n{}", truth.is, problems.join("\n"));
}

macro_rules! adversaries {
    ($($(#[$attribute:meta])* $name:ident: $adversary:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            assert_no_wrong_verdict(Adversary::$adversary).await;
        }
    )*};
}

adversaries! {
    a_server_that_responds_from_a_cache: AnswersFromACache,
    a_server_that_hides_its_cache: HidesItsCache,
    a_server_that_repeats_the_request: Parrots,
    a_server_that_always_thinks: ThinksUnasked,
    a_server_that_always_caches: CachesUnasked,
    a_server_that_rejects_unknown_keys: RefusesUnknownKeys,
    a_server_that_accepts_anything: AcceptsAnything,
    a_server_that_validates_and_then_ignores: ValidatesThenIgnores,
    a_server_that_rescales_values: Rescales,
    a_server_that_substitutes_models_silently: SubstitutesSilently,
    a_load_balancer_over_different_servers: LoadBalances,
    a_server_that_rejects_fields_without_naming_them: RefusesNamelessly,
    a_server_whose_errors_name_no_field: WordsRefusalsNamelessly,
    a_server_that_is_overloaded_every_second_time: OverloadedEverySecondTime,
    a_server_that_responds_in_german: AnswersInGerman,
    a_server_that_returns_200_for_errors: SaysOkToErrors,
    a_server_whose_assistant_reports_errors: SpeaksErrors,
    a_server_that_adds_a_temperature: AddsTemperature,
    a_server_that_only_requires_its_headers: ChecksOnlyPresence,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table() {
    let mut table = String::from(
        "\n| adversary | provoked rows | right verdict | verdict of fieldtest | wrong verdicts, of all rows |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut all = stream::iter(&ALL).map(|truth| async move { (truth, seen(truth.adversary).await) }).buffered(2);
    while let Some((truth, seen)) = all.next().await {
        for row in truth.tempts {
            assert!(seen.upstream.contains_key(*row), "{:?} tempts `{row}`, which is not a row", truth.adversary);
        }
        let rows = truth.tempts.iter().map(|row| format!("`{row}`")).collect::<Vec<_>>().join("<br>");
        let said = truth.tempts.iter().map(|row| seen.said(row)).collect::<Vec<_>>().join("<br>");
        let wrong: BTreeSet<String> = seen.wrong(truth).iter().map(|wrong| format!("`{}`", wrong.row)).collect();
        let list = wrong.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let (of, list) = (seen.upstream.len(), if list.is_empty() { list } else { format!(": {list}") });
        let noticed = seen.runs.len();
        let all = noticed + seen.unnoticed;
        let noticed = if all > 1 { format!("; noticed in {noticed} of {all} runs, these") } else { String::new() };
        writeln!(
            table,
            "| {} | {rows} | {} | {said} | {} of {of}{list}{noticed} |",
            truth.is,
            truth.right,
            wrong.len()
        )
        .unwrap();
    }
    if std::env::var_os("FIELDTEST_TABLE").is_some_and(|value| value == "1") {
        println!("{table}");
    }
}
