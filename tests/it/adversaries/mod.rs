//! Servers whose behaviour tempts a wrong verdict: for each, across all rows, every decided verdict is right given
//! what that server really does, or the judge says that the evidence does not decide.
//!
//! They stand as proxies in front of the simulator of the reference. The table for people comes from
//! `FIELDTEST_TABLE=1 cargo test --test adversaries table -- --nocapture`, its lines beginning with `|`.

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

/// Asserts that no decided verdict is wrong, and that those that must be reached are.
async fn tempts_in_vain(adversary: Adversary) {
    let (seen, truth) = (seen(adversary).await, Truth::of(adversary));
    assert!(seen.acted > 0, "{adversary:?} never did what it is here for");
    assert!(seen.unnoticed * 4 <= seen.runs.len(), "{} of {} runs noticed nothing", seen.unnoticed, seen.runs.len());
    let mut problems: Vec<String> =
        seen.wrong(truth).iter().map(|wrong| format!("wrong: {}: {}", wrong.row, wrong.told)).collect();
    for (row, status) in truth.reach {
        for run in seen.runs.iter().filter(|run| run[*row].status != *status) {
            problems.push(format!("not reached: {row} is {status}, and was found {}", told(&run[*row])));
        }
    }
    assert!(problems.is_empty(), "{}:\n{}", truth.is, problems.join("\n"));
}

macro_rules! adversaries {
    ($($(#[$attribute:meta])* $name:ident: $adversary:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            tempts_in_vain(Adversary::$adversary).await;
        }
    )*};
}

adversaries! {
    one_that_answers_from_a_cache: AnswersFromACache,
    one_that_hides_its_cache: HidesItsCache,
    one_that_parrots: Parrots,
    one_that_thinks_unasked: ThinksUnasked,
    one_that_caches_unasked: CachesUnasked,
    one_that_refuses_unknown_keys: RefusesUnknownKeys,
    one_that_accepts_anything: AcceptsAnything,
    one_that_validates_and_then_ignores: ValidatesThenIgnores,
    one_that_rescales: Rescales,
    one_that_substitutes_models_silently: SubstitutesSilently,
    one_that_load_balances: LoadBalances,
    one_that_refuses_namelessly: RefusesNamelessly,
    one_that_words_refusals_namelessly: WordsRefusalsNamelessly,
    one_that_is_overloaded_every_second_time: OverloadedEverySecondTime,
    one_that_answers_in_german: AnswersInGerman,
    one_that_says_ok_to_errors: SaysOkToErrors,
    one_that_speaks_errors: SpeaksErrors,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table() {
    let mut table = String::from(
        "\n| adversary | rows it tempts | right verdict | what fieldtest says | wrong verdicts, of all rows |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut all = stream::iter(&ALL).map(|truth| async move { (truth, seen(truth.adversary).await) }).buffered(2);
    while let Some((truth, seen)) = all.next().await {
        for row in truth.tempts {
            assert!(seen.upstream.contains_key(*row), "{:?} tempts `{row}`, which is no row", truth.adversary);
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
