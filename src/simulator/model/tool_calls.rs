//! The tool calls of the model: [`choose`] decides whether it calls tools, which ones, and with
//! what input.

use serde_json::{Value, json};

use crate::simulator::model::{code_words, intent, schema_values};
use crate::simulator::prompt::{ModelPrompt, PromptTool, ToolChoice};

/// A call of a client's tool.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct ModelToolCall {
    pub name: String,
    pub input: Value,
}

/// The calls that the question wants or that the request forces. `None` if the model answers with
/// text.
pub(super) fn choose(prompt: &ModelPrompt, obeys: bool) -> Option<Vec<ModelToolCall>> {
    let named_or_first = || intent::find_named_tool(&prompt.last_user_text, &prompt.tools).or(prompt.tools.first());
    let tool = match &prompt.tool_choice {
        ToolChoice::None => return None,
        ToolChoice::Tool(name) => prompt.tools.iter().find(|tool| tool.name == *name)?,
        ToolChoice::Any => named_or_first()?,
        ToolChoice::Auto if obeys && intent::wants_tool(&prompt.last_user_text, &prompt.tools) => named_or_first()?,
        ToolChoice::Auto => return None,
    };
    let mut calls = if obeys { choose_several(prompt, tool) } else { Vec::new() };
    if calls.is_empty() {
        calls.push(build_call(tool, &prompt.last_user_text, None, obeys));
    }
    calls.truncate(if prompt.is_single_call { 1 } else { usize::MAX });
    Some(calls)
}

/// The calls if the question wants several: for each item of a list, for each named tool, or with
/// each label. Otherwise empty.
fn choose_several(prompt: &ModelPrompt, tool: &PromptTool) -> Vec<ModelToolCall> {
    let items = intent::list_items(&prompt.last_user_text);
    if !items.is_empty() {
        return items.iter().map(|item| build_call(tool, &prompt.last_user_text, Some(item), true)).collect();
    }
    // If a tool is forced, only that tool is called.
    let is_free = !matches!(prompt.tool_choice, ToolChoice::Tool(_));
    let tasks = if is_free { intent::tool_tasks(&prompt.last_user_text, &prompt.tools) } else { Vec::new() };
    if !tasks.is_empty() {
        let item = |words: &str| {
            code_words::find_last(words).or_else(|| intent::names_after_for(words).first().map(|n| (*n).to_owned()))
        };
        return tasks.iter().map(|(tool, words)| build_call(tool, words, item(words).as_deref(), true)).collect();
    }
    let labels = intent::labels_to_pass(&prompt.last_user_text, &prompt.tools);
    labels.iter().map(|label| build_call(tool, &prompt.last_user_text, Some(label), true)).collect()
}

fn build_call(tool: &PromptTool, text: &str, item: Option<&str>, obeys: bool) -> ModelToolCall {
    let fallback = match obeys {
        // It only makes the call that the request forces.
        false => "something".to_owned(),
        true => code_words::find_last(text)
            .or_else(|| code_words::find_last(&tool.description))
            .or_else(|| intent::find_proper_name(text).map(str::to_owned))
            .unwrap_or_else(|| "value".to_owned()),
    };
    let source = schema_values::ValueSource { item: item.map(str::to_owned), fallback };
    let input = tool.schema.as_ref().map(|schema| schema_values::generate(schema, &source)).filter(Value::is_object);
    ModelToolCall { name: tool.name.clone(), input: input.unwrap_or_else(|| json!({})) }
}
