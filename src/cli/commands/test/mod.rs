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
use crate::cli::args::common::{CaseArgs, EndpointArgs, SelectArgs, SimulatorArgs};
use crate::cli::args::send::SendArgs;
use crate::cli::commands::test::libtest_args::LibtestArgs;
use crate::cli::commands::test::snapshots::Snapshots;
use crate::cli::commands::test::target_run::Run;
use crate::cli::io::stdout;
use crate::cli::session::preflight::{Ready, ready};
use crate::cli::target::resolve;
use crate::cli::target::resolve::Tested;
use crate::cli::{CliError, Environment, Exit};
use crate::report::common::ci_status;
use crate::report::common::ci_status::Grade;
use crate::report::uncommanded;
use crate::results::baseline::{Case, Entry, Subject};

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
    simulator: SimulatorArgs,
}

/// What the arguments of a test program of one's own may be: those of any test program.
#[derive(Debug, Parser)]
struct Harness {
    /// Only tests whose names contain this.
    filter: Option<String>,
    #[command(flatten)]
    libtest: LibtestArgs,
}

/// The fixed arguments of a test program of one's own, and the words of the command behind them.
#[derive(Debug, Parser)]
#[command(name = "fieldtest test")]
struct Fixed {
    #[command(flatten)]
    test: TestArgs,
}

/// Runs the command.
pub fn main(args: &TestArgs, environment: &Environment) -> Result<Exit, CliError> {
    let catalog = args.cases.load()?;
    let (targets, filter) = libtest_args::split(&args.endpoint.targets, &catalog)?;
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
    match tests(&args, filter, catalog.clone(), environment)? {
        Some(exit) => Ok(exit),
        None => Err(selects_nothing(&filter_text)),
    }
}

/// Runs as a test program of one's own does: `fixed` are arguments of `fieldtest test`, `given` those of the process.
/// Where nothing is selected nothing fails: it may be one of many programs that get the same filter.
pub fn harness(
    fixed: impl IntoIterator<Item = OsString>,
    given: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Exit, CliError> {
    let command = std::iter::once(OsString::from("fieldtest test"));
    let mut args = match Fixed::try_parse_from(command.chain(fixed)) {
        Ok(fixed) => fixed.test,
        Err(error) => return Err(CliError::Usage(error.to_string())),
    };
    let given = match Harness::try_parse_from(given) {
        Ok(given) => given,
        Err(error) => {
            crate::cli::told(&error);
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Success });
        }
    };
    args.libtest = given.libtest;
    let catalog = args.cases.load()?;
    Ok(tests(&args, given.filter, catalog, environment)?.unwrap_or(Exit::Success))
}

/// What the tests found out beside passing or failing, which libtest has no word for.
#[derive(Debug, Default)]
struct Seen {
    contradicted: AtomicBool,
    untested: AtomicBool,
    decided: AtomicBool,
}

/// Runs the tests that are asked for; nothing where that is none.
fn tests(
    args: &TestArgs,
    filter: Option<String>,
    catalog: Catalog,
    environment: &Environment,
) -> Result<Option<Exit>, CliError> {
    let mut endpoint = args.endpoint.clone();
    if args.libtest.list {
        // Names need no credential: a simulation has the same.
        endpoint = endpoint.without_credential();
        endpoint.planning = true;
    }
    let targets = resolve::resolve(&endpoint, &catalog, environment)?;
    if !args.libtest.list {
        resolve::fit(targets.iter(), args.simulator.given(), &args.sending.money)?;
    }
    let names: Vec<&str> = targets.iter().map(|tested| tested.name.as_str()).collect();
    let baseline = args.baseline.load(&catalog, &names, [], environment.today)?.map(Arc::new);
    let accept = args.accept;
    let snapshots = args.snapshots.as_ref().map(|folder| Snapshots::new(folder, accept, environment)).transpose()?;
    let snapshots = snapshots.map(Arc::new);
    let arguments = args.libtest.arguments(filter);
    let catalog = Arc::new(catalog);
    let seen = Arc::new(Seen::default());
    let mut trials = Vec::new();
    let mut any = false;
    let ready = match args.libtest.list {
        true => Ready::default(),
        false => ready_for(args, &arguments, &targets, &catalog, environment, baseline.is_some())?,
    };
    let ready = Arc::new(ready);
    for tested in targets {
        let rows = args.select.rows(&catalog, |needed| tested.states(needed))?;
        let ids: Vec<String> = rows.iter().map(|row| row.experiment.id().to_owned()).collect();
        let mut wanted: Vec<String> = ids.iter().filter(|id| is_selected(&arguments, &tested, id)).cloned().collect();
        // A baseline speaks of findings as well, and they are no row's.
        let looks_for_findings = baseline.is_some() && is_selected(&arguments, &tested, FINDINGS);
        if wanted.is_empty() && looks_for_findings {
            wanted.clone_from(&ids);
        }
        any |= !wanted.is_empty();
        let run = Arc::new(Run::new(
            args,
            environment,
            Arc::clone(&catalog),
            tested,
            &wanted,
            baseline.clone(),
            Arc::clone(&ready),
        ));
        if baseline.is_some() {
            let (run, seen) = (Arc::clone(&run), Arc::clone(&seen));
            trials.push(Trial::test(name(run.tested(), FINDINGS), move || findings(&run, &seen)));
        }
        trials.extend(ids.into_iter().map(|id| {
            let (run, snapshots, seen) = (Arc::clone(&run), snapshots.clone(), Arc::clone(&seen));
            let (name, strict) = (name(run.tested(), &id), args.strict);
            Trial::ignorable_test(name, move || check(&run, &id, strict, snapshots.as_deref(), &seen))
        }));
    }
    if args.libtest.list {
        // Here, and not in the library: whoever closes the pipe has read enough.
        trials.retain(|trial| !arguments.is_filtered_out(trial));
        trials.iter().for_each(|trial| stdout::say(format!("{}: test", trial.name())));
        return Ok(Some(Exit::Success));
    }
    if !any {
        return Ok(None);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let was = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    // One row alone that stays open is no target that could not be tested.
    let undecided = !was(&seen.decided) && !args.libtest.exact;
    Ok(Some(if was(&seen.contradicted) {
        Exit::TestFailed
    } else if was(&seen.untested) || (undecided && !conclusion.has_failed()) {
        Exit::Untested
    } else if conclusion.has_failed() {
        Exit::TestFailed
    } else {
        Exit::Success
    }))
}

/// Makes ready for the targets of which a test is selected.
fn ready_for(
    args: &TestArgs,
    arguments: &libtest_mimic::Arguments,
    targets: &[Tested],
    catalog: &Catalog,
    environment: &Environment,
    has_findings: bool,
) -> Result<Ready, CliError> {
    let mut places = Vec::new();
    for tested in targets {
        let rows = args.select.rows(catalog, |needed| tested.states(needed))?;
        let findings = has_findings.then_some(FINDINGS);
        let mut tests = rows.iter().map(|row| row.experiment.id()).chain(findings);
        if tests.any(|test| is_selected(arguments, tested, test)) {
            places.push(&tested.place);
        }
    }
    ready(places, &args.sending.transport, catalog, environment)
}

/// The test that holds a run's findings against the baseline.
const FINDINGS: &str = "findings";

fn name(tested: &Tested, id: &str) -> String {
    format!("{}::{id}", tested.name)
}

fn is_selected(arguments: &libtest_mimic::Arguments, tested: &Tested, id: &str) -> bool {
    !arguments.is_filtered_out(&Trial::test(name(tested, id), || Ok(())))
}

/// The findings of a run, and what the baseline lists of them.
fn findings(run: &Run, seen: &Seen) -> Result<(), Failed> {
    let of = |flag: &AtomicBool| flag.store(true, Ordering::Relaxed);
    let results = run.results().map_err(|why| {
        of(&seen.untested);
        Failed::from(uncommanded(why))
    })?;
    let is_failure = |entry: &&Entry| {
        matches!(entry.subject, Subject::Check(_)) && matches!(entry.case, Case::Regression | Case::Stale)
    };
    let entries = results.baseline.iter().flat_map(|held| &held.entries).filter(is_failure);
    let told: Vec<String> =
        entries.map(|entry| format!("{} {}: {}", entry.case.word(), entry.subject.id(), entry.why)).collect();
    if told.is_empty() {
        return Ok(());
    }
    of(&seen.contradicted);
    Err(Failed::from(uncommanded(&told.join("\n"))))
}

/// One test.
fn check(run: &Run, id: &str, strict: bool, snapshots: Option<&Snapshots>, seen: &Seen) -> Result<Completion, Failed> {
    let of = |flag: &AtomicBool| flag.store(true, Ordering::Relaxed);
    let results = run.results().map_err(|why| {
        of(&seen.untested);
        Failed::from(uncommanded(why))
    })?;
    let row = results.rows.iter().find(|row| row.id == id).ok_or("the run has no such row")?;
    let graded = ci_status::of_row(results, row, strict);
    let told = |more: &str| {
        Failed::from(uncommanded(&format!("{}: {}\n\n{}{more}", graded.kind, graded.message, ci_status::details(row))))
    };
    match graded.grade {
        Grade::Untested => {
            of(&seen.untested);
            return Err(format!("could not be tested: {}", uncommanded(&graded.message)).into());
        }
        Grade::Undetermined => {
            // Its snapshot, if there is one, is neither confirmed nor changed.
            return Ok(Completion::ignored_with(uncommanded(&format!("{}: {}", graded.kind, row.verdict.reason))));
        }
        Grade::Expected => {
            of(&seen.decided);
            return Ok(Completion::ignored_with(uncommanded(&format!("expected: {}", graded.message))));
        }
        Grade::Passed | Grade::Noted | Grade::Failed => {}
    }
    if row.verdict.status.is_decided() {
        of(&seen.decided);
    }
    // A row that contradicts has its snapshot too: it shows what changed.
    let changed = match snapshots.filter(|_| row.verdict.status.is_decided()) {
        Some(snapshots) => snapshots.check(&results.target.name, row),
        None => Ok(()),
    };
    match (graded.grade, changed) {
        (Grade::Failed, changed) => {
            of(&seen.contradicted);
            Err(told(&changed.err().map_or(String::new(), |changed| format!("\n\n{changed}"))))
        }
        (_, Err(changed)) => {
            of(&seen.contradicted);
            Err(Failed::from(uncommanded(&changed)))
        }
        (Grade::Noted, Ok(())) => {
            stdout::warn(format!("{}: {}: {}", name(run.tested(), id), graded.kind, graded.message));
            Ok(Completion::Completed)
        }
        (_, Ok(())) => Ok(Completion::Completed),
    }
}
