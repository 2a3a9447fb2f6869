//! The failure catalogue: every entry is seen by a check or by a row, committed by the simulator, and the pair is
//! proved by a test; or there is a reason why not. `docs/failures.md` says what the code says.
//!
//! `UPDATE=1 cargo test --test failures` writes the table anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use common::{CATALOG, SimulationSetup, bundled_target, is_update_requested, record_simulation, repository_path};
use fieldtest::catalog::{Experiment, VerdictStatus};
use fieldtest::checks::ProtocolCheck;
use fieldtest::engine::judge;
use fieldtest::simulator::SimulatorFault;
use serde::Deserialize;

use crate::common;

/// An entry of the catalogue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// What goes wrong.
    what: String,
    /// Why nothing sees it.
    unseen: Option<String>,
    /// How a whole run shows it, where no row and no check does.
    by_run: Option<String>,
    /// The fault that commits what a whole run shows.
    fault: Option<String>,
}

/// Who sees an entry.
#[derive(Default)]
struct Seen {
    checks: Vec<ProtocolCheck>,
    rows: Vec<&'static Experiment>,
}

fn catalogue() -> BTreeMap<u16, Entry> {
    let text = fs::read_to_string(repository_path("tests/it/failures/catalogue.yaml")).unwrap();
    let entries: BTreeMap<String, Entry> = serde_yaml::from_str(&text).unwrap();
    let number = |id: &str| id.strip_prefix('F').unwrap().parse().unwrap();
    entries.into_iter().map(|(id, entry)| (number(&id), entry)).collect()
}

fn seen() -> BTreeMap<u16, Seen> {
    let mut seen: BTreeMap<u16, Seen> = BTreeMap::new();
    for check in ProtocolCheck::ALL {
        for n in check.description().failures {
            seen.entry(*n).or_default().checks.push(check);
        }
    }
    for row in &CATALOG.rows {
        for n in &row.experiment.failures {
            seen.entry(*n).or_default().rows.push(&row.experiment);
        }
    }
    seen
}

fn fault_of(check: ProtocolCheck) -> Option<SimulatorFault> {
    SimulatorFault::all().find(|fault| fault.id() == check.id())
}

/// What makes the simulator so that the row sees it.
fn made_by(row: &Experiment) -> Vec<String> {
    if !row.is_field_row() {
        return row.faults.keys().map(|fault| format!("`--fault {fault}`")).collect();
    }
    let status = |status: &VerdictStatus| match status {
        VerdictStatus::Ignored => Some("ignored"),
        VerdictStatus::Rejected => Some("unsupported"),
        VerdictStatus::Substituted => Some("substituted"),
        VerdictStatus::Supported | VerdictStatus::Inconclusive | VerdictStatus::Skipped => None,
    };
    row.statuses.iter().filter_map(status).map(|status| format!("`--flip {}={status}`", row.id())).collect()
}

#[test]
fn every_entry_is_seen_by_something_that_can_be_provoked_or_has_its_reason() {
    let (catalogue, seen) = (catalogue(), seen());
    assert_eq!(catalogue.keys().copied().collect::<Vec<_>>(), (1..=125).collect::<Vec<_>>());
    let stray: Vec<&u16> = seen.keys().filter(|n| !catalogue.contains_key(n)).collect();
    assert!(stray.is_empty(), "there are no such entries: {stray:?}");
    let mut wrong = Vec::new();
    for (n, entry) in &catalogue {
        if let (Some(told), Some(fault)) = (&entry.by_run, &entry.fault) {
            assert!(told.len() > 20 && fault.parse::<SimulatorFault>().is_ok(), "F{n:02}");
            continue;
        }
        match (seen.get(n), &entry.unseen) {
            (None, None) => wrong.push(format!("F{n:02} is seen by nothing, and there is no reason why")),
            (Some(_), Some(_)) => wrong.push(format!("F{n:02} is seen after all")),
            (Some(by), None) => {
                let provoked = by.checks.iter().any(|check| fault_of(*check).is_some())
                    || by.rows.iter().any(|row| !made_by(row).is_empty());
                if !provoked {
                    wrong.push(format!("F{n:02}: the simulator commits it in no way"));
                }
            }
            (None, Some(reason)) => assert!(reason.len() > 20, "F{n:02}: {reason}"),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fault_that_a_row_names_exists_and_every_fault_is_named_by_a_row_or_seen_by_a_check() {
    let mut wrong = Vec::new();
    for row in CATALOG.rows.iter().map(|row| &row.experiment) {
        for fault in row.faults.keys().filter(|fault| fault.parse::<SimulatorFault>().is_err()) {
            wrong.push(format!("{}: there is no fault {fault}", row.id()));
        }
    }
    for fault in SimulatorFault::all() {
        let of_check = ProtocolCheck::ALL.iter().any(|check| check.id() == fault.id());
        let of_row = CATALOG.rows.iter().any(|row| row.experiment.faults.contains_key(fault.id()));
        // What only changes the form of a stream is a fault that nothing may see.
        let of_run = catalogue().values().any(|entry| entry.fault.as_deref() == Some(fault.id()));
        if !of_check && !of_row && !of_run && !fault.id().starts_with("raw.") {
            wrong.push(format!("nothing sees the fault {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn table() -> String {
    let (catalogue, seen) = (catalogue(), seen());
    let mut text = String::from(
        "# The failures that are looked for\n\n\
         Failures of compatible endpoints that people reported, by stable number. Each is seen by passive checks, which look\n\
         at every answer of a run, or by rows, which ask for it; and the simulator can commit each, so that a test proves\n\
         that it is seen. This page is made from the code by `UPDATE=1 cargo test --test failures`.\n\n\
         The pairs are proved by these tests: of a check and its fault, `cargo test --test checks`; of a row and a fault or a\n\
         flipped field, `cargo test --test check`, which is what `fieldtest check` does.\n\n\
         | entry | what goes wrong | seen by | committed by `fieldtest simulate anthropic` with |\n| --- | --- | --- | --- |\n",
    );
    for (n, entry) in &catalogue {
        if let (Some(told), Some(fault)) = (&entry.by_run, &entry.fault) {
            writeln!(text, "| F{n:02} | {} | {told} | `--fault {fault}` |", entry.what).unwrap();
        }
        let Some(by) = seen.get(n) else { continue };
        let checks = by.checks.iter().map(|check| format!("[{0}](checks/{0}.md)", check.id()));
        let rows = by.rows.iter().map(|row| format!("row `{}`", row.id()));
        let faults = by.checks.iter().filter_map(|check| fault_of(*check)).map(|fault| format!("`--fault {fault}`"));
        let mut made: Vec<String> = Vec::new();
        for one in faults.chain(by.rows.iter().flat_map(|row| made_by(row))) {
            // A fault may be seen by a check and by a row.
            if !made.contains(&one) {
                made.push(one);
            }
        }
        let seen: Vec<String> = checks.chain(rows).collect();
        writeln!(text, "| F{n:02} | {} | {} | {} |", entry.what, seen.join("<br>"), made.join("<br>")).unwrap();
    }
    if catalogue.values().all(|entry| entry.unseen.is_none()) {
        return text;
    }
    text.push_str("\n## What is not looked for\n\n| entry | what goes wrong | why not |\n| --- | --- | --- |\n");
    for (n, entry) in &catalogue {
        if let Some(reason) = &entry.unseen {
            writeln!(text, "| F{n:02} | {} | {reason} |", entry.what).unwrap();
        }
    }
    text
}

#[tokio::test]
async fn what_a_whole_run_shows_is_told_by_its_results() {
    for entry in catalogue().values().filter(|entry| entry.by_run.is_some()) {
        let fault = entry.fault.as_deref().unwrap().parse::<SimulatorFault>().unwrap();
        let mut setup = SimulationSetup::new(bundled_target("anthropic"), &[]);
        setup.behaviour.faults = vec![fault];
        let results = judge(&CATALOG, &record_simulation(setup).await).unwrap();
        let told = results.partial.unwrap_or_default();
        assert!(told.contains("could not be tested") && told.contains("404"), "{fault}: {told}");
        assert_eq!(results.summary.decided, 0);
    }
}

#[test]
fn the_published_table_is_what_the_code_says() {
    let path = repository_path("docs/failures.md");
    let table = table();
    if is_update_requested() {
        fs::write(&path, &table).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), table, "UPDATE=1 cargo test --test failures");
}
