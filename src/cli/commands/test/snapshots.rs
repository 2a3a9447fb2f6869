//! Per-row results as snapshots of insta: what a row was, so that a change shows.
//!
//! Kept is what is the same in every run against an endpoint that did not change: no counts, no times, no drawn words.
//! The files are read by insta, and written as `cargo insta review` reads them; the rules for writing are insta's.

use std::fs;
use std::path::{Path, PathBuf};

use insta::Snapshot;
use serde_json::{Value, json};
use similar::TextDiff;

use crate::cli::io::files;
use crate::cli::{CliError, ProcessEnvironment};
use crate::results::file_names::slugify;
use crate::results::model::RowResult;

/// What becomes of a row that is not what its snapshot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SnapshotUpdate {
    /// The snapshot is written anew.
    Always,
    /// The new one is written beside it, to be reviewed.
    New,
    /// Where there is none it is written, else as `New`.
    Unseen,
    /// Nothing is written.
    No,
}

/// The snapshots of all targets.
#[derive(Debug)]
pub struct SnapshotStore {
    folder: PathBuf,
    update: SnapshotUpdate,
}

impl SnapshotStore {
    /// Those in this folder. `accept` is the option; without it INSTA_UPDATE says what becomes of changes.
    pub fn new(folder: &Path, accept: bool, environment: &ProcessEnvironment) -> Result<Self, CliError> {
        let variable = |name: &str| (environment.variable)(name).map(|value| value.to_string_lossy().into_owned());
        let in_ci = match variable("CI").as_deref() {
            Some("false" | "0" | "") => false,
            Some(_) => true,
            None => variable("TF_BUILD").is_some(),
        };
        let update = match variable("INSTA_UPDATE").as_deref() {
            _ if accept => SnapshotUpdate::Always,
            None | Some("" | "auto") if in_ci => SnapshotUpdate::No,
            None | Some("" | "auto" | "new") => SnapshotUpdate::New,
            Some("always" | "1" | "force") => SnapshotUpdate::Always,
            Some("unseen") => SnapshotUpdate::Unseen,
            Some("no") => SnapshotUpdate::No,
            Some(other) => {
                return Err(CliError::Usage(format!(
                    "INSTA_UPDATE is `{other}`: expected auto, always, new, unseen, force or no"
                )));
            }
        };
        Ok(Self { folder: folder.to_owned(), update })
    }

    /// Holds a decided row against its snapshot; an error says what changed.
    pub fn compare_row(&self, target: &str, row: &RowResult) -> Result<(), String> {
        let folder = self.folder.join(slugify(target));
        let file = folder.join(format!("{}.snap", slugify(&row.id)));
        let pending = folder.join(format!("{}.snap.new", slugify(&row.id)));
        let now = format!("{:#}", stable_fields(row));
        let kept = file.exists().then(|| read_snapshot(&file)).transpose()?;
        if kept.as_deref().map(str::trim) == Some(now.as_str()) {
            // What was pending is settled. That it was not there is no error.
            let _ = fs::remove_file(&pending);
            return Ok(());
        }
        let (written, told) = match (self.update, &kept) {
            (SnapshotUpdate::Always, _) | (SnapshotUpdate::Unseen, None) => (Some(&file), Ok(())),
            (SnapshotUpdate::New | SnapshotUpdate::Unseen, _) => {
                (Some(&pending), Err(describe_change(&file, kept.as_deref(), &now, true)))
            }
            (SnapshotUpdate::No, _) => (None, Err(describe_change(&file, kept.as_deref(), &now, false))),
        };
        if let Some(path) = written {
            fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
            files::write(path, &render_snapshot(target, &row.title, &now)).map_err(|error| error.to_string())?;
        }
        if told.is_ok() {
            let _ = fs::remove_file(&pending);
        }
        told
    }
}

fn read_snapshot(file: &Path) -> Result<String, String> {
    let broken = |why: String| format!("{}: this is no snapshot: {why}; delete it, or mend it", file.display());
    let snapshot = Snapshot::from_file(file).map_err(|error| broken(error.to_string()))?;
    let text = snapshot.as_text().ok_or_else(|| broken("it holds no text".to_owned()))?;
    Ok(text.to_string())
}

/// A file as insta writes it. JSON strings are YAML strings.
fn render_snapshot(target: &str, title: &str, content: &str) -> String {
    let description = Value::from(format!("{target}: {title}"));
    format!("---\nsource: fieldtest test\ndescription: {description}\n---\n{content}\n")
}

fn describe_change(file: &Path, kept: Option<&str>, now: &str, pending: bool) -> String {
    let what = if kept.is_some() { "the row is not what its snapshot says" } else { "the row has no snapshot yet" };
    let kept = kept.map_or(String::new(), |kept| format!("{}\n", kept.trim()));
    let now = format!("{now}\n");
    let difference = TextDiff::from_lines(kept.as_str(), now.as_str());
    let difference = difference.unified_diff().header("snapshot", "this run").to_string();
    let advice = if pending {
        "review it with `cargo insta review`, or accept it with --accept"
    } else {
        "nothing was written; accept it with --accept"
    };
    format!("{what}: {}\n\n{difference}\n{advice}", file.display())
}

/// What must not change unnoticed.
fn stable_fields(row: &RowResult) -> Value {
    let verdict = &row.verdict;
    json!({
        "claim": row.claim,
        "verdict": verdict.status,
        "evidence": verdict.evidence,
        "qualifiers": verdict.qualifiers.iter().map(|told| strip_reason(told)).collect::<Vec<_>>(),
        "outcome": row.outcome,
        "silent": row.silent,
        "findings": row.findings,
    })
}

/// A qualifier without the reason behind it, which counts trials. What is altered is told in words that are fixed.
fn strip_reason(qualifier: &str) -> &str {
    match qualifier.split_once(": ") {
        Some((kind, _)) if kind != "altered" => kind,
        Some(_) | None => qualifier,
    }
}
