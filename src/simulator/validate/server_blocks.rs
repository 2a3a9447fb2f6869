//! The checks of the blocks that record what tools on a server's side did, as a client hands them back.

use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::content_block::Block;
use crate::simulator::error_path::Path;
use crate::simulator::validate::media::string_or_blocks;
use crate::simulator::validate::types::{Checked, boolean, object, one_of, required, required_string, required_words};

pub(super) fn check(block: Block, map: &Map<String, Value>, path: &Path) -> Checked {
    match block {
        Block::ServerToolUse => call(map, path),
        Block::McpToolUse => {
            call(map, path)?;
            required_words(map, path, "server_name").map(drop)
        }
        Block::WebSearchToolResult => {
            required_words(map, path, "tool_use_id")?;
            web_search(required(map, path, "content")?, &path.key("content"))
        }
        Block::CodeExecutionToolResult => {
            required_words(map, path, "tool_use_id")?;
            code_execution(required(map, path, "content")?, &path.key("content"))
        }
        Block::McpToolResult => {
            required_words(map, path, "tool_use_id")?;
            if let Some(flag) = map.get("is_error") {
                boolean(flag, &path.key("is_error"))?;
            }
            match map.get("content") {
                Some(content) => string_or_blocks(content, &path.key("content")),
                None => Ok(()),
            }
        }
        _ => {
            required_words(map, path, "tool_use_id")?;
            object(required(map, path, "content")?, &path.key("content")).map(drop)
        }
    }
}

fn call(map: &Map<String, Value>, path: &Path) -> Checked {
    required_words(map, path, "id")?;
    required_words(map, path, "name")?;
    object(required(map, path, "input")?, &path.key("input")).map(drop)
}

fn web_search(content: &Value, path: &Path) -> Checked {
    match content {
        Value::Array(results) => {
            for (i, result) in results.iter().enumerate() {
                let path = path.index(i);
                let map = object(result, &path)?;
                one_of(required(map, &path, "type")?, &path.key("type"), &["web_search_result"])?;
                for key in ["url", "title", "encrypted_content"] {
                    required_string(map, &path, key)?;
                }
            }
            Ok(())
        }
        Value::Object(map) => {
            one_of(required(map, path, "type")?, &path.key("type"), &["web_search_tool_result_error"])?;
            required_string(map, path, "error_code").map(drop)
        }
        _ => Err(Refusal::at(path, "expected an array of results or an error")),
    }
}

fn code_execution(content: &Value, path: &Path) -> Checked {
    let map = object(content, path)?;
    let kinds = &["code_execution_result", "encrypted_code_execution_result", "code_execution_tool_result_error"];
    let keys: &[&str] = match one_of(required(map, path, "type")?, &path.key("type"), kinds)? {
        "code_execution_result" => &["stdout", "stderr"],
        "encrypted_code_execution_result" => &["encrypted_stdout"],
        _ => &["error_code"],
    };
    for key in keys {
        required_string(map, path, key)?;
    }
    if keys.contains(&"stdout") {
        let code = path.key("return_code");
        if !required(map, path, "return_code")?.is_i64() {
            return Err(Refusal::at(&code, "expected an integer"));
        }
    }
    Ok(())
}
