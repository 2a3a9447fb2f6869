//! Validation of the blocks of server tools that a client sends back.

use serde_json::Value;

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::validate::messages::validate_text_block;
use crate::simulator::validate::request_value::{
    ApiResult, KeyPresence, KeyRule, RequestObject, RequestValue, ValueRule,
};

const CALL_KEYS: &[KeyRule] = &[
    (KeyPresence::Required, "id", ValueRule::NonEmptyString),
    (KeyPresence::Required, "name", ValueRule::NonEmptyString),
    (KeyPresence::Required, "input", ValueRule::Object),
];
const SERVER_NAME: KeyRule = (KeyPresence::Required, "server_name", ValueRule::NonEmptyString);
const TOOL_USE_ID: KeyRule = (KeyPresence::Required, "tool_use_id", ValueRule::NonEmptyString);
const IS_ERROR: KeyRule = (KeyPresence::Given, "is_error", ValueRule::Boolean);
const CONTENT_OBJECT: KeyRule = (KeyPresence::Required, "content", ValueRule::Object);

const SEARCH_RESULT_KEYS: &[KeyRule] = &[
    (KeyPresence::Required, "type", ValueRule::OneOf(&["web_search_result"])),
    (KeyPresence::Required, "url", ValueRule::String),
    (KeyPresence::Required, "title", ValueRule::String),
    (KeyPresence::Required, "encrypted_content", ValueRule::String),
];
const SEARCH_ERROR_KEYS: &[KeyRule] = &[
    (KeyPresence::Required, "type", ValueRule::OneOf(&["web_search_tool_result_error"])),
    (KeyPresence::Required, "error_code", ValueRule::String),
];

pub(super) fn validate_server_block(block: ContentBlockKind, map: &RequestObject) -> ApiResult {
    match block {
        ContentBlockKind::ServerToolUse => map.validate_keys(CALL_KEYS),
        ContentBlockKind::McpToolUse => map.validate_keys(&[CALL_KEYS, &[SERVER_NAME]].concat()),
        ContentBlockKind::WebSearchToolResult => {
            map.validate_keys(&[TOOL_USE_ID])?;
            validate_web_search(&map.required("content")?)
        }
        ContentBlockKind::CodeExecutionToolResult => {
            map.validate_keys(&[TOOL_USE_ID])?;
            validate_code_execution(&map.required("content")?)
        }
        ContentBlockKind::McpToolResult => {
            map.validate_keys(&[TOOL_USE_ID, IS_ERROR])?;
            match map.given("content") {
                Some(content) if content.json.is_array() => content.items()?.iter().try_for_each(validate_text_block),
                Some(content) => content.validate(ValueRule::String),
                None => Ok(()),
            }
        }
        _ => map.validate_keys(&[TOOL_USE_ID, CONTENT_OBJECT]),
    }
}

fn validate_web_search(content: &RequestValue) -> ApiResult {
    match content.json {
        Value::Array(_) => {
            content.items()?.iter().try_for_each(|result| result.object()?.validate_keys(SEARCH_RESULT_KEYS))
        }
        Value::Object(_) => content.object()?.validate_keys(SEARCH_ERROR_KEYS),
        _ => content.reject("expected an array of results or an error"),
    }
}

fn validate_code_execution(content: &RequestValue) -> ApiResult {
    let map = content.object()?;
    let kinds = &["code_execution_result", "encrypted_code_execution_result", "code_execution_tool_result_error"];
    let keys: &[&str] = match map.required("type")?.one_of(kinds)? {
        "code_execution_result" => &["stdout", "stderr"],
        "encrypted_code_execution_result" => &["encrypted_stdout"],
        _ => &["error_code"],
    };
    for key in keys {
        map.required(key)?.string()?;
    }
    if keys.contains(&"stdout") {
        let code = map.required("return_code")?;
        if !code.json.is_i64() {
            return code.reject("expected an integer");
        }
    }
    Ok(())
}
