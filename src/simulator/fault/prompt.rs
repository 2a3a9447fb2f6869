//! What a server keeps from its model on its own account: the billing header that a client puts before its system
//! prompt, and whatever faults of conduct make it lose.
//!
//! Works on the effective request, behind all checks.

use serde_json::{Map, Value, json};

use crate::simulator::config::SimulatorConfig;
use crate::simulator::fault::BehaviourFault as Fault;
use crate::simulator::validate::MessagesRoute;

/// What the first block of a system prompt begins with that is meant for the bill and not for the model.
const BILLING_HEADER_PREFIX: &str = "x-anthropic-billing-header:";

/// Leaves in the request what the model is to see.
pub(crate) fn apply(body: &mut Map<String, Value>, endpoint: MessagesRoute, behaviour: &SimulatorConfig) {
    if !behaviour.has_fault(Fault::CacheBillingHeader) {
        remove_billing_header(body);
    }
    if endpoint == MessagesRoute::CountTokens {
        for (fault, key) in [(Fault::CountTokensBlindToSystem, "system"), (Fault::CountTokensBlindToTools, "tools")] {
            if behaviour.has_fault(fault) {
                body.shift_remove(key);
            }
        }
    }
    if behaviour.has_fault(Fault::SystemFirstBlockOnly)
        && let Some(Value::Array(blocks)) = body.get_mut("system")
    {
        blocks.truncate(1);
    }
    if behaviour.has_fault(Fault::CacheTtlDropped) {
        remove_ttl(body);
    }
    for (fault, key) in [(Fault::FormatDropped, "format"), (Fault::EffortDropped, "effort")] {
        if let Some(Value::Object(config)) = body.get_mut("output_config").filter(|_| behaviour.has_fault(fault)) {
            config.shift_remove(key);
        }
    }
    drop_messages(body, behaviour);
    override_thinking(body, behaviour);
}

fn remove_billing_header(body: &mut Map<String, Value>) {
    let Some(Value::Array(blocks)) = body.get_mut("system") else { return };
    let text = blocks.first().and_then(|block| block.get("text")).and_then(Value::as_str);
    if text.is_some_and(|text| text.starts_with(BILLING_HEADER_PREFIX)) {
        blocks.remove(0);
    }
}

/// Takes the age out of every marker.
fn remove_ttl(map: &mut Map<String, Value>) {
    if let Some(Value::Object(marker)) = map.get_mut("cache_control") {
        marker.shift_remove("ttl");
    }
    let mut rest: Vec<&mut Value> = map.values_mut().collect();
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(entries) => rest.extend(entries),
            Value::Object(map) => remove_ttl(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn drop_messages(body: &mut Map<String, Value>, behaviour: &SimulatorConfig) {
    let Some(Value::Array(messages)) = body.get_mut("messages") else { return };
    let is = |message: &Value, role: &str| message.get("role").and_then(Value::as_str) == Some(role);
    if behaviour.has_fault(Fault::RoleSystemDropped) {
        messages.retain(|message| !is(message, "system"));
    }
    if behaviour.has_fault(Fault::PrefillIgnored) && messages.last().is_some_and(|last| is(last, "assistant")) {
        messages.pop();
    }
}

fn override_thinking(body: &mut Map<String, Value>, behaviour: &SimulatorConfig) {
    let word = body.get("thinking").and_then(|thinking| thinking.get("type")).and_then(Value::as_str);
    let thinks = match word {
        None if behaviour.has_fault(Fault::ThinkingUnasked) => true,
        Some("disabled") if behaviour.has_fault(Fault::ThinkingAlways) => true,
        Some("adaptive") if behaviour.has_fault(Fault::ThinkingAdaptiveDropped) => false,
        _ => return,
    };
    body.insert("thinking".to_owned(), json!({ "type": if thinks { "adaptive" } else { "disabled" } }));
}
