//! Holding what came out on the other side against what should have come out. Pure, and the same for both directions.

use serde_json::Value;

use crate::catalog::GatewayExpectation;
use crate::gateway::json_search;
use crate::gateway::json_search::{collect_text, equivalent};
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::variables::fill::{VariableValues, filler_from_values};
use crate::wire::message::excerpt;

/// How much of a value is shown.
const MAX_EXCERPT_CHARS: usize = 160;

/// What one trial showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GatewayObservation {
    /// It came out.
    Forwarded {
        /// Where.
        place: String,
    },
    /// It came out as something else, or elsewhere.
    Changed {
        /// What should have come out.
        from: String,
        /// What came out.
        to: String,
        /// Where.
        place: String,
    },
    /// It did not come out.
    Dropped {
        /// What else is to be said.
        note: Option<String>,
    },
    /// The gateway refused it.
    Refused {
        /// With what, and in which words.
        message: String,
    },
    /// Nothing can be said.
    Undetermined(UndeterminedReason, String),
}

/// A value that came out somewhere.
pub(crate) type CandidateValue = (String, Value);

/// What should come out.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedValue {
    rule: MatchRule,
    /// As it is shown.
    pub display_text: String,
    /// The drawn values in it: where they stand, it stands.
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
    /// What a part of a row wants; `sent` is the value that the request carried, where there is one.
    pub(crate) fn new(part: &GatewayExpectation, values: &VariableValues, sent: Option<&Value>) -> Self {
        let filler = filler_from_values(values);
        let fill = |text: &String| filler.fill_text(text);
        let test = if let (Some(Value::String(text)), true) =
            (&part.value, part.header.is_some() || part.query.is_some())
        {
            // What stands in a header is text, whatever it looks like.
            MatchRule::Equals { value: Value::String(fill(text)), parsed: false, exactly: false }
        } else if let Some(value) = &part.value {
            MatchRule::Equals { value: filler.fill_value(value), parsed: part.parsed, exactly: part.exactly }
        } else if let Some(text) = &part.contains {
            MatchRule::Contains(fill(text))
        } else if !part.order.is_empty() {
            MatchRule::InOrder { texts: part.order.iter().map(fill).collect(), exactly: part.exactly }
        } else if part.any {
            MatchRule::Any
        } else {
            match sent {
                Some(value) => MatchRule::Equals { value: value.clone(), parsed: part.parsed, exactly: part.exactly },
                None => MatchRule::Any,
            }
        };
        let whole = match &test {
            MatchRule::Equals { value, .. } => value_to_text(value),
            MatchRule::Contains(text) => text.clone(),
            MatchRule::InOrder { texts, .. } => texts.join(" … "),
            MatchRule::Any => sent.map_or("any value".to_owned(), value_to_text),
        };
        Self { markers: find_markers(&whole, values), display_text: shorten(&whole), rule: test }
    }

    /// True where it cannot be there by chance.
    pub(crate) fn is_unique(&self) -> bool {
        !self.markers.is_empty()
    }

    /// Where it stands among these, if it does.
    pub(crate) fn find_in(&self, candidates: &[CandidateValue]) -> Option<String> {
        let found = |wanted: &dyn Fn(&Value) -> bool| {
            candidates.iter().find(|(_, value)| wanted(value)).map(|(at, _)| at.clone())
        };
        match &self.rule {
            MatchRule::Equals { value, parsed, exactly } => found(&|there| {
                let read = match (parsed, there) {
                    (true, Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
                    _ => there.clone(),
                };
                equivalent(&read, value) && (!exactly || serializes_identically(&read, value))
            }),
            MatchRule::Contains(text) => found(&|there| collect_text(there).contains(text.as_str())),
            MatchRule::InOrder { texts, exactly: true } => {
                let mut rest = candidates.iter();
                let alone = |text: &String| rest.any(|(_, value)| collect_text(value) == *text);
                texts.iter().all(alone).then(|| candidates.first().map(|(at, _)| at.clone())).flatten()
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

    /// What it came to where it is not among the candidates. `anywhere` is the whole of what came out, `before` what the
    /// same places hold without the field, `label` what a question is known by.
    /// `explained` says how often a drawn value stands there for other reasons than this field.
    pub(crate) fn explain_miss(
        &self,
        candidates: &[CandidateValue],
        anywhere: &Value,
        before: &[CandidateValue],
        label: &str,
        explained: impl Fn(&str) -> usize,
    ) -> GatewayObservation {
        let changed = |to: &Value, place: String| GatewayObservation::Changed {
            from: self.display_text.clone(),
            to: shorten(&value_to_text(to)),
            place,
        };
        let below = |at: &str| candidates.iter().find(|(place, _)| at == place || at.starts_with(&format!("{place}/")));
        for marker in &self.markers {
            let there = json_search::find_all_text(anywhere, marker);
            if let Some((place, value)) = there.iter().find_map(|(at, _)| below(at)) {
                return changed(value, place.clone());
            }
            if let Some((at, value)) = there.into_iter().nth(explained(marker)) {
                return changed(value, at);
            }
        }
        let is_new = |(_, value): &&CandidateValue| {
            !before.iter().any(|(_, known)| equivalent(known, value)) && !value_to_text(value).contains(label)
        };
        match candidates.iter().find(is_new) {
            Some((at, value)) => changed(value, at.clone()),
            None => GatewayObservation::Dropped {
                note: candidates.iter().find(|(_, value)| !value_to_text(value).contains(label)).map(|(at, value)| {
                    format!("{} stands at `{at}`, as it does without the field", shorten(&value_to_text(value)))
                }),
            },
        }
    }
}

/// True where the keys stand in the same order, too: maps are compared without it.
fn serializes_identically(one: &Value, other: &Value) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    one == other
}

/// The drawn values that stand in a text. Every question holds its label and every answer its reply, so these say nothing.
pub(crate) fn find_markers(text: &str, values: &VariableValues) -> Vec<String> {
    let drawn = values.iter().filter(|(name, _)| !["label", "reply", "model"].contains(&name.as_str()));
    drawn
        .filter(|(_, value)| !value.is_empty() && text.contains(value.as_str()))
        .map(|(_, value)| value.clone())
        .collect()
}

/// A value as text: a string as it stands, everything else as JSON.
pub(crate) fn value_to_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a text, on one line.
pub(crate) fn shorten(text: &str) -> String {
    excerpt(text, MAX_EXCERPT_CHARS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn each_test_finds_what_it_wants_and_nothing_else() {
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
    fn what_is_missed_is_moved_changed_or_dropped() {
        let wanted = expect_value(json!({ "as": "{{word}}" }), None);
        let missed = |candidates: &[(&str, Value)], anywhere: Value, before: &[(&str, Value)]| {
            wanted.explain_miss(&to_candidates(candidates), &anywhere, &to_candidates(before), "lb1", |_| 0)
        };
        let place = |seen: GatewayObservation| match seen {
            GatewayObservation::Changed { place, to, .. } => format!("{to} at {place}"),
            GatewayObservation::Dropped { note } => format!("dropped: {}", note.unwrap_or_default()),
            other => panic!("{other:?}"),
        };
        let moved = missed(&[], json!({ "b": ["x amber-falcon-1234"] }), &[]);
        assert_eq!(place(moved), "x amber-falcon-1234 at /b/0");
        assert_eq!(place(missed(&[("/a", json!("other"))], json!({ "a": "other" }), &[])), "other at /a");
        let default = missed(&[("/a", json!("own"))], json!({ "a": "own" }), &[("/a", json!("own"))]);
        assert_eq!(place(default), "dropped: own stands at `/a`, as it does without the field");
        assert_eq!(place(missed(&[], json!({}), &[])), "dropped: ");
    }
}
