//! Whether the model calls tools, which ones, and with what.

use serde_json::json;

use crate::simulator::model::{Call, code_words, intent, may_call, schema_values};
use crate::simulator::prompt::{Choice, Tool, View};

/// The calls that the ask wants or the server forces. None: the model answers in words.
pub(super) fn wanted(view: &View, obeys: bool) -> Option<Vec<Call>> {
    if !may_call(view) {
        return None;
    }
    let tool = match &view.choice {
        Choice::None => return None,
        Choice::Tool(name) => view.tools.iter().find(|tool| tool.name == *name)?,
        Choice::Any => intent::named_tool(&view.ask, &view.tools).or(view.tools.first())?,
        Choice::Auto if obeys && intent::wants_tool(&view.ask, &view.tools) => {
            intent::named_tool(&view.ask, &view.tools).or(view.tools.first())?
        }
        Choice::Auto => return None,
    };
    let mut calls = if obeys { several(view, tool) } else { Vec::new() };
    if calls.is_empty() {
        calls.push(call(tool, &view.ask, None, obeys));
    }
    calls.truncate(if view.is_single { 1 } else { usize::MAX });
    Some(calls)
}

/// The calls of an ask that wants more than one: for each thing of a list, of each tool that it names, with each label.
/// Empty where it wants one.
fn several(view: &View, tool: &Tool) -> Vec<Call> {
    let items = intent::each_of(&view.ask);
    if !items.is_empty() {
        return items.iter().map(|item| call(tool, &view.ask, Some(item), true)).collect();
    }
    // A forced tool is the only one that is called.
    let is_free = !matches!(view.choice, Choice::Tool(_));
    let errands = if is_free { intent::errands(&view.ask, &view.tools) } else { Vec::new() };
    if !errands.is_empty() {
        let item = |words: &str| {
            code_words::last(words).or_else(|| intent::names_after_for(words).first().map(|n| (*n).to_owned()))
        };
        return errands.iter().map(|(tool, words)| call(tool, words, item(words).as_deref(), true)).collect();
    }
    let labels = intent::labels_to_pass(&view.ask, &view.tools);
    labels.iter().map(|label| call(tool, &view.ask, Some(label), true)).collect()
}

fn call(tool: &Tool, ask: &str, item: Option<&str>, obeys: bool) -> Call {
    let other = match obeys {
        // It makes the call that it must, and thinks nothing of it.
        false => "something".to_owned(),
        true => code_words::last(ask)
            .or_else(|| code_words::last(&tool.description))
            .or_else(|| intent::proper_name(ask).map(str::to_owned))
            .unwrap_or_else(|| "value".to_owned()),
    };
    let words = schema_values::Words { item: item.map(str::to_owned), other };
    let input =
        tool.schema.as_ref().map(|schema| schema_values::fill(schema, &words)).filter(serde_json::Value::is_object);
    Call { name: tool.name.clone(), input: input.unwrap_or_else(|| json!({})) }
}
