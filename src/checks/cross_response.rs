//! Checks across the answers of one run: what no single answer shows, an id or a signature that comes again, a meter
//! that counts one prompt in two ways.
//!
//! Pure, over answers that were read before. The order in which they came must not show: groups are made by what is
//! compared, and members are told in the order of their exchanges' ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::checks::{Finding, ProtocolCheck, excerpt, tool, usage};
use crate::wire::exchange::Exchange;

/// An exchange and the message that came of it.
#[derive(Debug, Clone, Copy)]
pub struct CheckedResponse<'a> {
    /// The exchange.
    pub exchange: &'a Exchange,
    /// The message, put together where it was a stream.
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

/// Findings by the id of the exchange that has a part in them.
pub fn check_across<'a>(answers: impl IntoIterator<Item = CheckedResponse<'a>>) -> Vec<(&'a str, Finding)> {
    let mut answers: Vec<CheckedResponse<'_>> = answers.into_iter().collect();
    answers.sort_by_key(|answer| answer.id());
    let mut found = Vec::new();
    check_signatures(&answers, &mut found);
    check_message_ids(&answers, &mut found);
    check_call_ids(&answers, &mut found);
    check_token_counts(&answers, &mut found);
    found
}

type CrossResponseFindings<'a> = Vec<(&'a str, Finding)>;

/// Names a check in each of these exchanges, once.
fn add_finding<'a>(
    check: ProtocolCheck,
    ids: impl IntoIterator<Item = &'a str>,
    detail: &str,
    found: &mut CrossResponseFindings<'a>,
) {
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    for id in ids {
        if !found.iter().any(|(of, finding)| *of == id && finding.check == check) {
            found.push((id, Finding { check, detail: excerpt(detail, crate::checks::MAX_DETAIL_CHARS) }));
        }
    }
}

/// A signature signs what was thought: two thoughts cannot have the same one.
fn check_signatures<'a>(answers: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut signed: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for answer in answers {
        for block in answer.blocks("thinking") {
            // Thinking that is not shown may be anything.
            let text = block["thinking"].as_str().filter(|text| !text.is_empty());
            let signature = block["signature"].as_str().filter(|signature| !signature.is_empty());
            if let (Some(text), Some(signature)) = (text, signature) {
                signed.entry(signature).or_default().push((answer.id(), text));
            }
        }
    }
    for (signature, members) in signed {
        let texts: BTreeSet<&str> = members.iter().map(|(_, text)| *text).collect();
        let ids: BTreeSet<&str> = members.iter().map(|(id, _)| *id).collect();
        if texts.len() > 1 && ids.len() > 1 {
            let detail = format!("{} thoughts in {} answers are signed {signature}", texts.len(), ids.len());
            add_finding(ProtocolCheck::SignatureConstant, ids, &detail, found);
        }
    }
}

/// The same answer from a cache of answers may have the same id; another answer may not.
fn check_message_ids<'a>(answers: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut named: BTreeMap<&str, Vec<&CheckedResponse<'a>>> = BTreeMap::new();
    for answer in answers {
        if let Some(id) = answer.message["id"].as_str().filter(|id| !id.is_empty()) {
            named.entry(id).or_default().push(answer);
        }
    }
    for (id, members) in named.into_iter().filter(|(_, members)| members.len() > 1) {
        let told: BTreeSet<(String, String)> = members
            .iter()
            .map(|answer| (remove_stream_key(answer.request_body()).to_string(), answer.message["content"].to_string()))
            .collect();
        if told.len() > 1 {
            let detail = format!("{} different answers have the id {id}", told.len());
            add_finding(ProtocolCheck::MessageIdRepeated, members.iter().map(|answer| answer.id()), &detail, found);
        }
    }
}

/// Where a call stands among those of its conversation: among all of them, and among those of its name. Some servers
/// count calls in their ids, in the one way or the other; such an id comes again in another conversation, at the same
/// place, and can do no harm.
type CallPosition = (usize, usize);

/// Two calls at different places could stand in one conversation, where a result names its call by the id alone.
fn check_call_ids<'a>(answers: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut named: BTreeMap<&str, Vec<(&str, CallPosition)>> = BTreeMap::new();
    for answer in answers {
        let mut names: Vec<&str> =
            tool::iter_history_calls(answer.request_body()).filter_map(|call| call["name"].as_str()).collect();
        for call in answer.blocks("tool_use") {
            let (Some(id), Some(name)) = (call["id"].as_str(), call["name"].as_str()) else { continue };
            let place = (names.len(), names.iter().filter(|n| **n == name).count());
            named.entry(id).or_default().push((answer.id(), place));
            names.push(name);
        }
    }
    for (id, calls) in named {
        let apart = |(a, x): &(&str, CallPosition), (b, y): &(&str, CallPosition)| a != b && x.0 != y.0 && x.1 != y.1;
        if calls.iter().any(|one| calls.iter().any(|other| apart(one, other))) {
            let detail = format!("calls at different places of their conversations have the id {id}");
            add_finding(ProtocolCheck::ToolIdRepeated, calls.iter().map(|(of, _)| *of), &detail, found);
        }
    }
}

/// Differences up to so many tokens are let pass: a vendor may put a date or an id into every prompt.
const MAX_TOKEN_DIFFERENCE: u64 = 16;

/// True where two counts cannot be of the same prompt: more than a few tokens, and more than a tenth, lie between.
fn counts_differ(low: u64, high: u64) -> bool {
    let between = high.saturating_sub(low);
    between > MAX_TOKEN_DIFFERENCE && between.saturating_mul(10) > high
}

/// A prompt has as many tokens each time, whether the answer is streamed or not.
fn check_token_counts<'a>(answers: &[CheckedResponse<'a>], found: &mut CrossResponseFindings<'a>) {
    let mut asked: BTreeMap<String, [Vec<(&str, u64)>; 2]> = BTreeMap::new();
    for answer in answers.iter().filter(|answer| has_stable_token_count(answer.request_body())) {
        // Counters that are all 0 count nothing; another check tells of them.
        let Some(total) = usage::total_input_tokens(&answer.message["usage"]).filter(|total| *total > 0) else {
            continue;
        };
        let request = &answer.exchange.request;
        let prompt = remove_stream_key(&request.body);
        let key = format!("{} {:?} {:?} {prompt}", request.path, request.headers, request.credential);
        let streams = usize::from(request.body["stream"] == true);
        asked.entry(key).or_default()[streams].push((answer.id(), total));
    }
    for group in asked.values() {
        let [whole, streamed] = group.each_ref().map(|counts| count_range(counts));
        for (counts, bounds) in group.iter().zip([whole, streamed]) {
            if let Some((low, high)) = bounds.filter(|(low, high)| counts_differ(*low, *high)) {
                let detail = format!("the same request is counted as {low} and as {high} tokens");
                add_finding(ProtocolCheck::RepeatDiffers, counts.iter().map(|(id, _)| *id), &detail, found);
            }
        }
        if let (Some(whole), Some(streamed)) = (whole, streamed)
            && (counts_differ(whole.1, streamed.0) || counts_differ(streamed.1, whole.0))
        {
            let detail = format!("whole: {} tokens, as a stream: {}", whole.0, streamed.0);
            add_finding(ProtocolCheck::TwinDiffers, group.iter().flatten().map(|(id, _)| *id), &detail, found);
        }
    }
}

fn count_range(counts: &[(&str, u64)]) -> Option<(u64, u64)> {
    let totals = || counts.iter().map(|(_, total)| *total);
    Some((totals().min()?, totals().max()?))
}

/// Tools that run at the server put what they bring into the prompt, each time something else.
fn has_stable_token_count(asked: &Value) -> bool {
    let is_own = |tool: &Value| matches!(tool.get("type").and_then(Value::as_str), None | Some("custom"));
    let held = ["mcp_servers", "container", "thread", "context_management", "compaction", "fallbacks"];
    asked["tools"].as_array().is_none_or(|tools| tools.iter().all(is_own))
        && held.iter().all(|key| asked[*key].is_null())
}

/// A body but for the one key that says how the answer is to come.
fn remove_stream_key(body: &Value) -> Value {
    let Some(body) = body.as_object() else { return body.clone() };
    body.iter().filter(|(key, _)| *key != "stream").map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>().into()
}
