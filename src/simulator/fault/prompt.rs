//! Changes to the request before the model sees it: the billing header of clients, and the faults
//! of behaviour that hide something from the model.
//!
//! Works on the request after validation and removal of ignored fields.

use serde_json::{Map, Value, json};

use crate::simulator::config::SimulatorConfig;
use crate::simulator::fault::catalog::BehaviourFault as Fault;
use crate::simulator::fields::lookup::{array_items_mut, has_role, string_at};
use crate::simulator::route::MessagesRoute;

/// The start of a system block that a client sends for billing and not for the model.
const BILLING_HEADER_PREFIX: &str = "x-anthropic-billing-header:";

/// Removes everything from the request that the model must not see.
pub(crate) fn apply(body: &mut Map<String, Value>, endpoint: MessagesRoute, config: &SimulatorConfig) {
    if !config.has_fault(Fault::CacheBillingHeader) {
        remove_billing_header(body);
    }
    if endpoint == MessagesRoute::CountTokens {
        for (fault, key) in [(Fault::CountTokensBlindToSystem, "system"), (Fault::CountTokensBlindToTools, "tools")] {
            if config.has_fault(fault) {
                body.shift_remove(key);
            }
        }
    }
    if config.has_fault(Fault::SystemFirstBlockOnly)
        && let Some(Value::Array(blocks)) = body.get_mut("system")
    {
        blocks.truncate(1);
    }
    if config.has_fault(Fault::CacheTtlDropped) {
        remove_ttl(body);
    }
    for (fault, key) in [(Fault::FormatDropped, "format"), (Fault::EffortDropped, "effort")] {
        if let Some(Value::Object(output_config)) = body.get_mut("output_config").filter(|_| config.has_fault(fault)) {
            output_config.shift_remove(key);
        }
    }
    if config.has_fault(Fault::ContextManagementDropped) {
        body.shift_remove("context_management");
    }
    if config.has_fault(Fault::ToolsDeferLoadingDropped) {
        for tool in array_items_mut(body.get_mut("tools")).iter_mut().filter_map(Value::as_object_mut) {
            tool.shift_remove("defer_loading");
        }
    }
    if let Some(Value::Object(thinking)) =
        body.get_mut("thinking").filter(|_| config.has_fault(Fault::ThinkingDisplayDropped))
    {
        thinking.shift_remove("display");
    }
    if let Some(Value::Object(thinking)) =
        body.get_mut("thinking").filter(|_| config.has_fault(Fault::ThinkingAlwaysOmitted))
    {
        thinking.insert("display".to_owned(), json!("omitted"));
    }
    drop_messages(body, config);
    override_thinking(body, config);
}

fn remove_billing_header(body: &mut Map<String, Value>) {
    let Some(Value::Array(blocks)) = body.get_mut("system") else { return };
    let text = blocks.first().and_then(|block| string_at(block, "text"));
    if text.is_some_and(|text| text.starts_with(BILLING_HEADER_PREFIX)) {
        blocks.remove(0);
    }
}

/// Removes `ttl` from every cache marker.
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

fn drop_messages(body: &mut Map<String, Value>, config: &SimulatorConfig) {
    let Some(Value::Array(messages)) = body.get_mut("messages") else { return };
    if config.has_fault(Fault::RoleSystemDropped) {
        messages.retain(|message| !has_role(message, "system"));
    }
    if config.has_fault(Fault::PrefillIgnored) && messages.last().is_some_and(|last| has_role(last, "assistant")) {
        messages.pop();
    }
}

fn override_thinking(body: &mut Map<String, Value>, config: &SimulatorConfig) {
    let kind = body.get("thinking").and_then(|thinking| string_at(thinking, "type"));
    let thinks = match kind {
        None if config.has_fault(Fault::ThinkingUnasked) => true,
        Some("disabled") if config.has_fault(Fault::ThinkingAlways) => true,
        Some("adaptive") if config.has_fault(Fault::ThinkingAdaptiveDropped) => false,
        _ => return,
    };
    body.insert("thinking".to_owned(), json!({ "type": if thinks { "adaptive" } else { "disabled" } }));
}
