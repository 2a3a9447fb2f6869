//! `fieldtest test`: one test per row, with the options of Rust's test programs, so that any test runner can run it.
//!
//! Listing sends nothing. A target is run once per process, when its first test starts, with the selected rows and the rows
//! that they depend on.

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
use crate::cli::args::cases::CaseArgs;
use crate::cli::args::endpoint::EndpointArgs;
use crate::cli::args::select::SelectArgs;
use crate::cli::args::send::SendArgs;
use crate::cli::args::simulator::SimulationArgs;
use crate::cli::commands::test::libtest_args::LibtestArgs;
use crate::cli::commands::test::snapshots::SnapshotStore;
use crate::cli::commands::test::target_run::{TargetRun, TestSession};
use crate::cli::io::{stderr, stdout};
use crate::cli::session::preflight::{PreflightResult, preflight};
use crate::cli::session::shared::SharedState;
use crate::cli::target::build::list_targets;
use crate::cli::target::credential::CredentialPolicy;
use crate::cli::target::model::ResolvedTarget;
use crate::cli::target::resolve;
use crate::cli::{CliError, ExitStatus, ProcessEnvironment};
use crate::report::common::ci_status;
use crate::report::common::ci_status::{CiStatus, FailurePolicy};
use crate::report::escape_workflow_commands;
use crate::results::baseline::{BaselineEntry, EntryStatus, EntrySubject};
use crate::results::model::Results;

/// Run one test per row, with the options of `cargo test`
#[derive(Debug, Clone, Args)]
#[command(
    long_about = "Run one test per row, with the options of `cargo test`

A test is called TARGET::ROW. It passes if the verdict is as claimed, and is
ignored if the row is undecided. Words that are not targets filter the tests.",
    after_help = "Examples:
  fieldtest test
  fieldtest test deepseek --simulate field.top
  fieldtest test deepseek --list
  fieldtest test --base-url http://127.0.0.1:4000 --model m --name gateway
  fieldtest test deepseek --simulate --snapshots --accept

Exit codes:
  0   no test failed
  2   wrong usage, or an invalid case file
  3   the target could not be tested
  101 a test failed"
)]
pub struct TestArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    baseline: BaselineArgs,
    /// Also fail for silent and undetermined rows
    #[arg(long, help_heading = "Reports")]
    strict: bool,
    /// Also fail for claims without an observed effect
    #[arg(long, help_heading = "Reports")]
    require_effect: bool,
    /// Compare rows with DIR/TARGET/ROW.snap
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "snapshots", help_heading = "Reports")]
    snapshots: Option<PathBuf>,
    /// Update the snapshots
    #[arg(long, requires = "snapshots", help_heading = "Reports")]
    accept: bool,
    #[command(flatten)]
    sending: SendArgs,
    #[command(flatten)]
    libtest: LibtestArgs,
    #[command(flatten)]
    simulation: SimulationArgs,
}

/// The arguments of a test program: those of any Rust test program.
#[derive(Debug, Parser)]
struct HarnessArgs {
    /// Only tests whose name contains this
    filter: Option<String>,
    #[command(flatten)]
    libtest: LibtestArgs,
}

/// The fixed arguments of a test program: those of `fieldtest test`.
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
    let filter_text = match &filter {
        None => "--skip or --ignored excludes all tests".to_owned(),
        Some(filter) if args.libtest.exact => format!("`{filter}` is not the name of a test"),
        Some(filter) => format!("no test name contains `{filter}`"),
    };
    let targets = list_targets(&catalog);
    match run_tests(&args, filter, catalog, environment)? {
        Some(exit) => Ok(exit),
        None => Err(CliError::NoTestSelected { filter: filter_text, targets }),
    }
}

/// Runs as a test program: `fixed` are arguments of `fieldtest test`, `given` those of the process. It is no error if no
/// test is selected, since `cargo test FILTER` passes the filter to all test programs.
pub fn run_harness(
    fixed: impl IntoIterator<Item = OsString>,
    given: impl IntoIterator<Item = OsString>,
    environment: &ProcessEnvironment,
) -> Result<ExitStatus, CliError> {
    let command = std::iter::once(OsString::from("fieldtest test"));
    let mut args = match FixedArgs::try_parse_from(command.chain(fixed)) {
        Ok(fixed) => fixed.test,
        Err(error) => return Err(CliError::Arguments(Box::new(error))),
    };
    let given = match HarnessArgs::try_parse_from(given) {
        Ok(given) => given,
        Err(error) => return Ok(stderr::print_usage_error(&error)),
    };
    args.libtest = given.libtest;
    let catalog = args.cases.load()?;
    Ok(run_tests(&args, given.filter, catalog, environment)?.unwrap_or(ExitStatus::Success))
}

/// What the tests found. libtest only knows pass and fail.
#[derive(Debug, Default)]
struct TestState {
    contradicted: AtomicBool,
    untested: AtomicBool,
    decided: AtomicBool,
}

impl TestState {
    /// The results of a run. A target without results is untested.
    fn results<'a>(&self, run: &'a TargetRun) -> Result<&'a Results, Failed> {
        run.results().map_err(|why| {
            self.untested.store(true, Ordering::Relaxed);
            fail_test(why)
        })
    }
}

/// A failure. A workflow that reads it must not run commands in it.
fn fail_test(text: &str) -> Failed {
    Failed::from(escape_workflow_commands(text))
}

/// Runs the selected tests. Returns `None` if no test is selected.
fn run_tests(
    args: &TestArgs,
    filter: Option<String>,
    catalog: Catalog,
    environment: &ProcessEnvironment,
) -> Result<Option<ExitStatus>, CliError> {
    let policy = if args.libtest.list { CredentialPolicy::None } else { CredentialPolicy::Required };
    let targets = resolve::resolve_targets(&args.endpoint, policy, &catalog, environment)?;
    if !args.libtest.list {
        resolve::validate_options(targets.iter(), args.simulation.is_set(), &args.sending.budget)?;
    }
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    let baseline = args.baseline.load(&catalog, &names, [], environment.today)?;
    let accept = args.accept;
    let snapshots =
        args.snapshots.as_ref().map(|folder| SnapshotStore::new(folder, accept, environment)).transpose()?;
    let snapshots = snapshots.map(Arc::new);
    let simulator = args.simulation.load()?;
    let arguments = args.libtest.to_libtest(filter);
    let catalog = Arc::new(catalog);
    let state = Arc::new(TestState::default());
    let mut trials = Vec::new();
    let mut any = false;
    let preflight = match args.libtest.list {
        true => PreflightResult::default(),
        false => preflight_selected(args, &arguments, &targets, &catalog, environment, baseline.is_some())?,
    };
    let has_baseline = baseline.is_some();
    let session = Arc::new(TestSession {
        catalog: Arc::clone(&catalog),
        sending: args.sending.clone(),
        shared: SharedState::new(&args.sending),
        simulator,
        entropy: environment.entropy,
        preflight,
        baseline,
        strict: args.strict,
    });
    for target in targets {
        let rows = args.select.select_rows(&catalog, |needed| target.meets_requirement(needed))?;
        let ids: Vec<String> = rows.iter().map(|row| row.experiment.id().to_owned()).collect();
        let mut wanted: Vec<String> = ids.iter().filter(|id| is_selected(&arguments, &target, id)).cloned().collect();
        // A baseline also lists findings, which belong to no row.
        let tests_findings = has_baseline && is_selected(&arguments, &target, FINDINGS_TEST_NAME);
        if wanted.is_empty() && tests_findings {
            wanted.clone_from(&ids);
        }
        any |= !wanted.is_empty();
        let run = Arc::new(TargetRun::new(Arc::clone(&session), target, &wanted));
        if has_baseline {
            let (run, state) = (Arc::clone(&run), Arc::clone(&state));
            trials.push(Trial::test(test_name(run.target(), FINDINGS_TEST_NAME), move || {
                run_findings_test(&run, &state)
            }));
        }
        trials.extend(ids.into_iter().map(|id| {
            let (run, snapshots, state) = (Arc::clone(&run), snapshots.clone(), Arc::clone(&state));
            let (name, policy) = (
                test_name(run.target(), &id),
                FailurePolicy { strict: args.strict, require_effect: args.require_effect },
            );
            Trial::ignorable_test(name, move || run_row_test(&run, &id, policy, snapshots.as_deref(), &state))
        }));
    }
    if args.libtest.list {
        // libtest-mimic would panic if the reader closes the pipe.
        trials.retain(|trial| !arguments.is_filtered_out(trial));
        trials.iter().for_each(|trial| stdout::print(format!("{}: test", trial.name())));
        return Ok(Some(ExitStatus::Success));
    }
    if !any {
        return Ok(None);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    // A single undecided row does not mean that the target could not be tested.
    let undecided = !is_set(&state.decided) && !args.libtest.exact;
    Ok(Some(if is_set(&state.contradicted) {
        ExitStatus::TestFailed
    } else if is_set(&state.untested) || (undecided && !conclusion.has_failed()) {
        ExitStatus::Untested
    } else if conclusion.has_failed() {
        ExitStatus::TestFailed
    } else {
        ExitStatus::Success
    }))
}

/// Prepares requests to the targets with selected tests.
fn preflight_selected(
    args: &TestArgs,
    arguments: &libtest_mimic::Arguments,
    targets: &[ResolvedTarget],
    catalog: &Catalog,
    environment: &ProcessEnvironment,
    has_findings: bool,
) -> Result<PreflightResult, CliError> {
    let mut endpoints = Vec::new();
    for target in targets {
        let rows = args.select.select_rows(catalog, |needed| target.meets_requirement(needed))?;
        let findings = has_findings.then_some(FINDINGS_TEST_NAME);
        let mut tests = rows.iter().map(|row| row.experiment.id()).chain(findings);
        if tests.any(|test| is_selected(arguments, target, test)) {
            endpoints.push(&target.endpoint);
        }
    }
    preflight(endpoints, &args.sending.transport, catalog, environment)
}

/// The test that compares the findings of a run with the baseline.
const FINDINGS_TEST_NAME: &str = "findings";

fn test_name(target: &ResolvedTarget, id: &str) -> String {
    format!("{}::{id}", target.name)
}

fn is_selected(arguments: &libtest_mimic::Arguments, target: &ResolvedTarget, id: &str) -> bool {
    !arguments.is_filtered_out(&Trial::test(test_name(target, id), || Ok(())))
}

/// Compares the findings of a run with the baseline.
fn run_findings_test(run: &TargetRun, state: &TestState) -> Result<(), Failed> {
    let results = state.results(run)?;
    let is_failure = |entry: &&BaselineEntry| {
        matches!(entry.subject, EntrySubject::Check(_))
            && matches!(entry.case, EntryStatus::Regression | EntryStatus::Stale)
    };
    let entries = results.baseline.iter().flat_map(|baseline| &baseline.entries).filter(is_failure);
    let failures: Vec<String> =
        entries.map(|entry| format!("{} {}: {}", entry.case.as_str(), entry.subject.id(), entry.why)).collect();
    if failures.is_empty() {
        return Ok(());
    }
    state.contradicted.store(true, Ordering::Relaxed);
    Err(fail_test(&failures.join("\n")))
}

/// Runs the test of one row.
fn run_row_test(
    run: &TargetRun,
    id: &str,
    policy: FailurePolicy,
    snapshots: Option<&SnapshotStore>,
    state: &TestState,
) -> Result<Completion, Failed> {
    let set = |flag: &AtomicBool| flag.store(true, Ordering::Relaxed);
    let results = state.results(run)?;
    let row = results.rows.iter().find(|row| row.id == id).ok_or("the run has no such row")?;
    let graded = ci_status::classify_row(results, row, policy);
    let message = &graded.message;
    let ignored = |text: &str| Ok(Completion::ignored_with(escape_workflow_commands(text)));
    match graded.status {
        CiStatus::Untested => {
            set(&state.untested);
            return Err(format!("could not be tested: {}", escape_workflow_commands(message)).into());
        }
        // Its snapshot does not change.
        CiStatus::Undetermined => return ignored(&format!("{}: {}", graded.kind, row.verdict.reason)),
        CiStatus::Expected => {
            set(&state.decided);
            return ignored(&format!("expected: {message}"));
        }
        CiStatus::Passed | CiStatus::PassedWithNote | CiStatus::Failed => {}
    }
    if row.verdict.status.is_decided() {
        set(&state.decided);
    }
    // A contradicted row has a snapshot too, which shows the change.
    let changed = match snapshots.filter(|_| row.verdict.status.is_decided()) {
        Some(snapshots) => snapshots.compare_row(&results.target.name, row),
        None => Ok(()),
    };
    match (graded.status, changed) {
        (CiStatus::Failed, changed) => {
            set(&state.contradicted);
            let (kind, details) = (graded.kind, ci_status::render_details(row));
            let changed = changed.err().map_or(String::new(), |changed| format!("\n\n{changed}"));
            Err(fail_test(&format!("{kind}: {message}\n\n{details}{changed}")))
        }
        (_, Err(changed)) => {
            set(&state.contradicted);
            Err(fail_test(&changed))
        }
        (CiStatus::PassedWithNote, Ok(())) => {
            stderr::warn(format!("{}: {}: {message}", test_name(run.target(), id), graded.kind));
            Ok(Completion::Completed)
        }
        (_, Ok(())) => Ok(Completion::Completed),
    }
}
