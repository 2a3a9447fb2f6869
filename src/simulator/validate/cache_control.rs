//! The checks of `cache_control`, wherever it stands: its shape, how many there are, and the order of their ages.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::error_path::Path;
use crate::simulator::fields::find::{array, block_of, tool_tag};
use crate::simulator::fields::row::Row;
use crate::simulator::validate::Rules;
use crate::simulator::validate::types::{Checked, known_keys, object, one_of, required, words};

/// The most markers that a request may have.
const MOST: usize = 4;

/// A marker in the request, with the row of its place, if one owns it.
pub(crate) struct Marker<'a> {
    pub row: Option<Row>,
    pub path: Path,
    pub value: &'a Value,
}

impl Rules<'_> {
    pub(super) fn markers(&self, body: &Map<String, Value>) -> Checked {
        let markers = markers(body);
        // Who shares a prefix is said only under its beta.
        let scope: &[&str] = if self.contract.has_beta("prompt-caching-scope-") { &["scope"] } else { &[] };
        let mut count = 0;
        let mut has_short = false;
        for marker in markers.iter().filter(|m| m.row.is_none_or(|row| self.on(row))) {
            let is_long = shape(marker, scope)?;
            if is_long && has_short {
                return Err(Refusal::at(&marker.path.key("ttl"), "markers of 1h must come before those of 5m"));
            }
            has_short |= !is_long;
            count += 1;
            if count > MOST {
                return Err(Refusal::at(&marker.path, format!("expected at most {MOST} cache_control markers")));
            }
        }
        Ok(())
    }
}

/// Checks one marker; true when it is to live for an hour.
fn shape(marker: &Marker, scope: &[&str]) -> Checked<bool> {
    let map = object(marker.value, &marker.path)?;
    one_of(required(map, &marker.path, "type")?, &marker.path.key("type"), &["ephemeral"])?;
    known_keys(map, Some(&marker.path), &[&["type", "ttl"], scope])?;
    if let Some(scope) = map.get("scope").filter(|v| !v.is_null()) {
        words(scope, &marker.path.key("scope"))?;
    }
    match map.get("ttl").filter(|v| !v.is_null()) {
        Some(ttl) => Ok(one_of(ttl, &marker.path.key("ttl"), &["5m", "1h"])? == "1h"),
        None => Ok(false),
    }
}

/// Every marker, in the order in which prompts are read: tools, system, messages, and last the request's own.
pub(crate) fn markers(body: &Map<String, Value>) -> Vec<Marker<'_>> {
    let mut found = Vec::new();
    for (i, tool) in array(body.get("tools")).iter().enumerate() {
        let path = Path::root("tools").index(i).key(tool_tag(tool).unwrap_or("custom"));
        push(&mut found, tool, &path, Some(Row::ToolCacheControl));
    }
    for (i, block) in array(body.get("system")).iter().enumerate() {
        push(&mut found, block, &Path::root("system").index(i), Some(Row::System));
    }
    for (i, message) in array(body.get("messages")).iter().enumerate() {
        let path = Path::root("messages").index(i).key("content");
        for (j, value) in array(message.get("content")).iter().enumerate() {
            let Some(block) = block_of(value) else { continue };
            let path = path.index(j).key(block.word());
            push(&mut found, value, &path, block.marker_row());
            // Inside a result, the marker is the result's.
            for (k, inner) in array(value.get("content")).iter().enumerate() {
                push(&mut found, inner, &path.key("content").index(k), block.marker_row());
            }
        }
    }
    if let Some(value) = body.get("cache_control").filter(|v| !v.is_null()) {
        found.push(Marker { row: None, path: Path::root("cache_control"), value });
    }
    found
}

fn push<'a>(found: &mut Vec<Marker<'a>>, holder: &'a Value, path: &Path, row: Option<Row>) {
    if let Some(value) = holder.get("cache_control").filter(|v| !v.is_null()) {
        found.push(Marker { row, path: path.key("cache_control"), value });
    }
}
