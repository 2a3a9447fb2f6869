//! The sentences about a proof that its formats share, before any format's escaping.

use crate::report::common::format::{plural, with_thousands};
use crate::results::mutation::{
    CanaryResult, ControlResult, FollowReason, InsensitiveArm, MutantFailure, MutantOutcome, MutationReport, RowReport,
    SubjectReport, VerdictChange,
};

/// The statuses of a row, those that were not reached marked as such.
pub(crate) fn describe_statuses(row: &RowReport) -> String {
    let word = |s: &crate::results::mutation::ReachedStatus| match s.on.is_empty() {
        true => format!("NOT {}", s.status),
        false => s.status.to_string(),
    };
    row.statuses.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// `4 of 4`.
pub(crate) fn format_killed(row: &RowReport) -> String {
    format!("{} of {}", with_thousands(row.killed), with_thousands(row.mutants))
}

/// A share in percent, rounded down: 100 % means all.
pub(crate) fn format_percent(rate: f64) -> String {
    let percent = (rate * 1000.0).floor() / 10.0;
    if percent.fract() == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// The whole in a sentence.
pub(crate) fn summarise(proof: &MutationReport) -> String {
    let others: Vec<String> = [
        (proof.survived, "survived"),
        (proof.spread, "changed other rows"),
        (proof.void, "void"),
        (proof.unproved, "without a server to try them on"),
        (proof.untried, "not tried"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{} {what}", with_thousands(n)))
    .collect();
    let rest = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    format!(
        "{}, {} killed{rest}: kill rate {}",
        plural(proof.mutants, "mutant", "mutants"),
        with_thousands(proof.killed),
        format_percent(proof.kill_rate)
    )
}

/// What must hold for a ground's mutants to mean anything, each in a line; the mark says whether it does.
pub(crate) fn describe_soundness(ground: &SubjectReport) -> Vec<(bool, String)> {
    let rows = plural(ground.rows, "row", "rows");
    let mut lines = vec![match ground.unmutated.len() as u64 {
        0 => (true, format!("unmutated: passes, {rows}")),
        n => (
            false,
            format!("unmutated: {} not what the server is, so nothing was mutated", plural(n, "row is", "rows are")),
        ),
    }];
    lines.extend(ground.unmutated.iter().map(|change| (false, describe_change(change))));
    if let Some(control) = &ground.control {
        lines.push((control.has_survived(), describe_control(control)));
        lines.extend(control.changes.iter().map(|change| (false, describe_change(change))));
    }
    if let Some(canary) = &ground.canary {
        lines.push((canary.is_detected(), describe_canary(canary)));
    }
    lines
}

fn describe_control(control: &ControlResult) -> String {
    const CONTROL_LABEL: &str = "control, every row set to what it is, another seed";
    match control.changes.len() as u64 {
        0 => format!("{CONTROL_LABEL}: survives, as it must ({} unchanged)", plural(control.rows, "row", "rows")),
        n => format!("{CONTROL_LABEL}: it must survive, and {} changed", plural(n, "row", "rows")),
    }
}

fn describe_canary(canary: &CanaryResult) -> String {
    const CANARY_LABEL: &str = "canary, a server that ignores all it can";
    let told = format!("{} of {} notice", with_thousands(canary.noticed), plural(canary.rows, "row", "rows"));
    let deceived = match canary.deceived.as_slice() {
        [] => String::new(),
        rows => format!("; still called supported: {}", rows.join(", ")),
    };
    match canary.is_detected() {
        true => format!("{CANARY_LABEL}: dies, as it must ({told}{deceived})"),
        false => format!("{CANARY_LABEL}: it must die, and did not ({told}{deceived})"),
    }
}

/// A row that is not what it should be.
pub(crate) fn describe_change(change: &VerdictChange) -> String {
    format!("{}: expected {}, reached {}: {}", change.row, change.expected, change.reached, change.reason)
}

/// What is wrong with a row's mutants: sentences, and what goes below each. What was never tried, for one reason on
/// several grounds, is said once.
pub(crate) fn describe_failures(row: &RowReport) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<Vec<&MutantFailure>> = Vec::new();
    for failure in &row.failures {
        let alike = |group: &&mut Vec<&MutantFailure>| {
            let was_tried =
                matches!(failure.fate, MutantOutcome::Killed | MutantOutcome::Survived | MutantOutcome::Spread);
            !was_tried && group[0].fate == failure.fate && group[0].reason == failure.reason
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(failure),
            None => groups.push(vec![failure]),
        }
    }
    groups.iter().map(|group| describe_failure_group(group)).collect()
}

fn join_unique(words: impl Iterator<Item = String>) -> String {
    let mut list: Vec<String> = Vec::new();
    words.for_each(|word| {
        if !list.contains(&word) {
            list.push(word);
        }
    });
    list.join(", ")
}

fn describe_failure_group(group: &[&MutantFailure]) -> (String, Vec<String>) {
    let Some(first) = group.first() else { return Default::default() };
    let target = join_unique(group.iter().map(|failure| failure.target.clone()));
    let expected = join_unique(group.iter().map(|failure| failure.expected.to_string()));
    let MutantFailure { target: _, expected: _, fate, reached, reason, arms, others } = first;
    let reached = reached.map_or("no verdict", crate::catalog::VerdictStatus::as_str);
    let mut below = Vec::new();
    let told = match fate {
        MutantOutcome::Killed => format!("{expected} on {target}: killed"),
        MutantOutcome::Survived => {
            below.push(match arms.as_slice() {
                [] => {
                    "every arm that carries the field came out differently, and the verdict is still wrong".to_owned()
                }
                arms => {
                    format!("did not discriminate: {}", arms.iter().map(describe_arm).collect::<Vec<_>>().join("; "))
                }
            });
            format!("on {target}, expected {expected}, reached {reached}: {reason}")
        }
        MutantOutcome::Spread => {
            format!("on {target}, {expected} is reached, and rows that have nothing to do with it change as well")
        }
        MutantOutcome::Void => format!("on {target}, {expected}: void, the mutation was never applied: {reason}"),
        MutantOutcome::Unproved => format!("on {target}, {expected}: no proof is possible: {reason}"),
        MutantOutcome::Untried => format!("on {target}, {expected}: not tried: {reason}"),
    };
    below.extend(others.iter().map(describe_change));
    (told, below)
}

fn describe_arm(arm: &InsensitiveArm) -> String {
    let InsensitiveArm { name, trials, effects, refused } = arm;
    format!(
        "{name} ({}, {effects} with the effect, {refused} refused: as on the unmutated server)",
        plural(*trials, "trial", "trials")
    )
}

/// What the asterisk means.
pub(crate) const REJECTED_NEGATIVE_NOTE: &str =
    "* its request without the field carries the other's, so it is refused along with it";

/// True where a row changed along because its request without the field was refused.
pub(crate) fn has_rejected_negatives(row: &RowReport) -> bool {
    row.followers.iter().any(|follower| follower.because == FollowReason::NegativeRefused)
}

/// The rows that changed along with this one, each once.
pub(crate) fn list_followers(row: &RowReport) -> Vec<String> {
    let mark = |because: FollowReason| match because {
        FollowReason::WorksThrough | FollowReason::SameField => "",
        FollowReason::NegativeRefused => "*",
    };
    let mut rows: Vec<String> =
        row.followers.iter().map(|follower| format!("{}{}", follower.row, mark(follower.because))).collect();
    rows.sort();
    rows.dedup();
    rows
}
