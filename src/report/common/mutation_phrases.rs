//! The sentences about a proof that its formats share, before any format's escaping.

use crate::report::common::format::{count, counted};
use crate::results::mutation::{
    Because, BlindArm, Canary, Change, Control, Failure, Fate, GroundProof, Proof, RowProof,
};

/// The statuses of a row, those that were not reached marked as such.
pub(crate) fn statuses(row: &RowProof) -> String {
    let word = |s: &crate::results::mutation::Reached| match s.on.is_empty() {
        true => format!("NOT {}", s.status),
        false => s.status.to_string(),
    };
    row.statuses.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// `4 of 4`.
pub(crate) fn killed(row: &RowProof) -> String {
    format!("{} of {}", count(row.killed), count(row.mutants))
}

/// A share in percent, rounded down: 100 % means all.
pub(crate) fn percent(rate: f64) -> String {
    let percent = (rate * 1000.0).floor() / 10.0;
    if percent.fract() == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// The whole in a sentence.
pub(crate) fn total(proof: &Proof) -> String {
    let others: Vec<String> = [
        (proof.survived, "survived"),
        (proof.spread, "changed other rows"),
        (proof.void, "void"),
        (proof.unproved, "without a server to try them on"),
        (proof.untried, "not tried"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{} {what}", count(n)))
    .collect();
    let rest = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    format!(
        "{}, {} killed{rest}: kill rate {}",
        counted(proof.mutants, "mutant", "mutants"),
        count(proof.killed),
        percent(proof.kill_rate)
    )
}

/// What must hold for a ground's mutants to mean anything, each in a line; the mark says whether it does.
pub(crate) fn soundness(ground: &GroundProof) -> Vec<(bool, String)> {
    let rows = counted(ground.rows, "row", "rows");
    let mut lines = vec![match ground.unmutated.len() as u64 {
        0 => (true, format!("unmutated: passes, {rows}")),
        n => (
            false,
            format!("unmutated: {} not what the server is, so nothing was mutated", counted(n, "row is", "rows are")),
        ),
    }];
    lines.extend(ground.unmutated.iter().map(|change| (false, self::change(change))));
    if let Some(control) = &ground.control {
        lines.push((control.survived(), self::control(control)));
        lines.extend(control.changes.iter().map(|change| (false, self::change(change))));
    }
    if let Some(canary) = &ground.canary {
        lines.push((canary.died(), self::canary(canary)));
    }
    lines
}

fn control(control: &Control) -> String {
    const WHAT: &str = "control, every row set to what it is, another seed";
    match control.changes.len() as u64 {
        0 => format!("{WHAT}: survives, as it must ({} unchanged)", counted(control.rows, "row", "rows")),
        n => format!("{WHAT}: it must survive, and {} changed", counted(n, "row", "rows")),
    }
}

fn canary(canary: &Canary) -> String {
    const WHAT: &str = "canary, a server that ignores all it can";
    let told = format!("{} of {} notice", count(canary.noticed), counted(canary.rows, "row", "rows"));
    let deceived = match canary.deceived.as_slice() {
        [] => String::new(),
        rows => format!("; still called supported: {}", rows.join(", ")),
    };
    match canary.died() {
        true => format!("{WHAT}: dies, as it must ({told}{deceived})"),
        false => format!("{WHAT}: it must die, and did not ({told}{deceived})"),
    }
}

/// A row that is not what it should be.
pub(crate) fn change(change: &Change) -> String {
    format!("{}: expected {}, reached {}: {}", change.row, change.expected, change.reached, change.reason)
}

/// What is wrong with a row's mutants: sentences, and what goes below each. What was never tried, for one reason on
/// several grounds, is said once.
pub(crate) fn failures(row: &RowProof) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<Vec<&Failure>> = Vec::new();
    for failure in &row.failures {
        let alike = |group: &&mut Vec<&Failure>| {
            let was_tried = matches!(failure.fate, Fate::Killed | Fate::Survived | Fate::Spread);
            !was_tried && group[0].fate == failure.fate && group[0].reason == failure.reason
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(failure),
            None => groups.push(vec![failure]),
        }
    }
    groups.iter().map(|group| told(group)).collect()
}

fn listed(words: impl Iterator<Item = String>) -> String {
    let mut list: Vec<String> = Vec::new();
    words.for_each(|word| {
        if !list.contains(&word) {
            list.push(word);
        }
    });
    list.join(", ")
}

fn told(group: &[&Failure]) -> (String, Vec<String>) {
    let Some(first) = group.first() else { return Default::default() };
    let target = listed(group.iter().map(|failure| failure.target.clone()));
    let expected = listed(group.iter().map(|failure| failure.expected.to_string()));
    let Failure { target: _, expected: _, fate, reached, reason, arms, others } = first;
    let reached = reached.map_or("no verdict", crate::catalog::VerdictStatus::word);
    let mut below = Vec::new();
    let told = match fate {
        Fate::Killed => format!("{expected} on {target}: killed"),
        Fate::Survived => {
            below.push(match arms.as_slice() {
                [] => {
                    "every arm that carries the field came out differently, and the verdict is still wrong".to_owned()
                }
                arms => format!("did not discriminate: {}", arms.iter().map(arm).collect::<Vec<_>>().join("; ")),
            });
            format!("on {target}, expected {expected}, reached {reached}: {reason}")
        }
        Fate::Spread => {
            format!("on {target}, {expected} is reached, and rows that have nothing to do with it change as well")
        }
        Fate::Void => format!("on {target}, {expected}: void, the mutation was never applied: {reason}"),
        Fate::Unproved => format!("on {target}, {expected}: no proof is possible: {reason}"),
        Fate::Untried => format!("on {target}, {expected}: not tried: {reason}"),
    };
    below.extend(others.iter().map(change));
    (told, below)
}

fn arm(arm: &BlindArm) -> String {
    let BlindArm { name, trials, effects, refused } = arm;
    format!(
        "{name} ({}, {effects} with the effect, {refused} refused: as on the unmutated server)",
        counted(*trials, "trial", "trials")
    )
}

/// What the asterisk means.
pub(crate) const NEGATIVES: &str =
    "* its request without the field carries the other's, so it is refused along with it";

/// True where a row changed along because its request without the field was refused.
pub(crate) fn has_negatives(row: &RowProof) -> bool {
    row.followers.iter().any(|follower| follower.because == Because::NegativeRefused)
}

/// The rows that changed along with this one, each once.
pub(crate) fn followers(row: &RowProof) -> Vec<String> {
    let mark = |because: Because| match because {
        Because::WorksThrough | Because::SameField => "",
        Because::NegativeRefused => "*",
    };
    let mut rows: Vec<String> =
        row.followers.iter().map(|follower| format!("{}{}", follower.row, mark(follower.because))).collect();
    rows.sort();
    rows.dedup();
    rows
}
