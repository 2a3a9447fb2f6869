//! The checks across the responses of one run: [`check_across`].
//!
//! They find faults that no single response shows: a repeated id or signature, a prompt with two
//! different token counts, one count for all prompts. Pure, and independent of the order of the responses: responses are
//! grouped by the compared value and sorted by the ids of their exchanges.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::Finding;
use crate::checks::{tool, usage};
use crate::wire::exchange::Exchange;

/// An exchange with its message.
#[derive(Debug, Clone, Copy)]
pub struct CheckedResponse<'a> {
    /// The exchange.
    pub exchange: &'a Exchange,
    /// The message. For a stream, the assembled message.
    pub message: &'a Value,
}

impl<'a> CheckedResponse<'a> {
    fn id(&self) -> &'a str {
        &self.exchange.id
    }

    fn request_body(&self) -> &'a Value {
        &self.exchange.request.body
    }

    fn blocks(&self, kind: &'static str) -> impl Iterator<Item = &'a Value> {
        let blocks = self.message["content"].as_array().map_or(&[][..], Vec::as_slice);
        blocks.iter().filter(move |block| block["type"] == kind)
    }
}

/// Returns the findings, each with the id of an exchange that it concerns.
pub fn check_across<'a>(responses: impl IntoIterator<Item = CheckedResponse<'a>>) -> Vec<(&'a str, Finding)> {
    let mut responses: Vec<CheckedResponse<'_>> = responses.into_iter().collect();
    responses.sort_by_key(|response| response.id());
    let mut found = Vec::new();
    check_signatures(&responses, &mut found);
    check_message_ids(&responses, &mut found);
    check_call_ids(&responses, &mut found);
    check_token_counts(&responses, &mut found);
    check_constant_counts(&responses, &mut found);
    found
}

type CrossResponseFindings<'a> = Vec<(&'a str, Finding)>;

/// Adds a finding to each of these exchanges that has no finding of this check.
fn add_finding<'a>(
    check: ProtocolCheck,
    ids: impl IntoIterator<Item = &'a str>,
    detail: &str,
    found: &mut CrossResponseFindings<'a>,
) {
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    for id in ids {
        if !found.iter().any(|(exchange_id, finding)| *exchange_id == id && finding.check == check) {
            found.push((id, Finding::new(check, detail)));
        }
    }
}

/// A signature signs one thinking text, so two texts cannot have the same signature.
fn check_signatures<'a>(responses: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut signed: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for response in responses {
        for block in response.blocks("thinking") {
            // Without its text, equal signatures prove nothing.
            let text = block["thinking"].as_str().filter(|text| !text.is_empty());
            let signature = block["signature"].as_str().filter(|signature| !signature.is_empty());
            if let (Some(text), Some(signature)) = (text, signature) {
                signed.entry(signature).or_default().push((response.id(), text));
            }
        }
    }
    for (signature, members) in signed {
        let texts: BTreeSet<&str> = members.iter().map(|(_, text)| *text).collect();
        let ids: BTreeSet<&str> = members.iter().map(|(id, _)| *id).collect();
        if texts.len() > 1 && ids.len() > 1 {
            let detail =
                format!("{} thinking texts in {} responses have the signature {signature}", texts.len(), ids.len());
            add_finding(ProtocolCheck::SignatureConstant, ids, &detail, found);
        }
    }
}

/// A cached response may have the same id; a different response may not.
fn check_message_ids<'a>(responses: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut named: BTreeMap<&str, Vec<&CheckedResponse<'a>>> = BTreeMap::new();
    for response in responses {
        if let Some(id) = response.message["id"].as_str().filter(|id| !id.is_empty()) {
            named.entry(id).or_default().push(response);
        }
    }
    for (id, members) in named.into_iter().filter(|(_, members)| members.len() > 1) {
        let contents: BTreeSet<(String, String)> = members
            .iter()
            .map(|response| {
                (remove_stream_key(response.request_body()).to_string(), response.message["content"].to_string())
            })
            .collect();
        if contents.len() > 1 {
            let detail = format!("{} different responses have the id {id}", contents.len());
            let ids = members.iter().map(|response| response.id());
            add_finding(ProtocolCheck::MessageIdRepeated, ids, &detail, found);
        }
    }
}

/// The position of a call among all calls of its conversation, and among the calls with its name.
/// Some servers number the calls in their ids in one of these ways. Such an id repeats in another
/// conversation at the same position and does no harm.
type CallPosition = (usize, usize);

/// Two calls at different positions can be in one conversation, where a tool result names its call
/// only by the id.
fn check_call_ids<'a>(responses: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut named: BTreeMap<&str, Vec<(&str, CallPosition)>> = BTreeMap::new();
    for response in responses {
        let mut names: Vec<&str> =
            tool::iter_history_calls(response.request_body()).filter_map(|call| call["name"].as_str()).collect();
        for call in response.blocks("tool_use") {
            let (Some(id), Some(name)) = (call["id"].as_str(), call["name"].as_str()) else { continue };
            let position = (names.len(), names.iter().filter(|n| **n == name).count());
            named.entry(id).or_default().push((response.id(), position));
            names.push(name);
        }
    }
    for (id, calls) in named {
        let conflict =
            |(a, x): &(&str, CallPosition), (b, y): &(&str, CallPosition)| a != b && x.0 != y.0 && x.1 != y.1;
        if calls.iter().any(|one| calls.iter().any(|other| conflict(one, other))) {
            let detail = format!("calls at different positions of their conversations have the id {id}");
            add_finding(
                ProtocolCheck::ToolIdRepeated,
                calls.iter().map(|(exchange_id, _)| *exchange_id),
                &detail,
                found,
            );
        }
    }
}

/// The maximum difference between two counts of one prompt. A vendor may put a date or an id into
/// every prompt.
const MAX_TOKEN_DIFFERENCE: u64 = 16;

/// Returns true if two counts cannot be of the same prompt: they differ by more than
/// [`MAX_TOKEN_DIFFERENCE`] and by more than a tenth.
fn counts_differ(low: u64, high: u64) -> bool {
    let difference = high.saturating_sub(low);
    difference > MAX_TOKEN_DIFFERENCE && difference.saturating_mul(10) > high
}

/// A prompt has the same number of tokens each time, streamed or not.
fn check_token_counts<'a>(responses: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut groups: BTreeMap<String, [Vec<(&str, u64)>; 2]> = BTreeMap::new();
    for response in responses.iter().filter(|response| has_stable_token_count(response.request_body())) {
        // Another check reports counters that are all 0.
        let Some(total) = usage::total_input_tokens(&response.message["usage"]).filter(|total| *total > 0) else {
            continue;
        };
        let request = &response.exchange.request;
        let prompt = remove_stream_key(&request.body);
        let key = format!("{} {:?} {:?} {prompt}", request.path, request.headers, request.credential);
        let is_stream = usize::from(request.body["stream"] == true);
        groups.entry(key).or_default()[is_stream].push((response.id(), total));
    }
    for group in groups.values() {
        let [single, streamed] = group.each_ref().map(|counts| count_range(counts));
        for (counts, range) in group.iter().zip([single, streamed]) {
            if let Some((low, high)) = range.filter(|(low, high)| counts_differ(*low, *high)) {
                let detail = format!("the same request has {low} tokens and {high} tokens");
                add_finding(ProtocolCheck::RepeatDiffers, counts.iter().map(|(id, _)| *id), &detail, found);
            }
        }
        if let (Some(single), Some(streamed)) = (single, streamed)
            && (counts_differ(single.1, streamed.0) || counts_differ(streamed.1, single.0))
        {
            let detail = format!("not streamed: {} tokens, streamed: {} tokens", single.0, streamed.0);
            add_finding(ProtocolCheck::TwinDiffers, group.iter().flatten().map(|(id, _)| *id), &detail, found);
        }
    }
}

/// The number of responses that must have the same count.
const MIN_COUNTED_RESPONSES: usize = 10;
/// How many times as long as the shortest prompt the longest one must be.
const MIN_LENGTH_RATIO: usize = 4;

/// Prompts of very different lengths cannot all have the same number of tokens.
fn check_constant_counts<'a>(responses: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut counts = BTreeSet::new();
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for response in responses.iter().filter(|response| has_stable_token_count(response.request_body())) {
        if let Some(total) = usage::total_input_tokens(&response.message["usage"]).filter(|total| *total > 0) {
            counts.insert(total);
            counted.push((response.id(), text_length(&response.request_body()["messages"])));
        }
    }
    let lengths = || counted.iter().map(|(_, length)| *length).filter(|length| *length > 0);
    let (Some(shortest), Some(longest), Some(total)) = (lengths().min(), lengths().max(), counts.pop_first()) else {
        return;
    };
    if counts.is_empty() && counted.len() >= MIN_COUNTED_RESPONSES && longest / shortest >= MIN_LENGTH_RATIO {
        let detail = format!(
            "all {} responses have {total} input tokens, for prompts of {shortest} to {longest} characters",
            counted.len()
        );
        add_finding(ProtocolCheck::InputConstant, counted.iter().map(|(id, _)| *id), &detail, found);
    }
}

/// The number of characters of the texts in messages. Images and documents do not count.
fn text_length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(text_length).sum(),
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| matches!(key.as_str(), "content" | "text"))
            .map(|(_, value)| text_length(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn count_range(counts: &[(&str, u64)]) -> Option<(u64, u64)> {
    let totals = || counts.iter().map(|(_, total)| *total);
    Some((totals().min()?, totals().max()?))
}

/// Returns false if the prompt may contain data that the server adds, such as the results of its
/// own tools, which differ each time.
fn has_stable_token_count(request_body: &Value) -> bool {
    let is_client_tool = |tool: &Value| matches!(tool.get("type").and_then(Value::as_str), None | Some("custom"));
    let server_state = ["mcp_servers", "container", "thread", "context_management", "compaction", "fallbacks"];
    request_body["tools"].as_array().is_none_or(|tools| tools.iter().all(is_client_tool))
        && server_state.iter().all(|key| request_body[*key].is_null())
}

fn remove_stream_key(body: &Value) -> Value {
    let Some(body) = body.as_object() else { return body.clone() };
    body.iter().filter(|(key, _)| *key != "stream").map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>().into()
}
