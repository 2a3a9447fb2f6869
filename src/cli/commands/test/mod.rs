//! `fieldtest test`: one test per row, in the habits of Rust's own test programs, so that whatever runs those can run it.
//!
//! Listing sends nothing. A target is run once in a process, when the first of its tests asks for it, and only for the
//! rows that are tested and those they work through.

mod libtest_args;
mod snapshots;
mod target_run;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser};
use libtest_mimic::{Completion, Failed, Trial};

use crate::catalog::Catalog;
use crate::cli::args::baseline::BaselineArgs;
use crate::cli::args::common::{CaseArgs, EndpointArgs, SelectArgs};
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulationArgs;
use crate::cli::commands::test::libtest_args::LibtestArgs;
use crate::cli::commands::test::snapshots::SnapshotStore;
use crate::cli::commands::test::target_run::TargetRun;
use crate::cli::io::stdout;
use crate::cli::session::preflight::{PreflightResult, preflight};
use crate::cli::target::resolve;
use crate::cli::target::resolve::ResolvedTarget;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report::common::ci_status;
use crate::report::common::ci_status::CiStatus;
use crate::report::escape_workflow_commands;
use crate::results::baseline::{BaselineEntry, EntryStatus, EntrySubject};

/// Tests endpoints row by row, as Rust's test programs test: names, filters, `--list`. A test is called
/// `TARGET::ROW`. It passes where the row is what its document claims; it is ignored, with the reason, where the row
/// could not be decided.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Words that name a target are targets, one more is a filter of names.\n\n\
                        Examples:\n  fieldtest test\n  fieldtest test deepseek --simulate field.top\n  \
                        fieldtest test deepseek --list\n  \
                        fieldtest test --base-url http://127.0.0.1:4000 --model m --claims deepseek --name gateway\n  \
                        fieldtest test deepseek --simulate --snapshots --accept\n\n\
                        Exit codes: 0 no test failed; 101 a test failed; 2 usage or case files; 3 could not be tested")]
pub struct TestArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    cases: CaseArgs,
    /// Silent and undetermined rows fail as well.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    baseline: BaselineArgs,
    /// Also hold each row against its snapshot, `DIR/TARGET/ROW.snap`: a row that changed fails, and leaves a
    /// `.snap.new` for `cargo insta review`. Without DIR it is `snapshots`.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "snapshots")]
    snapshots: Option<PathBuf>,
    /// Accept what changed, and what has no snapshot yet. A row that could not be decided changes none.
    #[arg(long, requires = "snapshots")]
    accept: bool,
    #[command(flatten)]
    sending: SendArgs,
    #[command(flatten)]
    libtest: LibtestArgs,
    #[command(flatten)]
    simulation: SimulationArgs,
}

/// What the arguments of a test program of one's own may be: those of any test program.
#[derive(Debug, Parser)]
struct HarnessArgs {
    /// Only tests whose names contain this.
    filter: Option<String>,
    #[command(flatten)]
    libtest: LibtestArgs,
}

/// The fixed arguments of a test program of one's own, and the words of the command behind them.
#[derive(Debug, Parser)]
#[command(name = "fieldtest test")]
struct FixedArgs {
    #[command(flatten)]
    test: TestArgs,
}

/// Runs the command.
pub fn main(args: &TestArgs, environment: &ProcessEnvironment) -> Result<ExitStatus, CliError> {
    let catalog = args.cases.load()?;
    let (targets, filter) = libtest_args::split_targets(&args.endpoint.targets, &catalog)?;
    let mut args = args.clone();
    args.endpoint.targets = targets;
    let selects_nothing = |filter: &str| {
        CliError::Usage(format!(
            "no test is selected: {filter}; `fieldtest test --list` lists them, and the targets are {}",
            catalog.targets.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        ))
    };
    let filter_text = match &filter {
        None => "--skip or --ignored leave none".to_owned(),
        Some(filter) if args.libtest.exact => format!("`{filter}` is no test's whole name"),
        Some(filter) => format!("`{filter}` is in no test's name"),
    };
    match run_tests(&args, filter, catalog.clone(), environment)? {
        Some(exit) => Ok(exit),
        None => Err(selects_nothing(&filter_text)),
    }
}

/// Runs as a test program of one's own does: `fixed` are arguments of `fieldtest test`, `given` those of the process.
/// Where nothing is selected nothing fails: it may be one of many programs that get the same filter.
pub fn run_harness(
    fixed: impl IntoIterator<Item = OsString>,
    given: impl IntoIterator<Item = OsString>,
    environment: &ProcessEnvironment,
) -> Result<ExitStatus, CliError> {
    let command = std::iter::once(OsString::from("fieldtest test"));
    let mut args = match FixedArgs::try_parse_from(command.chain(fixed)) {
        Ok(fixed) => fixed.test,
        Err(error) => return Err(CliError::Usage(error.to_string())),
    };
    let given = match HarnessArgs::try_parse_from(given) {
        Ok(given) => given,
        Err(error) => {
            crate::cli::print_usage_error(&error);
            return Ok(if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success });
        }
    };
    args.libtest = given.libtest;
    let catalog = args.cases.load()?;
    Ok(run_tests(&args, given.filter, catalog, environment)?.unwrap_or(ExitStatus::Success))
}

/// What the tests found out beside passing or failing, which libtest has no word for.
#[derive(Debug, Default)]
struct TestState {
    contradicted: AtomicBool,
    untested: AtomicBool,
    decided: AtomicBool,
}

/// Runs the tests that are asked for; nothing where that is none.
fn run_tests(
    args: &TestArgs,
    filter: Option<String>,
    catalog: Catalog,
    environment: &ProcessEnvironment,
) -> Result<Option<ExitStatus>, CliError> {
    let mut endpoint = args.endpoint.clone();
    if args.libtest.list {
        // Names need no credential: a simulation has the same.
        endpoint = endpoint.without_credential();
        endpoint.planning = true;
    }
    let targets = resolve::resolve_targets(&endpoint, &catalog, environment)?;
    if !args.libtest.list {
        resolve::validate_options(targets.iter(), args.simulation.is_set(), &args.sending.money)?;
    }
    let names: Vec<&str> = targets.iter().map(|tested| tested.name.as_str()).collect();
    let baseline = args.baseline.load(&catalog, &names, [], environment.today)?.map(Arc::new);
    let accept = args.accept;
    let snapshots =
        args.snapshots.as_ref().map(|folder| SnapshotStore::new(folder, accept, environment)).transpose()?;
    let snapshots = snapshots.map(Arc::new);
    let simulator = args.simulation.load()?;
    let arguments = args.libtest.to_libtest(filter);
    let catalog = Arc::new(catalog);
    let seen = Arc::new(TestState::default());
    let mut trials = Vec::new();
    let mut any = false;
    let ready = match args.libtest.list {
        true => PreflightResult::default(),
        false => preflight_selected(args, &arguments, &targets, &catalog, environment, baseline.is_some())?,
    };
    let ready = Arc::new(ready);
    for tested in targets {
        let rows = args.select.select_rows(&catalog, |needed| tested.meets_requirement(needed))?;
        let ids: Vec<String> = rows.iter().map(|row| row.experiment.id().to_owned()).collect();
        let mut wanted: Vec<String> = ids.iter().filter(|id| is_selected(&arguments, &tested, id)).cloned().collect();
        // A baseline speaks of findings as well, and they are no row's.
        let looks_for_findings = baseline.is_some() && is_selected(&arguments, &tested, FINDINGS_TEST_NAME);
        if wanted.is_empty() && looks_for_findings {
            wanted.clone_from(&ids);
        }
        any |= !wanted.is_empty();
        let run = Arc::new(TargetRun::new(
            args,
            environment,
            Arc::clone(&catalog),
            tested,
            simulator.clone(),
            &wanted,
            baseline.clone(),
            Arc::clone(&ready),
        ));
        if baseline.is_some() {
            let (run, seen) = (Arc::clone(&run), Arc::clone(&seen));
            trials
                .push(Trial::test(test_name(run.target(), FINDINGS_TEST_NAME), move || run_findings_test(&run, &seen)));
        }
        trials.extend(ids.into_iter().map(|id| {
            let (run, snapshots, seen) = (Arc::clone(&run), snapshots.clone(), Arc::clone(&seen));
            let (name, strict) = (test_name(run.target(), &id), args.strict);
            Trial::ignorable_test(name, move || run_row_test(&run, &id, strict, snapshots.as_deref(), &seen))
        }));
    }
    if args.libtest.list {
        // Here, and not in the library: whoever closes the pipe has read enough.
        trials.retain(|trial| !arguments.is_filtered_out(trial));
        trials.iter().for_each(|trial| stdout::print(format!("{}: test", trial.name())));
        return Ok(Some(ExitStatus::Success));
    }
    if !any {
        return Ok(None);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let was = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    // One row alone that stays open is no target that could not be tested.
    let undecided = !was(&seen.decided) && !args.libtest.exact;
    Ok(Some(if was(&seen.contradicted) {
        ExitStatus::TestFailed
    } else if was(&seen.untested) || (undecided && !conclusion.has_failed()) {
        ExitStatus::Untested
    } else if conclusion.has_failed() {
        ExitStatus::TestFailed
    } else {
        ExitStatus::Success
    }))
}

/// Makes ready for the targets of which a test is selected.
fn preflight_selected(
    args: &TestArgs,
    arguments: &libtest_mimic::Arguments,
    targets: &[ResolvedTarget],
    catalog: &Catalog,
    environment: &ProcessEnvironment,
    has_findings: bool,
) -> Result<PreflightResult, CliError> {
    let mut places = Vec::new();
    for tested in targets {
        let rows = args.select.select_rows(catalog, |needed| tested.meets_requirement(needed))?;
        let findings = has_findings.then_some(FINDINGS_TEST_NAME);
        let mut tests = rows.iter().map(|row| row.experiment.id()).chain(findings);
        if tests.any(|test| is_selected(arguments, tested, test)) {
            places.push(&tested.endpoint);
        }
    }
    preflight(places, &args.sending.transport, catalog, environment)
}

/// The test that holds a run's findings against the baseline.
const FINDINGS_TEST_NAME: &str = "findings";

fn test_name(tested: &ResolvedTarget, id: &str) -> String {
    format!("{}::{id}", tested.name)
}

fn is_selected(arguments: &libtest_mimic::Arguments, tested: &ResolvedTarget, id: &str) -> bool {
    !arguments.is_filtered_out(&Trial::test(test_name(tested, id), || Ok(())))
}

/// The findings of a run, and what the baseline lists of them.
fn run_findings_test(run: &TargetRun, seen: &TestState) -> Result<(), Failed> {
    let of = |flag: &AtomicBool| flag.store(true, Ordering::Relaxed);
    let results = run.results().map_err(|why| {
        of(&seen.untested);
        Failed::from(escape_workflow_commands(why))
    })?;
    let is_failure = |entry: &&BaselineEntry| {
        matches!(entry.subject, EntrySubject::Check(_))
            && matches!(entry.case, EntryStatus::Regression | EntryStatus::Stale)
    };
    let entries = results.baseline.iter().flat_map(|held| &held.entries).filter(is_failure);
    let told: Vec<String> =
        entries.map(|entry| format!("{} {}: {}", entry.case.as_str(), entry.subject.id(), entry.why)).collect();
    if told.is_empty() {
        return Ok(());
    }
    of(&seen.contradicted);
    Err(Failed::from(escape_workflow_commands(&told.join("\n"))))
}

/// One test.
fn run_row_test(
    run: &TargetRun,
    id: &str,
    strict: bool,
    snapshots: Option<&SnapshotStore>,
    seen: &TestState,
) -> Result<Completion, Failed> {
    let of = |flag: &AtomicBool| flag.store(true, Ordering::Relaxed);
    let results = run.results().map_err(|why| {
        of(&seen.untested);
        Failed::from(escape_workflow_commands(why))
    })?;
    let row = results.rows.iter().find(|row| row.id == id).ok_or("the run has no such row")?;
    let graded = ci_status::classify_row(results, row, strict);
    let told = |more: &str| {
        Failed::from(escape_workflow_commands(&format!(
            "{}: {}\n\n{}{more}",
            graded.kind,
            graded.message,
            ci_status::render_details(row)
        )))
    };
    match graded.status {
        CiStatus::Untested => {
            of(&seen.untested);
            return Err(format!("could not be tested: {}", escape_workflow_commands(&graded.message)).into());
        }
        CiStatus::Undetermined => {
            // Its snapshot, if there is one, is neither confirmed nor changed.
            return Ok(Completion::ignored_with(escape_workflow_commands(&format!(
                "{}: {}",
                graded.kind, row.verdict.reason
            ))));
        }
        CiStatus::Expected => {
            of(&seen.decided);
            return Ok(Completion::ignored_with(escape_workflow_commands(&format!("expected: {}", graded.message))));
        }
        CiStatus::Passed | CiStatus::PassedWithNote | CiStatus::Failed => {}
    }
    if row.verdict.status.is_decided() {
        of(&seen.decided);
    }
    // A row that contradicts has its snapshot too: it shows what changed.
    let changed = match snapshots.filter(|_| row.verdict.status.is_decided()) {
        Some(snapshots) => snapshots.compare_row(&results.target.name, row),
        None => Ok(()),
    };
    match (graded.status, changed) {
        (CiStatus::Failed, changed) => {
            of(&seen.contradicted);
            Err(told(&changed.err().map_or(String::new(), |changed| format!("\n\n{changed}"))))
        }
        (_, Err(changed)) => {
            of(&seen.contradicted);
            Err(Failed::from(escape_workflow_commands(&changed)))
        }
        (CiStatus::PassedWithNote, Ok(())) => {
            stdout::warn(format!("{}: {}: {}", test_name(run.target(), id), graded.kind, graded.message));
            Ok(Completion::Completed)
        }
        (_, Ok(())) => Ok(Completion::Completed),
    }
}
