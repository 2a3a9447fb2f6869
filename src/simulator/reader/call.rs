//! Whether the model calls tools, which ones, and with what.

use serde_json::json;

use super::{Call, ask, fill, label, may_call};
use crate::simulator::view::{Choice, Tool, View};

/// The calls that the ask wants or the server forces. None: the model answers in words.
pub(super) fn wanted(view: &View, obeys: bool) -> Option<Vec<Call>> {
    if !may_call(view) {
        return None;
    }
    let tool = match &view.choice {
        Choice::None => return None,
        Choice::Tool(name) => view.tools.iter().find(|tool| tool.name == *name)?,
        Choice::Any => ask::named_tool(&view.ask, &view.tools).or(view.tools.first())?,
        Choice::Auto if obeys && ask::wants_tool(&view.ask, &view.tools) => {
            ask::named_tool(&view.ask, &view.tools).or(view.tools.first())?
        }
        Choice::Auto => return None,
    };
    let items = if obeys { ask::each_of(&view.ask) } else { Vec::new() };
    let most = if view.is_single { 1 } else { items.len() };
    let calls: Vec<Call> = items.iter().take(most).map(|item| call(tool, &view.ask, Some(item), obeys)).collect();
    if calls.is_empty() {
        return Some(vec![call(tool, &view.ask, None, obeys)]);
    }
    Some(calls)
}

fn call(tool: &Tool, ask: &str, item: Option<&str>, obeys: bool) -> Call {
    let other = match obeys {
        // It makes the call that it must, and thinks nothing of it.
        false => "something".to_owned(),
        true => label::last(ask)
            .or_else(|| label::last(&tool.description))
            .or_else(|| ask::proper_name(ask).map(str::to_owned))
            .unwrap_or_else(|| "value".to_owned()),
    };
    let words = fill::Words { item: item.map(str::to_owned), other };
    let input = tool.schema.as_ref().map(|schema| fill::fill(schema, &words)).filter(serde_json::Value::is_object);
    Call { name: tool.name.clone(), input: input.unwrap_or_else(|| json!({})) }
}
