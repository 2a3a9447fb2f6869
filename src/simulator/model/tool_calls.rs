//! Whether the model calls tools, which ones, and with what.

use serde_json::json;

use crate::simulator::model::{ModelToolCall, can_call_tools, code_words, intent, schema_values};
use crate::simulator::prompt::{ModelPrompt, PromptTool, ToolChoice};

/// The calls that the ask wants or the server forces. None: the model answers in words.
pub(super) fn choose(view: &ModelPrompt, obeys: bool) -> Option<Vec<ModelToolCall>> {
    if !can_call_tools(view) {
        return None;
    }
    let tool = match &view.tool_choice {
        ToolChoice::None => return None,
        ToolChoice::Tool(name) => view.tools.iter().find(|tool| tool.name == *name)?,
        ToolChoice::Any => intent::find_named_tool(&view.last_user_text, &view.tools).or(view.tools.first())?,
        ToolChoice::Auto if obeys && intent::wants_tool(&view.last_user_text, &view.tools) => {
            intent::find_named_tool(&view.last_user_text, &view.tools).or(view.tools.first())?
        }
        ToolChoice::Auto => return None,
    };
    let mut calls = if obeys { choose_several(view, tool) } else { Vec::new() };
    if calls.is_empty() {
        calls.push(build_call(tool, &view.last_user_text, None, obeys));
    }
    calls.truncate(if view.is_single_call { 1 } else { usize::MAX });
    Some(calls)
}

/// The calls of an ask that wants more than one: for each thing of a list, of each tool that it names, with each label.
/// Empty where it wants one.
fn choose_several(view: &ModelPrompt, tool: &PromptTool) -> Vec<ModelToolCall> {
    let items = intent::list_items(&view.last_user_text);
    if !items.is_empty() {
        return items.iter().map(|item| build_call(tool, &view.last_user_text, Some(item), true)).collect();
    }
    // A forced tool is the only one that is called.
    let is_free = !matches!(view.tool_choice, ToolChoice::Tool(_));
    let errands = if is_free { intent::tool_tasks(&view.last_user_text, &view.tools) } else { Vec::new() };
    if !errands.is_empty() {
        let item = |words: &str| {
            code_words::find_last(words).or_else(|| intent::names_after_for(words).first().map(|n| (*n).to_owned()))
        };
        return errands.iter().map(|(tool, words)| build_call(tool, words, item(words).as_deref(), true)).collect();
    }
    let labels = intent::labels_to_pass(&view.last_user_text, &view.tools);
    labels.iter().map(|label| build_call(tool, &view.last_user_text, Some(label), true)).collect()
}

fn build_call(tool: &PromptTool, ask: &str, item: Option<&str>, obeys: bool) -> ModelToolCall {
    let other = match obeys {
        // It makes the call that it must, and thinks nothing of it.
        false => "something".to_owned(),
        true => code_words::find_last(ask)
            .or_else(|| code_words::find_last(&tool.description))
            .or_else(|| intent::find_proper_name(ask).map(str::to_owned))
            .unwrap_or_else(|| "value".to_owned()),
    };
    let words = schema_values::ValueSource { item: item.map(str::to_owned), fallback: other };
    let input =
        tool.schema.as_ref().map(|schema| schema_values::generate(schema, &words)).filter(serde_json::Value::is_object);
    ModelToolCall { name: tool.name.clone(), input: input.unwrap_or_else(|| json!({})) }
}
