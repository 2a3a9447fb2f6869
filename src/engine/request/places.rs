//! The places of a request, and the rows that they belong to: [`find_places`], one table for all
//! rows.
//!
//! Pure. It reads the request as it was sent, with everything that the endpoint itself contributed
//! to it. It must not know experiments, or what a server does with a field.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalog::FieldLocation;
use crate::wire::exchange::{Request, RequestCredential};

/// A place of a request that belongs to a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestPlace {
    /// The row.
    pub row: Cow<'static, str>,
    /// The place as a JSON pointer into the body. `header NAME`, `path` and `credential` are not in
    /// the body.
    pub pointer: String,
    /// Distinguishes rows with the same pointer: a row with a higher rank is a part of a row with a
    /// lower one. For example, `tool_choice.any` is a part of `tool_choice.object_form`.
    pub rank: u8,
    /// True if the row is about the field itself. Other rows are about a value or a form of it, so
    /// no row can depend on them.
    pub is_field: bool,
}

/// Top-level keys, and their rows.
const TOP_LEVEL_ROWS: [(&str, &str); 15] = [
    ("model", "field.model"),
    ("max_tokens", "field.max_tokens"),
    ("container", "field.container"),
    ("mcp_servers", "field.mcp_servers"),
    ("metadata", "field.metadata"),
    ("service_tier", "field.service_tier"),
    ("stop_sequences", "field.stop_sequences"),
    ("stream", "field.stream"),
    ("system", "field.system"),
    ("temperature", "field.temperature"),
    ("thinking", "field.thinking"),
    ("top_k", "field.top_k"),
    ("top_p", "field.top_p"),
    ("anthropic_beta", "field.anthropic_beta"),
    ("context_management", "field.context_management"),
];

/// Keys below top-level keys, and their rows.
const NESTED_ROWS: [(&str, &str); 3] = [
    ("/thinking/budget_tokens", "field.thinking.budget_tokens"),
    ("/output_config/effort", "field.output_config.effort"),
    ("/output_config/format", "field.output_config.format"),
];

/// Types of content blocks that have one row for the whole block.
const BLOCK_ROWS: [(&str, &str); 11] = [
    ("image", "content.image"),
    ("document", "content.document"),
    ("search_result", "content.search_result"),
    ("thinking", "content.thinking"),
    ("redacted_thinking", "content.redacted_thinking"),
    ("server_tool_use", "content.server_tool_use"),
    ("web_search_tool_result", "content.web_search_tool_result"),
    ("code_execution_tool_result", "content.code_execution_tool_result"),
    ("mcp_tool_use", "content.mcp_tool_use"),
    ("mcp_tool_result", "content.mcp_tool_result"),
    ("container_upload", "content.container_upload"),
];

/// Keys of content blocks that have a row each: the type of the block, the key, the row.
const BLOCK_KEY_ROWS: [(&str, &str, &str); 11] = [
    ("text", "text", "content.text.text"),
    ("text", "cache_control", "content.text.cache_control"),
    ("text", "citations", "content.text.citations"),
    ("tool_use", "id", "content.tool_use.id"),
    ("tool_use", "input", "content.tool_use.input"),
    ("tool_use", "name", "content.tool_use.name"),
    ("tool_use", "cache_control", "content.tool_use.cache_control"),
    ("tool_result", "tool_use_id", "content.tool_result.tool_use_id"),
    ("tool_result", "content", "content.tool_result.content"),
    ("tool_result", "cache_control", "content.tool_result.cache_control"),
    ("tool_result", "is_error", "content.tool_result.is_error"),
];

/// Keys of the client's own tools, and their rows.
const TOOL_KEY_ROWS: [(&str, &str); 4] = [
    ("name", "tools.name"),
    ("description", "tools.description"),
    ("input_schema", "tools.input_schema"),
    ("cache_control", "tools.cache_control"),
];

/// The side endpoints, and their rows.
const PATH_ROWS: [(&str, &str); 2] = [("/v1/messages/count_tokens", "count_tokens"), ("/v1/models", "models")];

/// All places of a request that belong to rows. `fields` has the locations of fields that case
/// files of the user add.
pub fn find_places<'a>(
    request: &Request,
    fields: impl IntoIterator<Item = (&'a str, &'a FieldLocation)>,
) -> Vec<RequestPlace> {
    let mut places = PlaceList::default();
    places.visit_envelope(request);
    if request.body.is_object() {
        places.visit_body(&request.body);
    }
    for (row, location) in fields {
        places.visit_added_field(row, location, request);
    }
    places.0
}

/// The rows whose fields a request has.
pub fn carried_rows(request: &Request) -> BTreeSet<String> {
    find_places(request, []).into_iter().filter(|place| place.is_field).map(|place| place.row.into_owned()).collect()
}

#[derive(Default)]
struct PlaceList(Vec<RequestPlace>);

impl PlaceList {
    fn add(&mut self, row: impl Into<Cow<'static, str>>, pointer: String, rank: u8, is_field: bool) {
        self.0.push(RequestPlace { row: row.into(), pointer, rank, is_field });
    }

    fn add_field(&mut self, row: impl Into<Cow<'static, str>>, pointer: String) {
        self.add(row, pointer, 0, true);
    }

    /// Adds a row about a value or a form of a field.
    fn add_detail(&mut self, row: &'static str, pointer: String) {
        self.add(row, pointer, 1, false);
    }

    fn visit_envelope(&mut self, request: &Request) {
        for name in ["anthropic-beta", "anthropic-version"] {
            if request.headers.contains_key(name) {
                self.add_field(format!("header.{name}"), format!("header {name}"));
            }
        }
        let credentials: &[&str] = match request.credential {
            RequestCredential::XApiKey | RequestCredential::WrongXApiKey => &["header.x-api-key"],
            RequestCredential::Bearer | RequestCredential::WrongBearer => &["header.authorization"],
            RequestCredential::Both => &["header.x-api-key", "header.authorization"],
            // The first requests of the run show that the target's own credential works.
            RequestCredential::Target | RequestCredential::Missing => &[],
        };
        for row in credentials {
            self.add_field(*row, "credential".to_owned());
        }
        let path = request.path_without_query();
        for (known, row) in PATH_ROWS {
            if path == known {
                self.add_field(row, "path".to_owned());
            }
        }
    }

    fn visit_body(&mut self, body: &Value) {
        for (key, row) in TOP_LEVEL_ROWS {
            if body.get(key).is_some_and(|value| key != "container" || !value.is_null()) {
                self.add_field(row, format!("/{key}"));
            }
        }
        for (pointer, row) in NESTED_ROWS {
            if body.pointer(pointer).is_some() {
                self.add_field(row, pointer.to_owned());
            }
        }
        if let Some(kind @ ("adaptive" | "disabled")) = body.pointer("/thinking/type").and_then(Value::as_str) {
            self.add(format!("field.thinking.{kind}"), "/thinking".to_owned(), 1, false);
        }
        if body.pointer("/metadata/user_id").is_some() {
            self.add_detail("field.metadata.user_id", "/metadata/user_id".to_owned());
        }
        if body.get("temperature").is_some() {
            self.add_detail("field.temperature.range", "/temperature".to_owned());
        }
        if body.get("max_tokens").is_some() {
            self.add_detail("limit.max_output_tokens", "/max_tokens".to_owned());
        }
        if body.get("system").is_some_and(Value::is_array) {
            self.add_detail("system.blocks", "/system".to_owned());
        }
        self.visit_tools(body);
        self.visit_tool_choice(body.get("tool_choice"));
        for (i, message) in items(body.get("messages")) {
            let pointer = format!("/messages/{i}");
            if message["role"] == "system" {
                self.add_detail("turns.role_system", pointer.clone());
            }
            match message.get("content") {
                Some(Value::String(_)) => self.add_field("content.string", format!("{pointer}/content")),
                content => {
                    items(content).for_each(|(j, block)| self.visit_block(block, &format!("{pointer}/content/{j}")))
                }
            }
        }
    }

    fn visit_tools(&mut self, body: &Value) {
        let is_client_tool = |tool: &Value| tool.is_object() && tool.get("type").is_none_or(|t| t == "custom");
        if items(body.get("tools")).any(|(_, tool)| is_client_tool(tool)) {
            self.add_field("tools", "/tools".to_owned());
        }
        for (i, tool) in items(body.get("tools")) {
            for (key, row) in TOOL_KEY_ROWS {
                if is_set(tool, key) && (is_client_tool(tool) || key == "cache_control") {
                    self.add_field(row, format!("/tools/{i}/{key}"));
                }
            }
        }
    }

    fn visit_tool_choice(&mut self, choice: Option<&Value>) {
        let pointer = || "/tool_choice".to_owned();
        match choice {
            Some(Value::String(_)) => self.add_field("tool_choice.string_form", pointer()),
            Some(Value::Object(object)) => {
                self.add_field("tool_choice.object_form", pointer());
                let Some(kind @ ("none" | "auto" | "any" | "tool")) = object.get("type").and_then(Value::as_str) else {
                    return;
                };
                self.add(format!("tool_choice.{kind}"), pointer(), 1, true);
                if kind != "none" && object.contains_key("disable_parallel_tool_use") {
                    let row = format!("tool_choice.{kind}.disable_parallel_tool_use");
                    self.add_field(row, "/tool_choice/disable_parallel_tool_use".to_owned());
                }
            }
            _ => {}
        }
    }

    fn visit_block(&mut self, block: &Value, pointer: &str) {
        let kind = block["type"].as_str().unwrap_or_default();
        for (known, row) in BLOCK_ROWS {
            if kind == known {
                self.add_field(row, pointer.to_owned());
            }
        }
        for (known, key, row) in BLOCK_KEY_ROWS {
            if kind == known && is_set(block, key) {
                self.add_field(row, format!("{pointer}/{key}"));
            }
        }
        if kind == "image" && block.pointer("/source/type").is_some_and(|source| source == "url") {
            self.add_detail("content.image.url", pointer.to_owned());
        }
        for key in ["ttl", "scope"] {
            if kind == "text" && block.pointer(&format!("/cache_control/{key}")).is_some() {
                self.add(format!("cache_control.{key}"), format!("{pointer}/cache_control/{key}"), 0, false);
            }
        }
        let nested = match kind {
            "tool_result" => "content",
            "document" => "source/content",
            _ => return,
        };
        // Texts inside a result or a document belong to it.
        for (i, inner) in items(block.pointer(&format!("/{nested}"))) {
            if inner["type"] != "text" {
                self.visit_block(inner, &format!("{pointer}/{nested}/{i}"));
            }
        }
    }

    fn visit_added_field(&mut self, row: &str, location: &FieldLocation, request: &Request) {
        let (body, row) = (&request.body, row.to_owned());
        match location {
            FieldLocation::Header(name) if request.headers.contains_key(name) => {
                self.add_field(row, format!("header {name}"));
            }
            FieldLocation::Body(path) => {
                let pointer = format!("/{}", path.replace('.', "/"));
                if body.pointer(&pointer).is_some() {
                    self.add_field(row, pointer);
                }
            }
            FieldLocation::Tool(key) => {
                for (i, tool) in items(body.get("tools")) {
                    if tool.get(key).is_some() {
                        self.add_field(row.clone(), format!("/tools/{i}/{key}"));
                    }
                }
            }
            FieldLocation::Block(path) => {
                let (kind, key) = path.split_once('.').map_or((path.as_str(), None), |(kind, key)| (kind, Some(key)));
                for (i, message) in items(body.get("messages")) {
                    for (j, _) in items(message.get("content"))
                        .filter(|(_, block)| block["type"] == kind && key.is_none_or(|key| block.get(key).is_some()))
                    {
                        let key = key.map_or(String::new(), |key| format!("/{key}"));
                        self.add_field(row.clone(), format!("/messages/{i}/content/{j}{key}"));
                    }
                }
            }
            FieldLocation::Header(_) | FieldLocation::Row(_) | FieldLocation::Rows(_) => {}
        }
    }
}

/// The entries of a list with their positions. Empty for other values.
fn items(value: Option<&Value>) -> impl Iterator<Item = (usize, &Value)> {
    value.and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// Clients send `null` for an optional `cache_control` or `citations`.
fn is_set(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|value| !value.is_null() || !matches!(key, "cache_control" | "citations"))
}

impl RequestPlace {
    /// True if this place is inside the other one, or is a part of the same place.
    pub fn is_inside(&self, other: &Self) -> bool {
        let is_below = self.pointer.strip_prefix(&other.pointer).is_some_and(|rest| rest.starts_with('/'));
        is_below || self.pointer == other.pointer && self.rank > other.rank
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::wire::exchange::HttpMethod;

    fn places(body: Value) -> Vec<(String, String)> {
        let request = Request {
            method: HttpMethod::Post,
            path: "/v1/messages/count_tokens?beta=true".to_owned(),
            headers: BTreeMap::from([("anthropic-beta".to_owned(), "x".to_owned())]),
            credential: RequestCredential::Both,
            body,
            raw: None,
        };
        find_places(&request, []).into_iter().map(|place| (place.row.into_owned(), place.pointer)).collect()
    }

    fn rows(body: Value) -> Vec<String> {
        places(body).into_iter().map(|(row, _)| row).collect()
    }

    #[test]
    fn the_envelope_has_places() {
        let expected = ["header.anthropic-beta", "header.x-api-key", "header.authorization", "count_tokens"];
        assert_eq!(rows(Value::Null), expected);
    }

    #[test]
    fn a_call_with_its_result_has_a_row_for_each_key() {
        let body = json!({ "messages": [
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "b", "input": {} }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": [
                { "type": "text", "text": "x" }, { "type": "image", "source": { "type": "url", "url": "u" } },
            ] }] },
        ] });
        let places = places(body);
        let has = |row: &str, pointer: &str| places.contains(&(row.to_owned(), pointer.to_owned()));
        assert!(has("content.tool_use.name", "/messages/0/content/0/name"));
        assert!(has("content.tool_result.content", "/messages/1/content/0/content"));
        assert!(has("content.image", "/messages/1/content/0/content/1"));
        assert!(!places.iter().any(|(row, _)| row == "content.text.text"), "the text belongs to the result");
    }

    #[test]
    fn a_kind_of_choice_is_a_part_of_the_object_form() {
        let request = Request {
            method: HttpMethod::Post,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::new(),
            credential: RequestCredential::Target,
            body: json!({ "tool_choice": { "type": "any", "disable_parallel_tool_use": true } }),
            raw: None,
        };
        let places = find_places(&request, []);
        let [form, kind, key] = places.as_slice() else { panic!("{places:?}") };
        assert!(kind.is_inside(form) && key.is_inside(kind) && key.is_inside(form) && !form.is_inside(kind));
    }
}
