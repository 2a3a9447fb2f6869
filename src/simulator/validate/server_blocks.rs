//! Validation of the blocks of server tools that a client sends back.

use serde_json::{Map, Value};

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::error_path::ErrorPath;
use crate::simulator::validate::media::validate_string_or_blocks;
use crate::simulator::validate::types::{
    ApiResult, boolean, object, reject, required_non_empty_string, required_one_of, required_string, required_value,
};

pub(super) fn validate_server_block(block: ContentBlockKind, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
    match block {
        ContentBlockKind::ServerToolUse => validate_call(map, path),
        ContentBlockKind::McpToolUse => {
            validate_call(map, path)?;
            required_non_empty_string(map, path, "server_name").map(drop)
        }
        ContentBlockKind::WebSearchToolResult => {
            required_non_empty_string(map, path, "tool_use_id")?;
            validate_web_search(required_value(map, path, "content")?, &path.key("content"))
        }
        ContentBlockKind::CodeExecutionToolResult => {
            required_non_empty_string(map, path, "tool_use_id")?;
            validate_code_execution(required_value(map, path, "content")?, &path.key("content"))
        }
        ContentBlockKind::McpToolResult => {
            required_non_empty_string(map, path, "tool_use_id")?;
            if let Some(flag) = map.get("is_error") {
                boolean(flag, &path.key("is_error"))?;
            }
            match map.get("content") {
                Some(content) => validate_string_or_blocks(content, &path.key("content")),
                None => Ok(()),
            }
        }
        _ => {
            required_non_empty_string(map, path, "tool_use_id")?;
            object(required_value(map, path, "content")?, &path.key("content")).map(drop)
        }
    }
}

fn validate_call(map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
    required_non_empty_string(map, path, "id")?;
    required_non_empty_string(map, path, "name")?;
    object(required_value(map, path, "input")?, &path.key("input")).map(drop)
}

fn validate_web_search(content: &Value, path: &ErrorPath) -> ApiResult {
    match content {
        Value::Array(results) => {
            for (i, result) in results.iter().enumerate() {
                let path = path.index(i);
                let map = object(result, &path)?;
                required_one_of(map, &path, "type", &["web_search_result"])?;
                for key in ["url", "title", "encrypted_content"] {
                    required_string(map, &path, key)?;
                }
            }
            Ok(())
        }
        Value::Object(map) => {
            required_one_of(map, path, "type", &["web_search_tool_result_error"])?;
            required_string(map, path, "error_code").map(drop)
        }
        _ => reject(path, "expected an array of results or an error"),
    }
}

fn validate_code_execution(content: &Value, path: &ErrorPath) -> ApiResult {
    let map = object(content, path)?;
    let kinds = &["code_execution_result", "encrypted_code_execution_result", "code_execution_tool_result_error"];
    let keys: &[&str] = match required_one_of(map, path, "type", kinds)? {
        "code_execution_result" => &["stdout", "stderr"],
        "encrypted_code_execution_result" => &["encrypted_stdout"],
        _ => &["error_code"],
    };
    for key in keys {
        required_string(map, path, key)?;
    }
    if keys.contains(&"stdout") {
        let code = path.key("return_code");
        if !required_value(map, path, "return_code")?.is_i64() {
            return reject(&code, "expected an integer");
        }
    }
    Ok(())
}
