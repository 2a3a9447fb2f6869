//! Validation of `cache_control`: the shape of each [`CacheControlMarker`], their number, and the
//! order of their `ttl`.

use serde_json::{Map, Value};

use crate::simulator::error_path::ErrorPath;
use crate::simulator::fields::lookup::{array_items, block_kind, tool_tag};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::request_value::{ApiResult, RequestValue};

/// The largest number of markers in a request.
const MAX_MARKERS: usize = 4;

/// A marker in the request, with the row that owns it.
pub(crate) struct CacheControlMarker<'a> {
    pub row: Option<SupportRow>,
    pub value: RequestValue<'a>,
}

impl RequestValidator<'_> {
    pub(super) fn validate_cache_control(&self, body: &Map<String, Value>) -> ApiResult {
        let markers = find_markers(body);
        // `scope` is only allowed with its beta.
        let scope: &[&str] = if self.protocol.has_beta("prompt-caching-scope-") { &["scope"] } else { &[] };
        let mut count = 0;
        let mut has_short = false;
        for marker in markers.iter().filter(|m| m.row.is_none_or(|row| self.is_enforced(row))) {
            let is_long = validate_marker(&marker.value, scope)?;
            if is_long && has_short {
                return marker.value.object()?.required("ttl")?.reject("markers of 1h must come before those of 5m");
            }
            has_short |= !is_long;
            count += 1;
            if count > MAX_MARKERS {
                return marker.value.reject(format!("expected at most {MAX_MARKERS} cache_control markers"));
            }
        }
        Ok(())
    }
}

/// Validates one marker. Returns whether its `ttl` is one hour.
fn validate_marker(marker: &RequestValue, scope: &[&str]) -> ApiResult<bool> {
    let map = marker.object()?;
    map.required("type")?.one_of(&["ephemeral"])?;
    map.reject_unknown_keys(&[&["type", "ttl"], scope])?;
    if let Some(scope) = map.non_null("scope") {
        scope.non_empty_string()?;
    }
    match map.non_null("ttl") {
        Some(ttl) => Ok(ttl.one_of(&["5m", "1h"])? == "1h"),
        None => Ok(false),
    }
}

/// Every marker, in the order of the prompt: tools, system, messages, and last the top-level one.
pub(crate) fn find_markers(body: &Map<String, Value>) -> Vec<CacheControlMarker<'_>> {
    let mut found = Vec::new();
    for (i, tool) in array_items(body.get("tools")).iter().enumerate() {
        let path = ErrorPath::root("tools").index(i).key(tool_tag(tool).unwrap_or("custom"));
        push_marker(&mut found, tool, &path, Some(SupportRow::ToolCacheControl));
    }
    for (i, block) in array_items(body.get("system")).iter().enumerate() {
        push_marker(&mut found, block, &ErrorPath::root("system").index(i), Some(SupportRow::System));
    }
    for (i, message) in array_items(body.get("messages")).iter().enumerate() {
        let path = ErrorPath::root("messages").index(i).key("content");
        for (j, value) in array_items(message.get("content")).iter().enumerate() {
            let Some(block) = block_kind(value) else { continue };
            let path = path.index(j).key(block.as_str());
            push_marker(&mut found, value, &path, block.marker_row());
            // A marker inside a tool result belongs to the result.
            for (k, inner) in array_items(value.get("content")).iter().enumerate() {
                push_marker(&mut found, inner, &path.key("content").index(k), block.marker_row());
            }
        }
    }
    if let Some(value) = body.get("cache_control").filter(|value| !value.is_null()) {
        found.push(CacheControlMarker { row: None, value: RequestValue::new(value, ErrorPath::root("cache_control")) });
    }
    found
}

fn push_marker<'a>(
    found: &mut Vec<CacheControlMarker<'a>>,
    holder: &'a Value,
    path: &ErrorPath,
    row: Option<SupportRow>,
) {
    if let Some(value) = holder.get("cache_control").filter(|v| !v.is_null()) {
        found.push(CacheControlMarker { row, value: RequestValue::new(value, path.key("cache_control")) });
    }
}
