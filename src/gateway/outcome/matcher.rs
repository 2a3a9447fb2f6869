//! Holding what came out on the other side against what should have come out. Pure, and the same for both directions.

use serde_json::Value;

use crate::catalog::Arrival;
use crate::gateway::json_search;
use crate::gateway::json_search::{same, text_of};
use crate::gateway::outcome::undetermined::Unclear;
use crate::gateway::values::Values;
use crate::variables::fill;
use crate::wire::message::excerpt;

/// How much of a value is shown.
const SHOWN: usize = 160;

/// What one trial showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
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
        said: String,
    },
    /// Nothing can be said.
    Void(Unclear, String),
}

/// A value that came out somewhere.
pub(crate) type Candidate = (String, Value);

/// What should come out.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    test: Test,
    /// As it is shown.
    pub shown: String,
    /// The drawn values in it: where they stand, it stands.
    pub markers: Vec<String>,
}

#[derive(Debug, Clone)]
enum Test {
    Is { value: Value, parsed: bool, exactly: bool },
    Contains(String),
    Order { texts: Vec<String>, exactly: bool },
    Any,
}

impl Wanted {
    /// What a part of a row wants; `sent` is the value that the request carried, where there is one.
    pub(crate) fn of(part: &Arrival, values: &Values, sent: Option<&Value>) -> Self {
        let fill = |text: &String| fill::text(text, values);
        let test =
            if let (Some(Value::String(text)), true) = (&part.value, part.header.is_some() || part.query.is_some()) {
                // What stands in a header is text, whatever it looks like.
                Test::Is { value: Value::String(fill(text)), parsed: false, exactly: false }
            } else if let Some(value) = &part.value {
                Test::Is { value: fill::value(value, values), parsed: part.parsed, exactly: part.exactly }
            } else if let Some(text) = &part.contains {
                Test::Contains(fill(text))
            } else if !part.order.is_empty() {
                Test::Order { texts: part.order.iter().map(fill).collect(), exactly: part.exactly }
            } else if part.any {
                Test::Any
            } else {
                match sent {
                    Some(value) => Test::Is { value: value.clone(), parsed: part.parsed, exactly: part.exactly },
                    None => Test::Any,
                }
            };
        let whole = match &test {
            Test::Is { value, .. } => text_of_all(value),
            Test::Contains(text) => text.clone(),
            Test::Order { texts, .. } => texts.join(" … "),
            Test::Any => sent.map_or("any value".to_owned(), text_of_all),
        };
        Self { markers: markers(&whole, values), shown: shown(&whole), test }
    }

    /// True where it cannot be there by chance.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.markers.is_empty()
    }

    /// Where it stands among these, if it does.
    pub(crate) fn among(&self, candidates: &[Candidate]) -> Option<String> {
        let found = |wanted: &dyn Fn(&Value) -> bool| {
            candidates.iter().find(|(_, value)| wanted(value)).map(|(at, _)| at.clone())
        };
        match &self.test {
            Test::Is { value, parsed, exactly } => found(&|there| {
                let read = match (parsed, there) {
                    (true, Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
                    _ => there.clone(),
                };
                same(&read, value) && (!exactly || is_written_alike(&read, value))
            }),
            Test::Contains(text) => found(&|there| text_of(there).contains(text.as_str())),
            Test::Order { texts, exactly: true } => {
                let mut rest = candidates.iter();
                let alone = |text: &String| rest.any(|(_, value)| text_of(value) == *text);
                texts.iter().all(alone).then(|| candidates.first().map(|(at, _)| at.clone())).flatten()
            }
            Test::Order { texts, exactly: false } => {
                let all = candidates.iter().map(|(_, value)| text_of(value)).collect::<Vec<_>>().join("\n");
                let mut rest = all.as_str();
                for text in texts {
                    rest = &rest[rest.find(text.as_str())? + text.len()..];
                }
                candidates.first().map(|(at, _)| at.clone())
            }
            Test::Any => candidates.first().map(|(at, _)| at.clone()),
        }
    }

    /// What it came to where it is not among the candidates. `anywhere` is the whole of what came out, `before` what the
    /// same places hold without the field, `label` what a question is known by.
    /// `explained` says how often a drawn value stands there for other reasons than this field.
    pub(crate) fn missed(
        &self,
        candidates: &[Candidate],
        anywhere: &Value,
        before: &[Candidate],
        label: &str,
        explained: impl Fn(&str) -> usize,
    ) -> Seen {
        let changed =
            |to: &Value, place: String| Seen::Changed { from: self.shown.clone(), to: shown(&text_of_all(to)), place };
        let below = |at: &str| candidates.iter().find(|(place, _)| at == place || at.starts_with(&format!("{place}/")));
        for marker in &self.markers {
            let there = json_search::holding(anywhere, marker);
            if let Some((place, value)) = there.iter().find_map(|(at, _)| below(at)) {
                return changed(value, place.clone());
            }
            if let Some((at, value)) = there.into_iter().nth(explained(marker)) {
                return changed(value, at);
            }
        }
        let is_new = |(_, value): &&Candidate| {
            !before.iter().any(|(_, known)| same(known, value)) && !text_of_all(value).contains(label)
        };
        match candidates.iter().find(is_new) {
            Some((at, value)) => changed(value, at.clone()),
            None => Seen::Dropped {
                note: candidates.iter().find(|(_, value)| !text_of_all(value).contains(label)).map(|(at, value)| {
                    format!("{} stands at `{at}`, as it does without the field", shown(&text_of_all(value)))
                }),
            },
        }
    }
}

/// True where the keys stand in the same order, too: maps are compared without it.
fn is_written_alike(one: &Value, other: &Value) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    one == other
}

/// The drawn values that stand in a text. Every question holds its label and every answer its reply, so these say nothing.
pub(crate) fn markers(text: &str, values: &Values) -> Vec<String> {
    let drawn = values.iter().filter(|(name, _)| !["label", "reply", "model"].contains(&name.as_str()));
    drawn
        .filter(|(_, value)| !value.is_empty() && text.contains(value.as_str()))
        .map(|(_, value)| value.clone())
        .collect()
}

/// A value as text: a string as it stands, everything else as JSON.
pub(crate) fn text_of_all(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a text, on one line.
pub(crate) fn shown(text: &str) -> String {
    excerpt(text, SHOWN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Values {
        [("word", "amber-falcon-1234"), ("word2", "misty-otter-4321")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn wanted(part: Value, sent: Option<Value>) -> Wanted {
        Wanted::of(&serde_json::from_value(part).unwrap(), &values(), sent.as_ref())
    }

    fn at(candidates: &[(&str, Value)]) -> Vec<Candidate> {
        candidates.iter().map(|(at, value)| ((*at).to_owned(), value.clone())).collect()
    }

    #[test]
    fn each_test_finds_what_it_wants_and_nothing_else() {
        let text = |text: &str| at(&[("/a", json!(text))]);
        assert!(wanted(json!({ "as": "{{word}}" }), None).among(&text("amber-falcon-1234")).is_some());
        assert!(wanted(json!({ "as": "{{word}}" }), None).among(&text("amber-falcon-1234 ")).is_none());
        assert!(wanted(json!({ "contains": "{{word}}" }), None).among(&text("an amber-falcon-1234.")).is_some());
        let order = wanted(json!({ "order": ["{{word}}", "{{word2}}"] }), None);
        assert!(order.among(&text("amber-falcon-1234, misty-otter-4321")).is_some());
        assert!(order.among(&text("misty-otter-4321, amber-falcon-1234")).is_none());
        let parsed = wanted(json!({ "parsed": true }), Some(json!({ "k": 1 })));
        assert!(parsed.among(&text("{ \"k\": 1 }")).is_some() && parsed.among(&text("{")).is_none());
        let exactly = wanted(json!({ "exactly": true }), Some(json!({ "z": 1, "a": 2 })));
        assert!(exactly.among(&at(&[("/a", json!({ "z": 1, "a": 2 }))])).is_some());
        assert!(exactly.among(&at(&[("/a", json!({ "a": 2, "z": 1 }))])).is_none());
    }

    #[test]
    fn what_is_missed_is_moved_changed_or_dropped() {
        let wanted = wanted(json!({ "as": "{{word}}" }), None);
        let missed = |candidates: &[(&str, Value)], anywhere: Value, before: &[(&str, Value)]| {
            wanted.missed(&at(candidates), &anywhere, &at(before), "lb1", |_| 0)
        };
        let place = |seen: Seen| match seen {
            Seen::Changed { place, to, .. } => format!("{to} at {place}"),
            Seen::Dropped { note } => format!("dropped: {}", note.unwrap_or_default()),
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
