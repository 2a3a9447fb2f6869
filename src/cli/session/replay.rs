//! `--replay`: recordings in the place of endpoints, held against the arguments of the command line.

use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, LimitRequirement};
use crate::cli::CliError;
use crate::cli::args::common::{EndpointArgs, SelectArgs};
use crate::cli::io::files;
use crate::cli::session::run;
use crate::cli::target::resolve::find_target;
use crate::engine::{ReplayError, judge, note_remaining_work, replay};
use crate::recording::run::Recording;
use crate::results::model::Results;

/// Replays the recordings that are meant: of each target that is named, else all that are there.
pub fn replay_recordings(
    place: &Path,
    endpoint: &EndpointArgs,
    select: &SelectArgs,
    catalog: &Catalog,
) -> Result<Vec<Results>, CliError> {
    let claims = endpoint.claims.as_deref().map(|name| find_target(catalog, name)).transpose()?;
    let runtime = run::multi_thread_runtime()?;
    let mut all = Vec::new();
    for (path, named) in find_recordings(place, endpoint)? {
        let wrong = |what: String| CliError::Usage(format!("{}: {what}", path.display()));
        let (mut recording, lines) = files::read_recording_lines(&path)?;
        let of = named.as_deref().and_then(|name| catalog.targets.get(name));
        if let Some(claims) = claims.or(of) {
            recording.header.claims = Some(claims.clone());
        }
        let rows = select_rows(select, catalog, &recording)?;
        let unknown = recording.header.rows.iter().find(|id| catalog.experiment(id).is_none());
        if let (Some(unknown), None) = (unknown, &rows) {
            return Err(wrong(format!(
                "it holds row `{unknown}`, which no experiment decides: give the case files of the run with --cases, \
                 or other rows with --select"
            )));
        }
        let replayed = runtime.block_on(replay(catalog, &recording, rows.as_deref())).map_err(|e| {
            let ReplayError::RequestMismatch(id) = &e;
            let line = recording.exchanges.iter().position(|x| x.id == *id).and_then(|at| lines.get(at));
            wrong(line.map_or(e.to_string(), |line| format!("line {line} of the recording: {e}")))
        })?;
        let mut results = judge(catalog, &replayed).map_err(|e| wrong(e.to_string()))?;
        note_remaining_work(&mut results, catalog, &replayed);
        all.push(results);
    }
    Ok(all)
}

/// The rows that `--select` names; `None` where all of the recording are meant.
fn select_rows(select: &SelectArgs, catalog: &Catalog, recording: &Recording) -> Result<Option<Vec<String>>, CliError> {
    if select.select.is_empty() {
        return Ok(None);
    }
    let limits = recording.header.claims.as_ref().map(|t| &t.limits);
    let stated = |needed: LimitRequirement| limits.is_some_and(|limits| limits.satisfies(needed));
    let rows = select.select_rows(catalog, stated)?;
    Ok(Some(rows.iter().map(|row| row.experiment.id().to_owned()).collect()))
}

/// The files to replay, each with the target that it was named by.
fn find_recordings(place: &Path, endpoint: &EndpointArgs) -> Result<Vec<(PathBuf, Option<String>)>, CliError> {
    let wrong = |what: String| Err(CliError::Usage(format!("--replay {}: {what}", place.display())));
    let names: Vec<&String> = endpoint.name.iter().chain(&endpoint.targets).collect();
    if endpoint.name.is_some() && endpoint.targets.len() > 1 {
        return wrong("--name names one recording, and several targets are named".to_owned());
    }
    if place.is_file() {
        return match endpoint.targets.as_slice() {
            [] => Ok(vec![(place.to_owned(), None)]),
            [one] => Ok(vec![(place.to_owned(), Some(one.clone()))]),
            _ => wrong("it is one recording, and several targets are named".to_owned()),
        };
    }
    if !place.is_dir() {
        return wrong("there is no such file or folder; `fieldtest run --record DIR` makes recordings".to_owned());
    }
    if names.is_empty() {
        let all: Vec<_> = files::list_recordings(place)?.into_iter().map(|path| (path, None)).collect();
        return if all.is_empty() { wrong("there is no recording-*.jsonl in it".to_owned()) } else { Ok(all) };
    }
    let file = |name: &str| place.join(format!("recording-{}.jsonl", crate::results::file_names::slugify(name)));
    let of = |name: &String, target: Option<&String>| {
        let path = file(name);
        match path.is_file() {
            true => Ok((path, target.cloned())),
            false => Err(CliError::Usage(format!(
                "--replay {}: there is no {} in it; was the run of another target, or written elsewhere?",
                place.display(),
                path.file_name().unwrap_or_default().display()
            ))),
        }
    };
    match &endpoint.name {
        Some(name) => Ok(vec![of(name, endpoint.targets.first())?]),
        None => endpoint.targets.iter().map(|name| of(name, Some(name))).collect(),
    }
}
