//! The sentences of `fieldtest check` that its formats share, without the escaping of any format.

use crate::catalog::VerdictStatus;
use crate::results::format::{plural, with_thousands};
use crate::results::mutation::{
    CanaryResult, ControlResult, InsensitiveArm, LeftOutRow, MisjudgedRow, MutantFailure, MutantOutcome,
    MutationReport, ReachedStatus, RowReport, SentinelCounts, SubjectReport, VerdictChange,
};

/// The statuses of a row. Statuses that were not reached are marked.
pub(crate) fn describe_statuses(row: &RowReport) -> String {
    let word = |s: &ReachedStatus| match s.on.is_empty() {
        true => format!("NOT {}", s.status),
        false => s.status.to_string(),
    };
    row.statuses.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// `4 of 4`.
pub(crate) fn format_killed(row: &RowReport) -> String {
    format!("{} of {}", with_thousands(row.killed), with_thousands(row.mutants))
}

/// A rate in percent, rounded down, so that 100 % means all.
pub(crate) fn format_percent(rate: f64) -> String {
    let percent = (rate * 1000.0).floor() / 10.0;
    if percent.fract() == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// All counts in one sentence.
pub(crate) fn summarise(report: &MutationReport) -> String {
    let others: Vec<String> = [
        (report.survived, "survived"),
        (report.accused, "with another row accused"),
        (report.kept, "with another row kept without ground"),
        (report.unnamed, "with another row that names no cause"),
        (report.changed, "with another row changed without cause"),
        (report.void, "void"),
        (report.unproved, "without proof"),
        (report.untried, "not tried"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{} {what}", with_thousands(n)))
    .collect();
    let rest = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let blocked = match report.blocked {
        0 => String::new(),
        n => format!(" ({} of them blocked by other rows)", with_thousands(n)),
    };
    format!(
        "{}, {} killed{blocked}{rest}: kill rate {}",
        plural(report.mutants, "mutant", "mutants"),
        with_thousands(report.killed),
        format_percent(report.kill_rate)
    )
}

/// The comparison of the rows that were not mutated.
pub(crate) fn describe_comparison(report: &MutationReport) -> String {
    let wrong = report.rows.iter().flat_map(|row| &row.failures).flat_map(|failure| &failure.others).count() as u64;
    format!(
        "other rows: {} compared, {} wrong; {} tested for them only",
        plural(report.compared, "verdict", "verdicts"),
        if wrong == 0 { "none".to_owned() } else { with_thousands(wrong) },
        plural(report.carried, "change", "changes"),
    )
}

/// The controls of a simulated server, one per line. The flag is true if the control passed.
pub(crate) fn describe_soundness(subject: &SubjectReport) -> Vec<(bool, String)> {
    let rows = plural(subject.rows, "row", "rows");
    let mut lines = vec![match subject.unmutated.len() as u64 {
        0 => (true, format!("without mutation: passes, {rows}")),
        n => (
            false,
            format!(
                "without mutation: {} another verdict than expected, so nothing was mutated",
                plural(n, "row has", "rows have")
            ),
        ),
    }];
    lines.extend(subject.unmutated.iter().map(|change| (false, describe_change(change))));
    if let Some(control) = &subject.control {
        lines.push((control.has_survived(), describe_control(control)));
        lines.extend(control.changes.iter().map(|change| (false, describe_change(change))));
    }
    if let Some(canary) = &subject.canary {
        lines.push((canary.is_detected(), describe_canary(canary)));
        let SentinelCounts { forged, noticed } = subject.sentinels;
        let forged = plural(forged, "forged wrong verdict", "forged wrong verdicts");
        let found = format!("sentinels: {} of {forged} of other rows found", with_thousands(noticed));
        lines.push((subject.sentinels.forged == noticed, found));
    }
    lines.extend(subject.left_out.iter().map(|row| (true, describe_left_out(row, subject.runs))));
    lines
}

fn describe_left_out(left_out: &LeftOutRow, runs: u64) -> String {
    let LeftOutRow { row, runs: without, reason } = left_out;
    format!("left out of {} of {}: {row}: {reason}", with_thousands(*without), plural(runs, "run", "runs"))
}

fn describe_control(control: &ControlResult) -> String {
    const CONTROL_LABEL: &str = "control (same statuses, another seed)";
    match control.changes.len() as u64 {
        0 => format!("{CONTROL_LABEL}: survives as required ({} unchanged)", plural(control.rows, "row", "rows")),
        n => format!("{CONTROL_LABEL}: must survive, but {} changed", plural(n, "row", "rows")),
    }
}

fn describe_canary(canary: &CanaryResult) -> String {
    const CANARY_LABEL: &str = "canary (a server that ignores every field)";
    let detected = format!("detected by {} of {}", with_thousands(canary.noticed), plural(canary.rows, "row", "rows"));
    let deceived = match canary.deceived.as_slice() {
        [] => String::new(),
        rows => format!("; still supported: {}", rows.join(", ")),
    };
    match canary.is_detected() {
        true => format!("{CANARY_LABEL}: detected as required ({detected}{deceived})"),
        false => format!("{CANARY_LABEL}: must be detected, but was not ({detected}{deceived})"),
    }
}

/// A row with another verdict than expected.
pub(crate) fn describe_change(change: &VerdictChange) -> String {
    format!("{}: expected {}, reached {}: {}", change.row, change.expected, change.reached, change.reason)
}

/// The mutants of a row that were not killed: a sentence for each, with details. Mutants that were not tried
/// on several servers for the same reason have one sentence.
pub(crate) fn describe_failures(row: &RowReport) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<Vec<&MutantFailure>> = Vec::new();
    for failure in &row.failures {
        let alike = |group: &&mut Vec<&MutantFailure>| {
            let was_tried =
                !matches!(failure.fate, MutantOutcome::Void | MutantOutcome::Unproved | MutantOutcome::Untried);
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
    let reached = reached.map_or("no verdict", VerdictStatus::as_str);
    let mut below = Vec::new();
    let text = match fate {
        MutantOutcome::Killed | MutantOutcome::Harmless => format!("{expected} on {target}: passed"),
        MutantOutcome::Survived => {
            below.push(match arms.as_slice() {
                [] => "every arm with the field noticed the change, but the verdict is still wrong".to_owned(),
                arms => {
                    format!(
                        "these arms did not notice the change: {}",
                        arms.iter().map(describe_arm).collect::<Vec<_>>().join("; ")
                    )
                }
            });
            format!("on {target}: expected {expected}, reached {reached}: {reason}")
        }
        MutantOutcome::Accused => format!("on {target}, {expected} here: other rows are accused"),
        MutantOutcome::Kept => format!("on {target}, {expected} here: other rows keep a verdict that nothing supports"),
        MutantOutcome::Unnamed => format!("on {target}, {expected} here: other rows do not name this row as the cause"),
        MutantOutcome::Changed => format!("on {target}, {expected} here: other rows change without a cause"),
        MutantOutcome::Void => format!("on {target}: {expected}: void: the mutation was never applied: {reason}"),
        MutantOutcome::Unproved => format!("on {target}: {expected}: no proof is possible: {reason}"),
        MutantOutcome::Untried => format!("on {target}: {expected}: not tried: {reason}"),
    };
    below.extend(others.iter().map(describe_misjudged_row));
    (text, below)
}

fn describe_misjudged_row(row: &MisjudgedRow) -> String {
    let word = match row.fate {
        MutantOutcome::Accused => "accused",
        MutantOutcome::Kept => "kept without ground",
        MutantOutcome::Unnamed => "names no cause",
        MutantOutcome::Changed => "changed without cause",
        MutantOutcome::Killed
        | MutantOutcome::Harmless
        | MutantOutcome::Survived
        | MutantOutcome::Void
        | MutantOutcome::Unproved
        | MutantOutcome::Untried => "wrong",
    };
    format!("{word}: {}", describe_change(&row.change))
}

fn describe_arm(arm: &InsensitiveArm) -> String {
    let InsensitiveArm { name, trials, effects, refused } = arm;
    format!(
        "{name} ({}, {effects} with the effect, {refused} rejected: as on the unmutated server)",
        plural(*trials, "trial", "trials")
    )
}

/// A tick or a cross.
pub(crate) fn mark(holds: bool) -> &'static str {
    if holds { "✓" } else { "✗" }
}

/// The other rows that changed too, as they may, without duplicates.
pub(crate) fn list_followers(row: &RowReport) -> Vec<String> {
    let mut rows: Vec<String> = row.followers.iter().map(|follower| follower.row.clone()).collect();
    rows.sort();
    rows.dedup();
    rows
}
