//! The commonest event by far, read without building a JSON value: a `content_block_delta` that holds a piece of a block.
//!
//! A shortcut and nothing more. It takes only what is spelt just as the documents spell it; whatever is unusual (another
//! key, a key twice, another type, a number that is no index) is left to the plain way, so that nothing is passed over.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// The event's name and its data's type.
pub const EVENT_NAME: &str = "content_block_delta";

/// Whether the shortcut is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseMode {
    /// Wherever it leads to the same place.
    Fast,
    /// Never: each event is read in full. For tests, which hold the other against it.
    Full,
}

impl ParseMode {
    /// The delta that an event's data holds, if it is a plain one.
    pub fn parse_delta(self, data: &str) -> Option<ContentDelta<'_>> {
        match self {
            Self::Fast => serde_json::from_str(data).ok(),
            Self::Full => None,
        }
    }
}

/// A piece of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDelta<'a> {
    /// The block's position.
    pub index: usize,
    /// What it is a piece of.
    pub kind: DeltaKind,
    /// The piece.
    pub fragment: Cow<'a, str>,
}

/// What deltas carry pieces of; signatures and citations are rare, and go the plain way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeltaKind {
    /// Text.
    Text,
    /// Thinking.
    Thinking,
    /// A call's input, as JSON.
    Input,
}

impl DeltaKind {
    /// What a delta of this type carries under this key.
    fn from_type_and_key(kind: &str, key: &str) -> Option<Self> {
        match (kind, key) {
            ("text_delta", "text") => Some(Self::Text),
            ("thinking_delta", "thinking") => Some(Self::Thinking),
            ("input_json_delta", "partial_json") => Some(Self::Input),
            _ => None,
        }
    }
}

/// The value of `delta`: its type, the key of its piece, and the piece.
struct DeltaBody<'a> {
    kind: &'a str,
    key: &'a str,
    fragment: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DeltaFragment<'a>(#[serde(borrow)] Cow<'a, str>);

// By hand, since derived structs read arrays as well, which these are not.
impl<'de: 'a, 'a> Deserialize<'de> for ContentDelta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DeltaVisitor)
    }
}

struct DeltaVisitor;

impl<'de> Visitor<'de> for DeltaVisitor {
    type Value = ContentDelta<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain content_block_delta")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut index, mut inner) = (None, None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "type" if kind.is_none() => kind = Some(map.next_value::<&str>()?),
                "index" if index.is_none() => index = Some(map.next_value::<usize>()?),
                "delta" if inner.is_none() => inner = Some(map.next_value::<DeltaBody<'de>>()?),
                _ => return Err(A::Error::custom("unusual")),
            }
        }
        match (kind, index, inner) {
            (Some(EVENT_NAME), Some(index), Some(DeltaBody { kind, key, fragment: piece })) => {
                DeltaKind::from_type_and_key(kind, key)
                    .map(|part| ContentDelta { index, kind: part, fragment: piece })
                    .ok_or_else(|| A::Error::custom("another kind of delta"))
            }
            _ => Err(A::Error::custom("another kind of event")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for DeltaBody<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DeltaBodyVisitor)
    }
}

struct DeltaBodyVisitor;

impl<'de> Visitor<'de> for DeltaBodyVisitor {
    type Value = DeltaBody<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type and a piece")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut piece) = (None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "type" if kind.is_none() => kind = Some(map.next_value::<&str>()?),
                "text" | "thinking" | "partial_json" if piece.is_none() => {
                    piece = Some((key, map.next_value::<DeltaFragment<'de>>()?.0));
                }
                _ => return Err(A::Error::custom("unusual")),
            }
        }
        match (kind, piece) {
            (Some(kind), Some((key, piece))) => Ok(DeltaBody { kind, key, fragment: piece }),
            _ => Err(A::Error::custom("incomplete")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_fast(data: &str) -> Option<ContentDelta<'_>> {
        ParseMode::Fast.parse_delta(data)
    }

    #[test]
    fn plain_deltas_are_read_in_any_order_of_keys_and_without_copies() {
        let delta =
            parse_fast(r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"caf\u00e9"}}"#);
        assert_eq!(delta, Some(ContentDelta { index: 2, kind: DeltaKind::Text, fragment: "café".into() }));
        let delta = parse_fast(
            r#" { "delta" : { "thinking": "Hm", "type": "thinking_delta" }, "index": 0, "type": "content_block_delta" } "#,
        );
        assert!(
            matches!(delta, Some(ContentDelta { index: 0, kind: DeltaKind::Thinking, fragment: Cow::Borrowed("Hm") })),
            "{delta:?}"
        );
        let delta = parse_fast(
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\""}}"#,
        );
        assert_eq!(delta, Some(ContentDelta { index: 0, kind: DeltaKind::Input, fragment: "{\"".into() }));
    }

    #[test]
    fn whatever_is_unusual_is_left_to_the_plain_way() {
        let plain = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#;
        assert!(parse_fast(plain).is_some());
        for (from, to) in [
            ("content_block_delta", "content_block_start"),
            ("text_delta", "thinking_delta"),
            ("text_delta", "signature_delta"),
            (r#""index":0,"#, ""),
            (r#""index":0"#, r#""index":0,"index":0"#),
            (r#""index":0"#, r#""index":-1"#),
            (r#""index":0"#, r#""index":-0"#),
            (r#""index":0"#, r#""index":0.0"#),
            (r#""index":0"#, r#""index":18446744073709551616"#),
            (r#""index":0"#, r#""index":"0""#),
            (r#""index":0"#, r#""index":0,"logprobs":null"#),
            (r#""type":"text_delta","#, ""),
            (r#""text":"a""#, r#""text":null"#),
            (r#""text":"a""#, r#""text":"a","text":"b""#),
            (r#""text":"a""#, r#""text":"a","thinking":"b""#),
            (r#""text":"a""#, r#""text":"\ud800""#),
            (r#""text":"a""#, r#""te\u0078t":"a""#),
            (r#"{"type":"text_delta","text":"a"}"#, r#"["text_delta","text","a"]"#),
            ("}}", "}}]"),
            ("}}", "}"),
        ] {
            let data = plain.replacen(from, to, 1);
            assert_ne!(data, plain, "{from} is not in it");
            assert_eq!(parse_fast(&data), None, "{data}");
        }
        assert_eq!(parse_fast(r#"["content_block_delta",0,["text_delta","a"]]"#), None);
    }
}
