//! `--replay`: [`replay_recordings`] reads responses from recordings instead of endpoints.

use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, LimitRequirement};
use crate::cli::args::endpoint::EndpointArgs;
use crate::cli::args::select::SelectArgs;
use crate::cli::error::CliError;
use crate::cli::io::files;
use crate::cli::runtime::multi_thread_runtime;
use crate::cli::target::build::find_target;
use crate::engine::{ReplayError, judge, note_remaining_work, replay};
use crate::recording::run::Recording;
use crate::results::file_names::slugify;
use crate::results::model::Results;

const OPTION: &str = "--replay";

/// Replays the recordings of the named targets, or all recordings of a folder.
pub fn replay_recordings(
    source: &Path,
    endpoint: &EndpointArgs,
    select: &SelectArgs,
    catalog: &Catalog,
) -> Result<Vec<Results>, CliError> {
    let claims = endpoint.claims.as_deref().map(|name| find_target(catalog, name)).transpose()?;
    let runtime = multi_thread_runtime()?;
    let mut all = Vec::new();
    for (path, target) in find_recordings(source, endpoint)? {
        let error = |problem: String| CliError::earlier_run(OPTION, &path, problem);
        let (mut recording, lines) = files::read_recording_lines(&path)?;
        let target = target.as_deref().and_then(|name| catalog.target(name));
        if let Some(claims) = claims.or(target) {
            recording.header.claims = Some(claims.clone());
        }
        let rows = select_rows(select, catalog, &recording)?;
        let unknown = recording.header.rows.iter().find(|id| catalog.experiment(id).is_none());
        if let (Some(unknown), None) = (unknown, &rows) {
            return Err(error(format!(
                "no experiment for row `{unknown}`. Use the case files of the run with --cases, or other rows with \
                 --select"
            )));
        }
        let replayed = runtime.block_on(replay(catalog, &recording, rows.as_deref())).map_err(|mismatch| {
            let ReplayError::RequestMismatch(id) = &mismatch;
            let line = recording.exchanges.iter().position(|exchange| exchange.id == *id);
            let line = line.and_then(|position| lines.get(position));
            let place = line.map_or(String::new(), |line| format!("line {line} of the recording: "));
            error(format!("{place}{mismatch}"))
        })?;
        let mut results = judge(catalog, &replayed).map_err(|e| CliError::recording(&path, e))?;
        note_remaining_work(&mut results, catalog, &replayed);
        all.push(results);
    }
    Ok(all)
}

/// The rows of `--select`. `None` without the option, which means all rows of the recording.
fn select_rows(select: &SelectArgs, catalog: &Catalog, recording: &Recording) -> Result<Option<Vec<String>>, CliError> {
    if select.select.is_empty() {
        return Ok(None);
    }
    let limits = recording.header.claims.as_ref().map(|claims| &claims.limits);
    let is_met = |needed: LimitRequirement| limits.is_some_and(|limits| limits.satisfies(needed));
    let rows = select.select_rows(catalog, is_met)?;
    Ok(Some(rows.iter().map(|row| row.experiment.id().to_owned()).collect()))
}

/// The files to replay, each with the target that names it.
fn find_recordings(source: &Path, endpoint: &EndpointArgs) -> Result<Vec<(PathBuf, Option<String>)>, CliError> {
    let error = |problem: &str| CliError::earlier_run(OPTION, source, problem);
    if endpoint.name.is_some() && endpoint.targets.len() > 1 {
        return Err(error("--name names one recording, but several targets are named"));
    }
    if source.is_file() {
        return match endpoint.targets.as_slice() {
            [] => Ok(vec![(source.to_owned(), None)]),
            [target] => Ok(vec![(source.to_owned(), Some(target.clone()))]),
            _ => Err(error("the file is one recording, but several targets are named. Use its folder")),
        };
    }
    if !source.is_dir() {
        return Err(error("no such file or folder. `fieldtest run --record DIR` makes recordings"));
    }
    let find = |name: &String, target: Option<&String>| {
        let file = format!("recording-{}.jsonl", slugify(name));
        let path = source.join(&file);
        match path.is_file() {
            true => Ok((path, target.cloned())),
            false => Err(error(&format!("no {file} in the folder. Check the target and the folder of the run"))),
        }
    };
    match &endpoint.name {
        Some(name) => Ok(vec![find(name, endpoint.targets.first())?]),
        None if endpoint.targets.is_empty() => {
            let all: Vec<_> = files::list_recordings(source)?.into_iter().map(|path| (path, None)).collect();
            if all.is_empty() { Err(error("no recording-*.jsonl in the folder")) } else { Ok(all) }
        }
        None => endpoint.targets.iter().map(|name| find(name, Some(name))).collect(),
    }
}
