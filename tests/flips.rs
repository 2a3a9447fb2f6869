//! Proves that no row's verdict is a constant: whichever status a row can have, the server that has it is seen to have
//! it, on the ground of every target, and no other row's verdict follows along unless it says that it must.
//!
//! To keep the suite quick, several unrelated flips share a run. Where such a run shows anything that is not allowed,
//! its flips are tried again in parts, down to each by itself, and only what is wrong with a flip by itself counts.
//! `FIELDTEST_ALL_FLIPS=1` tries each by itself from the start.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

mod common;

use std::collections::{BTreeMap, HashSet};

use fieldtest::case::{ClaimStatus, VerdictStatus};
use fieldtest::engine::Undecided;
use fieldtest::report::results::{Results, Verdict};
use futures_util::stream::{self, StreamExt as _};

use common::{CATALOG, TARGETS, rows_of, simulate, target};

/// How many flips share a run.
const TOGETHER: usize = 10;
/// How many runs are under way at once.
const SIDE_BY_SIDE: usize = 2;

/// A row, and the status that the simulated server is given there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flip {
    row: &'static str,
    status: VerdictStatus,
}

impl Flip {
    fn claim(self) -> ClaimStatus {
        match self.status {
            VerdictStatus::Supported => ClaimStatus::Supported,
            VerdictStatus::Ignored => ClaimStatus::Ignored,
            VerdictStatus::Rejected => ClaimStatus::Unsupported,
            VerdictStatus::Substituted => ClaimStatus::Substituted,
            VerdictStatus::Inconclusive | VerdictStatus::Skipped => {
                panic!("{}: no server can be told to be {}", self.row, self.status)
            }
        }
    }
}

/// Flips that cannot be seen on a target's ground, and why: there the row may stay undecided, and nothing else.
const NOT_SEEN: [(&str, &str, VerdictStatus, &str); 1] = [(
    "tencent-lkeap",
    "field.thinking.budget_tokens",
    VerdictStatus::Ignored,
    "it works through field.thinking, which is ignored there: no thinking shows which budget it had",
)];

type Verdicts = BTreeMap<String, Verdict>;

fn verdicts(results: Results) -> Verdicts {
    results.rows.into_iter().map(|row| (row.id, row.verdict)).collect()
}

#[test]
fn every_row_has_at_least_two_statuses_that_it_can_have() {
    for row in &CATALOG.rows {
        let statuses: HashSet<VerdictStatus> = row.experiment.statuses.iter().copied().collect();
        assert!(statuses.len() >= 2, "{}: {statuses:?}: what cannot differ need not be tested", row.experiment.id());
        assert!(statuses.iter().all(|status| status.is_decided()), "{}: {statuses:?}", row.experiment.id());
    }
}

#[test]
fn the_reference_can_be_flipped_row_by_row() {
    flip_all("anthropic");
}

#[test]
fn deepseek_can_be_flipped_row_by_row() {
    flip_all("deepseek");
}

#[test]
fn tencent_lkeap_can_be_flipped_row_by_row() {
    flip_all("tencent-lkeap");
}

#[test]
fn there_is_a_test_for_every_target() {
    let targets: Vec<&str> = CATALOG.targets.keys().map(String::as_str).collect();
    assert_eq!(targets, TARGETS);
}

fn flip_all(name: &'static str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let problems = runtime.block_on(async {
        let before = verdicts(simulate(target(name), &[]).await);
        let mut flips = Vec::new();
        let mut problems = Vec::new();
        for row in rows_of(target(name)) {
            let id = row.experiment.id();
            if !row.experiment.statuses.contains(&before[id].status) {
                problems.push(format!("{id}, as the document has it: {}, which it cannot be", told(&before[id])));
            }
            // What it is already has been seen just now. Where a row that it works through is not honoured here,
            // "ignored" could not be proved of it.
            let unfounded = |status: VerdictStatus| {
                status == VerdictStatus::Ignored && row.experiment.through.iter().any(|t| !is_honoured(&before[t]))
            };
            let others =
                row.experiment.statuses.iter().filter(|status| **status != before[id].status && !unfounded(**status));
            flips.extend(others.map(|status| Flip { row: id, status: *status }));
        }
        assert!(flips.len() >= rows_of(target(name)).len() - 2, "nearly every row has another status: {}", flips.len());
        let alone = std::env::var_os("FIELDTEST_ALL_FLIPS").is_some_and(|value| value == "1");
        let mut waiting = batches(&flips, if alone { 1 } else { TOGETHER });
        while !waiting.is_empty() {
            let tried: Vec<Tried> = stream::iter(waiting)
                .map(|batch| tokio::spawn(attempt(name, batch, before.clone())))
                .buffered(SIDE_BY_SIDE)
                .map(|joined| joined.unwrap())
                .collect()
                .await;
            waiting = Vec::new();
            for tried in tried {
                match tried.parts() {
                    Some(parts) => waiting.extend(parts),
                    None => problems.extend(tried.problems),
                }
            }
        }
        problems
    });
    assert!(problems.is_empty(), "on the ground of {name}:\n{}", problems.join("\n"));
}

/// Puts flips together that do not work through one another, and lie far apart in the tables: neighbours meet often.
fn batches(flips: &[Flip], most: usize) -> Vec<Vec<Flip>> {
    let mut batches: Vec<Vec<Flip>> = vec![Vec::new(); flips.len().div_ceil(most)];
    for (nth, flip) in flips.iter().enumerate() {
        let related = |other: &Flip| {
            other.row == flip.row || works_through(other.row, flip.row) || works_through(flip.row, other.row)
        };
        let count = batches.len();
        let place = (nth..nth + count)
            .map(|place| place % count)
            .find(|place| batches[*place].len() < most && !batches[*place].iter().any(related));
        match place {
            Some(place) => batches[place].push(*flip),
            None => batches.push(vec![*flip]),
        }
    }
    batches
}

/// A run with some flips, and what was wrong with it.
struct Tried {
    flips: Vec<Flip>,
    /// Those of the flips that were not seen.
    missed: Vec<Flip>,
    problems: Vec<String>,
}

impl Tried {
    /// The parts to try apart where something is wrong: what was missed and the rest, else the halves. None where
    /// nothing is wrong, or nobody else can be the cause.
    fn parts(&self) -> Option<[Vec<Flip>; 2]> {
        if self.problems.is_empty() || self.flips.len() == 1 {
            return None;
        }
        let seen: Vec<Flip> = self.flips.iter().filter(|flip| !self.missed.contains(flip)).copied().collect();
        if !self.missed.is_empty() && !seen.is_empty() {
            return Some([self.missed.clone(), seen]);
        }
        let (one, other) = self.flips.split_at(self.flips.len() / 2);
        Some([one.to_vec(), other.to_vec()])
    }
}

async fn attempt(name: &'static str, flips: Vec<Flip>, before: Verdicts) -> Tried {
    let claims: Vec<(&str, ClaimStatus)> = flips.iter().map(|flip| (flip.row, flip.claim())).collect();
    let after = verdicts(simulate(target(name), &claims).await);
    let of = flips.iter().map(|flip| format!("{}={}", flip.row, flip.claim())).collect::<Vec<_>>().join(" ");
    let (mut missed, mut problems) = (Vec::new(), Vec::new());
    for (row, verdict) in &after {
        match flips.iter().find(|flip| flip.row == row) {
            Some(flip) if verdict.status == flip.status => {}
            Some(flip) if verdict.status == VerdictStatus::Inconclusive && not_seen(name, *flip) => {}
            Some(flip) => {
                missed.push(*flip);
                problems.push(format!("{of}: {row} is seen as {}, not {}", told(verdict), flip.status));
            }
            None if verdict.status == before[row].status => {}
            None if flips.iter().any(|flip| may_follow(row, verdict, *flip)) => {}
            None => problems.push(format!("{of}: {row} was {} and is now {}", before[row].status, told(verdict))),
        }
    }
    Tried { flips, missed, problems }
}

fn not_seen(name: &str, flip: Flip) -> bool {
    NOT_SEEN.iter().any(|(target, row, status, _)| (*target, *row, *status) == (name, flip.row, flip.status))
}

/// Whether a row's verdict may change because of another row's flip. It may become undecided where it works through
/// that row, or where its request without the field is refused for that row's sake; and it may be refused with it.
/// Never is it decided wrongly.
fn may_follow(row: &str, verdict: &Verdict, flip: Flip) -> bool {
    let refused_for_it = || refused_path(&verdict.reason).is_some_and(|path| ends_with_row(&path, flip.row));
    match verdict.status {
        VerdictStatus::Inconclusive if works_through(row, flip.row) => true,
        VerdictStatus::Inconclusive => {
            verdict.code.as_deref() == Some(Undecided::NegativeRefused.word())
                && flip.status == VerdictStatus::Rejected
                && refused_for_it()
        }
        VerdictStatus::Rejected => flip.status == VerdictStatus::Rejected && works_through(row, flip.row),
        VerdictStatus::Supported | VerdictStatus::Ignored | VerdictStatus::Substituted | VerdictStatus::Skipped => {
            false
        }
    }
}

fn is_honoured(verdict: &Verdict) -> bool {
    verdict.status == VerdictStatus::Supported
}

/// Whether an experiment works through a row, directly or by way of others.
fn works_through(row: &str, other: &str) -> bool {
    let experiment = CATALOG.experiment(row).unwrap();
    experiment.through.iter().any(|next| next == other || works_through(next, other))
}

/// The place that a simulated server names when it refuses, without the numbers in it.
fn refused_path(reason: &str) -> Option<String> {
    let (before, _) = reason.split_once(": not supported by this endpoint")?;
    let place = before.rsplit(' ').next()?;
    Some(
        place.split('.').filter(|part| part.parse::<u32>().is_err() && *part != "custom").collect::<Vec<_>>().join("."),
    )
}

fn ends_with_row(path: &str, row: &str) -> bool {
    let field = row.trim_start_matches("field.").trim_start_matches("header.");
    path == field || path.strip_suffix(field).is_some_and(|rest| rest.ends_with('.'))
}

fn told(verdict: &Verdict) -> String {
    let code = verdict.code.as_ref().map_or(String::new(), |code| format!(", {code}"));
    format!("{}{code} ({})", verdict.status, verdict.reason)
}
