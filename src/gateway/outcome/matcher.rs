//! Compares the value on the far side of the gateway with the expected value: [`ExpectedValue`].
//!
//! Pure; used for requests and responses.

use serde_json::{Value, json};

use crate::catalog::GatewayExpectation;
use crate::gateway::json_search;
use crate::gateway::json_search::{collect_text, equivalent};
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::results::reason::{AbsenceNote, ReasonData};
use crate::variables::fill::{VariableValues, filler_from_values};
use crate::wire::bounded_json::parse_json;
use crate::wire::message::excerpt;

/// The number of characters of a value in a report.
const MAX_EXCERPT_CHARS: usize = 160;

/// What one trial shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GatewayObservation {
    /// The value arrived as expected.
    Forwarded { place: String },
    /// Another value arrived, or the value arrived in another place.
    Changed { from: String, to: String, place: String },
    /// The value did not arrive, and what is known about its absence.
    Dropped { note: AbsenceNote },
    /// The gateway returned an error of its own.
    Refused { message: String },
    /// The trial shows nothing, for this reason.
    Undetermined(UndeterminedReason, ReasonData),
}

impl GatewayObservation {
    pub(crate) fn forwarded(place: impl Into<String>) -> Self {
        Self::Forwarded { place: place.into() }
    }

    pub(crate) fn changed(from: impl Into<String>, to: impl Into<String>, place: impl Into<String>) -> Self {
        Self::Changed { from: from.into(), to: to.into(), place: place.into() }
    }

    /// The value did not arrive, and nothing more is known.
    pub(crate) fn dropped() -> Self {
        Self::Dropped { note: AbsenceNote::Nothing {} }
    }

    /// The gateway failed.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Undetermined(UndeterminedReason::GatewayFailed, ReasonData::GatewayFailed { why: why.into() })
    }

    /// Observes an expectation and its further parts. The first failure counts, or else the place
    /// of the first part.
    pub(crate) fn of_all_parts(
        expectation: &GatewayExpectation,
        observe_part: impl Fn(&GatewayExpectation) -> Self,
    ) -> Self {
        let is_forwarded = |observation: &Self| matches!(observation, Self::Forwarded { .. });
        let first = observe_part(expectation);
        if !is_forwarded(&first) {
            return first;
        }
        expectation.also.iter().map(observe_part).find(|observation| !is_forwarded(observation)).unwrap_or(first)
    }
}

/// A place, and the value that arrived there.
pub(crate) type CandidateValue = (String, Value);

/// The headers of a name, as candidates.
pub(crate) fn find_headers(headers: &[(String, String)], name: &str) -> Vec<CandidateValue> {
    let named = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    named.map(|(known, value)| (format!("header {known}"), json!(value))).collect()
}

/// The values of a body at the paths of an expectation, as candidates.
pub(crate) fn find_in_body(expectation: &GatewayExpectation, body: &Value) -> Vec<CandidateValue> {
    let paths = expectation.at.iter().chain(&expectation.or);
    paths.flat_map(|path| json_search::find(path, body)).map(|(at, value)| (at, value.clone())).collect()
}

/// The value that should arrive.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedValue {
    rule: MatchRule,
    /// The value in a report.
    pub display_text: String,
    /// The random values in it, which identify it in any place.
    pub markers: Vec<String>,
}

#[derive(Debug, Clone)]
enum MatchRule {
    Equals { value: Value, parsed: bool, exactly: bool },
    Contains(String),
    InOrder { texts: Vec<String>, exactly: bool },
    Any,
}

impl ExpectedValue {
    /// The value that an expectation describes. `sent` is the value in the request, if there is one.
    pub(crate) fn new(part: &GatewayExpectation, values: &VariableValues, sent: Option<&Value>) -> Self {
        let filler = filler_from_values(values);
        let fill = |text: &String| filler.fill_text(text);
        let rule =
            if let (Some(Value::String(text)), true) = (&part.value, part.header.is_some() || part.query.is_some()) {
                // The value of a header is text, even if it looks like a number.
                MatchRule::Equals { value: Value::String(fill(text)), parsed: false, exactly: false }
            } else if let Some(value) = &part.value {
                MatchRule::Equals { value: filler.fill_value(value), parsed: part.parsed, exactly: part.exactly }
            } else if let Some(text) = &part.contains {
                MatchRule::Contains(fill(text))
            } else if !part.order.is_empty() {
                MatchRule::InOrder { texts: part.order.iter().map(fill).collect(), exactly: part.exactly }
            } else {
                match sent {
                    Some(value) if !part.any => {
                        MatchRule::Equals { value: value.clone(), parsed: part.parsed, exactly: part.exactly }
                    }
                    _ => MatchRule::Any,
                }
            };
        let text = match &rule {
            MatchRule::Equals { value, .. } => value_to_text(value),
            MatchRule::Contains(text) => text.clone(),
            MatchRule::InOrder { texts, .. } => texts.join(" … "),
            MatchRule::Any => sent.map_or("any value".to_owned(), value_to_text),
        };
        Self { markers: find_markers(&text, values), display_text: shorten(&text), rule }
    }

    /// True if the value cannot arrive by chance.
    pub(crate) fn is_unique(&self) -> bool {
        !self.markers.is_empty()
    }

    /// The place of the expected value among the candidates.
    pub(crate) fn find_in(&self, candidates: &[CandidateValue]) -> Option<String> {
        let find = |matches: &dyn Fn(&Value) -> bool| {
            candidates.iter().find(|(_, value)| matches(value)).map(|(at, _)| at.clone())
        };
        match &self.rule {
            MatchRule::Equals { value, parsed, exactly } => find(&|candidate| {
                let candidate = match (parsed, candidate) {
                    (true, Value::String(text)) => parse_json(text).unwrap_or(Value::Null),
                    _ => candidate.clone(),
                };
                // Equality of maps ignores the order of keys; the serialized texts differ.
                let texts = (candidate.to_string(), value.to_string());
                equivalent(&candidate, value) && (!exactly || texts.0 == texts.1)
            }),
            MatchRule::Contains(text) => find(&|candidate| collect_text(candidate).contains(text.as_str())),
            MatchRule::InOrder { texts, exactly: true } => {
                let mut rest = candidates.iter();
                let is_next = |text: &String| rest.any(|(_, value)| collect_text(value) == *text);
                texts.iter().all(is_next).then(|| candidates.first().map(|(at, _)| at.clone())).flatten()
            }
            MatchRule::InOrder { texts, exactly: false } => {
                let all = candidates.iter().map(|(_, value)| collect_text(value)).collect::<Vec<_>>().join("\n");
                let mut rest = all.as_str();
                for text in texts {
                    rest = &rest[rest.find(text.as_str())? + text.len()..];
                }
                candidates.first().map(|(at, _)| at.clone())
            }
            MatchRule::Any => candidates.first().map(|(at, _)| at.clone()),
        }
    }

    /// Explains why the expected value is not among the candidates: changed, moved or dropped.
    ///
    /// `anywhere` is everything that arrived, `before` are the candidates without the field, and
    /// `label` is the label of the request. `count_elsewhere` tells how often a random value occurs
    /// for other reasons than this field.
    pub(crate) fn explain_miss(
        &self,
        candidates: &[CandidateValue],
        anywhere: &Value,
        before: &[CandidateValue],
        label: &str,
        count_elsewhere: impl Fn(&str) -> usize,
    ) -> GatewayObservation {
        let changed = |to: &Value, place: String| {
            GatewayObservation::changed(self.display_text.clone(), shorten(&value_to_text(to)), place)
        };
        let enclosing_candidate =
            |at: &str| candidates.iter().find(|(place, _)| at == place || at.starts_with(&format!("{place}/")));
        for marker in &self.markers {
            let places = json_search::find_all_text(anywhere, marker);
            if let Some((place, value)) = places.iter().find_map(|(at, _)| enclosing_candidate(at)) {
                return changed(value, place.clone());
            }
            if let Some((at, value)) = places.into_iter().nth(count_elsewhere(marker)) {
                return changed(value, at);
            }
        }
        let has_label = |value: &Value| value_to_text(value).contains(label);
        let is_new = |(_, value): &&CandidateValue| {
            !before.iter().any(|(_, known)| equivalent(known, value)) && !has_label(value)
        };
        match candidates.iter().find(is_new) {
            Some((at, value)) => changed(value, at.clone()),
            None => GatewayObservation::Dropped {
                note: candidates.iter().find(|(_, value)| !has_label(value)).map_or(
                    AbsenceNote::Nothing {},
                    |(at, value)| AbsenceNote::OwnValue { place: at.clone(), value: shorten(&value_to_text(value)) },
                ),
            },
        }
    }
}

/// The random values in a text. Every request has a label and every response a reply word, so these
/// do not count.
pub(crate) fn find_markers(text: &str, values: &VariableValues) -> Vec<String> {
    let random = values.iter().filter(|(name, _)| !["label", "reply", "model"].contains(&name.as_str()));
    random
        .filter(|(_, value)| !value.is_empty() && text.contains(value.as_str()))
        .map(|(_, value)| value.clone())
        .collect()
}

/// A value as text: a string unchanged, every other value as JSON.
pub(crate) fn value_to_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a text, on one line.
pub(crate) fn shorten(text: &str) -> String {
    excerpt(text, MAX_EXCERPT_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> VariableValues {
        [("word", "amber-falcon-1234"), ("word2", "misty-otter-4321")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn expect_value(part: Value, sent: Option<Value>) -> ExpectedValue {
        ExpectedValue::new(&serde_json::from_value(part).unwrap(), &values(), sent.as_ref())
    }

    fn to_candidates(candidates: &[(&str, Value)]) -> Vec<CandidateValue> {
        candidates.iter().map(|(at, value)| ((*at).to_owned(), value.clone())).collect()
    }

    #[test]
    fn each_rule_matches_only_its_own_values() {
        let text = |text: &str| to_candidates(&[("/a", json!(text))]);
        assert!(expect_value(json!({ "as": "{{word}}" }), None).find_in(&text("amber-falcon-1234")).is_some());
        assert!(expect_value(json!({ "as": "{{word}}" }), None).find_in(&text("amber-falcon-1234 ")).is_none());
        assert!(
            expect_value(json!({ "contains": "{{word}}" }), None).find_in(&text("an amber-falcon-1234.")).is_some()
        );
        let order = expect_value(json!({ "order": ["{{word}}", "{{word2}}"] }), None);
        assert!(order.find_in(&text("amber-falcon-1234, misty-otter-4321")).is_some());
        assert!(order.find_in(&text("misty-otter-4321, amber-falcon-1234")).is_none());
        let parsed = expect_value(json!({ "parsed": true }), Some(json!({ "k": 1 })));
        assert!(parsed.find_in(&text("{ \"k\": 1 }")).is_some() && parsed.find_in(&text("{")).is_none());
        let exactly = expect_value(json!({ "exactly": true }), Some(json!({ "z": 1, "a": 2 })));
        assert!(exactly.find_in(&to_candidates(&[("/a", json!({ "z": 1, "a": 2 }))])).is_some());
        assert!(exactly.find_in(&to_candidates(&[("/a", json!({ "a": 2, "z": 1 }))])).is_none());
    }

    #[test]
    fn a_missing_value_is_moved_changed_or_dropped() {
        let expected = expect_value(json!({ "as": "{{word}}" }), None);
        let explain = |candidates: &[(&str, Value)], anywhere: Value, before: &[(&str, Value)]| {
            expected.explain_miss(&to_candidates(candidates), &anywhere, &to_candidates(before), "lb1", |_| 0)
        };
        let describe = |observation: GatewayObservation| match observation {
            GatewayObservation::Changed { place, to, .. } => format!("{to} at {place}"),
            GatewayObservation::Dropped { note } => format!("dropped{note}"),
            other => panic!("{other:?}"),
        };
        let moved = explain(&[], json!({ "b": ["x amber-falcon-1234"] }), &[]);
        assert_eq!(describe(moved), "x amber-falcon-1234 at /b/0");
        assert_eq!(describe(explain(&[("/a", json!("other"))], json!({ "a": "other" }), &[])), "other at /a");
        let default = explain(&[("/a", json!("own"))], json!({ "a": "own" }), &[("/a", json!("own"))]);
        assert_eq!(describe(default), "dropped: `/a` is own, with and without the field");
        assert_eq!(describe(explain(&[], json!({}), &[])), "dropped");
    }
}
