//! The failure catalogue: for each entry, a check or a row detects the failure and the simulator
//! can produce it, or a reason is given. `docs/failures.md` is made from the code.
//!
//! `UPDATE=1 cargo test --test it failures::` writes the page.

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

/// An entry of the catalogue file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueEntry {
    /// What goes wrong.
    what: String,
    /// Why nothing detects it.
    unseen: Option<String>,
    /// How a complete run shows it, if no row and no check detects it.
    by_run: Option<String>,
    /// The simulator fault for `by_run`.
    fault: Option<String>,
}

/// The checks and rows that detect an entry.
#[derive(Default)]
struct EntryDetectors {
    checks: Vec<ProtocolCheck>,
    rows: Vec<&'static Experiment>,
}

fn catalogue() -> BTreeMap<u16, CatalogueEntry> {
    let text = fs::read_to_string(repository_path("tests/it/failures/catalogue.yaml")).unwrap();
    let entries: BTreeMap<String, CatalogueEntry> = serde_yaml::from_str(&text).unwrap();
    let number = |id: &str| id.strip_prefix('F').unwrap().parse().unwrap();
    entries.into_iter().map(|(id, entry)| (number(&id), entry)).collect()
}

fn detectors_by_entry() -> BTreeMap<u16, EntryDetectors> {
    let mut detectors: BTreeMap<u16, EntryDetectors> = BTreeMap::new();
    for check in ProtocolCheck::ALL {
        for n in check.description().failures {
            detectors.entry(*n).or_default().checks.push(check);
        }
    }
    for row in &CATALOG.rows {
        for n in &row.experiment.failures {
            detectors.entry(*n).or_default().rows.push(&row.experiment);
        }
    }
    detectors
}

fn fault_of(check: ProtocolCheck) -> Option<SimulatorFault> {
    SimulatorFault::all().find(|fault| fault.id() == check.id())
}

/// Returns the simulator options that produce a failure which the row detects.
fn options_for_row(row: &Experiment) -> Vec<String> {
    if !row.is_field_row() {
        return row.faults.keys().map(|fault| format!("`--fault {fault}`")).collect();
    }
    let status = |status: &VerdictStatus| match status {
        VerdictStatus::Ignored => Some("ignored"),
        VerdictStatus::Rejected => Some("unsupported"),
        VerdictStatus::Substituted => Some("substituted"),
        VerdictStatus::Supported
        | VerdictStatus::Validated
        | VerdictStatus::Accepted
        | VerdictStatus::Inconclusive
        | VerdictStatus::Skipped => None,
    };
    row.statuses.iter().filter_map(status).map(|status| format!("`--flip {}={status}`", row.id())).collect()
}

#[test]
fn every_entry_can_be_produced_and_detected_or_has_a_reason() {
    let (catalogue, detectors) = (catalogue(), detectors_by_entry());
    assert_eq!(catalogue.keys().copied().collect::<Vec<_>>(), (1..=125).collect::<Vec<_>>());
    let stray: Vec<&u16> = detectors.keys().filter(|n| !catalogue.contains_key(n)).collect();
    assert!(stray.is_empty(), "these entries do not exist: {stray:?}");
    let mut wrong = Vec::new();
    for (n, entry) in &catalogue {
        if let (Some(description), Some(fault)) = (&entry.by_run, &entry.fault) {
            assert!(description.len() > 20 && fault.parse::<SimulatorFault>().is_ok(), "F{n:02}");
            continue;
        }
        match (detectors.get(n), &entry.unseen) {
            (None, None) => wrong.push(format!("F{n:02} has no check, no row and no reason")),
            (Some(_), Some(_)) => wrong.push(format!("F{n:02} has a reason, but a check or row detects it")),
            (Some(found), None) => {
                let can_be_produced = found.checks.iter().any(|check| fault_of(*check).is_some())
                    || found.rows.iter().any(|row| !options_for_row(row).is_empty());
                if !can_be_produced {
                    wrong.push(format!("F{n:02}: the simulator cannot produce it"));
                }
            }
            (None, Some(reason)) => assert!(reason.len() > 20, "F{n:02}: {reason}"),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fault_of_a_row_exists_and_every_fault_has_a_row_or_a_check() {
    let mut wrong = Vec::new();
    for row in CATALOG.rows.iter().map(|row| &row.experiment) {
        for fault in row.faults.keys().filter(|fault| fault.parse::<SimulatorFault>().is_err()) {
            wrong.push(format!("{}: the fault {fault} does not exist", row.id()));
        }
    }
    for fault in SimulatorFault::all() {
        let of_check = ProtocolCheck::ALL.iter().any(|check| check.id() == fault.id());
        let of_row = CATALOG.rows.iter().any(|row| row.experiment.faults.contains_key(fault.id()));
        // `raw.` faults only change the form of a stream. Nothing may detect them.
        let of_run = catalogue().values().any(|entry| entry.fault.as_deref() == Some(fault.id()));
        if !of_check && !of_row && !of_run && !fault.id().starts_with("raw.") {
            wrong.push(format!("no check and no row detects the fault {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn render_page() -> String {
    let (catalogue, detectors) = (catalogue(), detectors_by_entry());
    let mut text = String::from(
        "# Detected failures\n\n\
         Reported failures of compatible endpoints, by stable number. Passive checks test every response of a run; rows send\n\
         requests for one failure. The simulator can produce each failure, so that a test proves that it is detected. This\n\
         page is made from the code by `UPDATE=1 cargo test --test it failures::`.\n\n\
         `cargo test --test it checks::` proves each check with its fault. `cargo test --test it check::` proves each row with\n\
         its faults or flips, as `fieldtest check` does.\n\n\
         | entry | failure | detected by | produced by `fieldtest simulate anthropic` with |\n| --- | --- | --- | --- |\n",
    );
    for (n, entry) in &catalogue {
        if let (Some(description), Some(fault)) = (&entry.by_run, &entry.fault) {
            writeln!(text, "| F{n:02} | {} | {description} | `--fault {fault}` |", entry.what).unwrap();
        }
        let Some(found) = detectors.get(n) else { continue };
        let checks = found.checks.iter().map(|check| format!("[{0}](checks/{0}.md)", check.id()));
        let rows = found.rows.iter().map(|row| format!("row `{}`", row.id()));
        let faults = found.checks.iter().filter_map(|check| fault_of(*check)).map(|fault| format!("`--fault {fault}`"));
        let mut options: Vec<String> = Vec::new();
        for option in faults.chain(found.rows.iter().flat_map(|row| options_for_row(row))) {
            // A check and a row may detect the same fault.
            if !options.contains(&option) {
                options.push(option);
            }
        }
        let detected_by: Vec<String> = checks.chain(rows).collect();
        writeln!(text, "| F{n:02} | {} | {} | {} |", entry.what, detected_by.join("<br>"), options.join("<br>"))
            .unwrap();
    }
    if catalogue.values().all(|entry| entry.unseen.is_none()) {
        return text;
    }
    text.push_str("\n## Failures that are not detected\n\n| entry | failure | reason |\n| --- | --- | --- |\n");
    for (n, entry) in &catalogue {
        if let Some(reason) = &entry.unseen {
            writeln!(text, "| F{n:02} | {} | {reason} |", entry.what).unwrap();
        }
    }
    text
}

#[tokio::test]
async fn the_results_describe_failures_of_a_complete_run() {
    for entry in catalogue().values().filter(|entry| entry.by_run.is_some()) {
        let fault = entry.fault.as_deref().unwrap().parse::<SimulatorFault>().unwrap();
        let mut setup = SimulationSetup::new(bundled_target("anthropic"), &[]);
        setup.behaviour.faults = vec![fault];
        let results = judge(&CATALOG, &record_simulation(setup).await).unwrap();
        let partial = results.partial.unwrap_or_default();
        assert!(partial.contains("could not be tested") && partial.contains("404"), "{fault}: {partial}");
        assert_eq!(results.summary.decided, 0);
    }
}

#[test]
fn the_published_page_matches_the_code() {
    let path = repository_path("docs/failures.md");
    let page = render_page();
    if is_update_requested() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), page, "run UPDATE=1 cargo test --test it failures::");
}
