//! [`SnapshotStore`]: the result of each row as an insta snapshot, so that changes are visible.
//!
//! A snapshot has no counts, times or random values, so it is stable as long as the endpoint is. insta reads the files, and
//! `cargo insta review` can review them.

use std::fs;
use std::path::{Path, PathBuf};

use insta::Snapshot;
use serde_json::{Value, json};
use similar::TextDiff;

use crate::cli::io::files;
use crate::cli::{CliError, ProcessEnvironment};
use crate::results::file_names::slugify;
use crate::results::model::RowResult;

/// What to do with a changed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SnapshotUpdate {
    /// Write the snapshot.
    Always,
    /// Write a pending snapshot, to be reviewed.
    New,
    /// Write a missing snapshot; otherwise as `New`.
    Unseen,
    /// Write nothing.
    No,
}

/// The snapshots of all targets.
#[derive(Debug)]
pub struct SnapshotStore {
    folder: PathBuf,
    update: SnapshotUpdate,
}

impl SnapshotStore {
    /// The snapshots in a folder. Without `accept`, INSTA_UPDATE determines what to do with changes.
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
                return Err(CliError::InvalidInstaUpdate(other.to_owned()));
            }
        };
        Ok(Self { folder: folder.to_owned(), update })
    }

    /// Compares a decided row with its snapshot. The error describes the change.
    pub fn compare_row(&self, target: &str, row: &RowResult) -> Result<(), String> {
        let folder = self.folder.join(slugify(target));
        let file = folder.join(format!("{}.snap", slugify(&row.id)));
        let pending = folder.join(format!("{}.snap.new", slugify(&row.id)));
        let now = format!("{:#}", stable_fields(row));
        let kept = file.exists().then(|| read_snapshot(&file)).transpose()?;
        if kept.as_deref().map(str::trim) == Some(now.as_str()) {
            // A pending snapshot is obsolete. It may not exist.
            let _ = fs::remove_file(&pending);
            return Ok(());
        }
        let (written, outcome) = match (self.update, &kept) {
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
        if outcome.is_ok() {
            let _ = fs::remove_file(&pending);
        }
        outcome
    }
}

fn read_snapshot(file: &Path) -> Result<String, String> {
    let broken = |why: String| format!("{}: not a snapshot: {why}. Fix or delete it", file.display());
    let snapshot = Snapshot::from_file(file).map_err(|error| broken(error.to_string()))?;
    let text = snapshot.as_text().ok_or_else(|| broken("it has no text".to_owned()))?;
    Ok(text.to_string())
}

/// A file in the format of insta. JSON strings are YAML strings.
fn render_snapshot(target: &str, title: &str, content: &str) -> String {
    let description = Value::from(format!("{target}: {title}"));
    format!("---\nsource: fieldtest test\ndescription: {description}\n---\n{content}\n")
}

fn describe_change(file: &Path, kept: Option<&str>, now: &str, pending: bool) -> String {
    let what = if kept.is_some() { "the row differs from its snapshot" } else { "the row has no snapshot" };
    let kept = kept.map_or(String::new(), |kept| format!("{}\n", kept.trim()));
    let now = format!("{now}\n");
    let difference = TextDiff::from_lines(kept.as_str(), now.as_str());
    let difference = difference.unified_diff().header("snapshot", "this run").to_string();
    let advice = if pending {
        "Review it with `cargo insta review`, or accept it with --accept"
    } else {
        "Nothing was written. Accept it with --accept"
    };
    format!("{what}: {}\n\n{difference}\n{advice}", file.display())
}

/// The fields that must not change.
fn stable_fields(row: &RowResult) -> Value {
    let verdict = &row.verdict;
    json!({
        "claim": row.claim,
        "verdict": verdict.status,
        "evidence": verdict.evidence,
        "qualifiers": verdict.qualifiers.iter().map(|qualifier| strip_reason(qualifier)).collect::<Vec<_>>(),
        "outcome": row.outcome,
        "silent": row.silent,
        "findings": row.findings,
    })
}

/// A qualifier without its reason, which has counts. The reason of `altered` is fixed text.
fn strip_reason(qualifier: &str) -> &str {
    match qualifier.split_once(": ") {
        Some((kind, _)) if kind != "altered" => kind,
        Some(_) | None => qualifier,
    }
}
