//! The help, the list of faults and the version.

use super::*;

#[test]
fn every_command_has_help_with_an_example_that_names_it() {
    let folder = Folder::new();
    let all = folder.run(["--help"]).assert_exit_code(0);
    for command in COMMANDS {
        assert!(all.stdout.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}");
        let help = folder.run([command, "--help"]).assert_exit_code(0);
        assert!(help.stdout.contains(&format!("\n  fieldtest {command}")), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
}

/// An example that cannot be run is worse than none: at least the arguments must be taken.
#[test]
fn the_command_line_accepts_every_example() {
    let folder = Folder::new();
    let mut tried = 0;
    for command in COMMANDS {
        let help = folder.run([command, "--help"]).stdout;
        for arguments in fieldtest_calls(&help) {
            assert_accepted(&arguments, command);
            tried += 1;
        }
    }
    assert!(tried >= COMMANDS.len(), "{tried}");
}

#[test]
fn the_help_lists_the_exit_codes() {
    let help = Folder::new().run(["--help"]).assert_exit_code(0).stdout;
    for part in [
        "Exit codes",
        "0   no claim is contradicted",
        "1   a claim is contradicted",
        "2   wrong usage",
        "3   the target",
        "70  a bug",
    ] {
        assert!(help.contains(part), "{help}");
    }
}

#[test]
fn the_faults_of_the_simulator_are_listed_by_area_with_a_description() {
    let finished = Folder::new().run(["simulate", "--list-faults"]).assert_exit_code(0);
    let listed: Vec<(&str, &str)> = finished.stdout.lines().map(|line| line.split_once("  ").unwrap()).collect();
    let all: Vec<(&str, &str)> = SimulatorFault::all().map(|fault| (fault.id(), fault.description())).collect();
    assert_eq!(listed.iter().map(|(id, what)| (*id, what.trim())).collect::<Vec<_>>(), all);
    assert!(all.iter().all(|(_, what)| !what.is_empty() && what.len() < 90), "{all:?}");
    let mut areas: Vec<&str> = all.iter().map(|(id, _)| id.split('.').next().unwrap()).collect();
    areas.dedup();
    assert!(areas.starts_with(&["http", "message", "sse", "usage", "error", "tool", "raw"]), "{areas:?}");
    // An additional target changes nothing, and nothing is served.
    assert_eq!(
        Folder::new().run(["simulate", "deepseek@2025-12", "--list-faults"]).assert_exit_code(0).stdout,
        finished.stdout
    );
}

#[test]
fn the_version_is_printed() {
    let version = Folder::new().run(["--version"]).assert_exit_code(0).stdout;
    assert_eq!(version, format!("fieldtest {}\n", env!("CARGO_PKG_VERSION")));
}
