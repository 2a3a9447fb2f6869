//! The pieces of a prompt: each thing that can carry a cache marker, with its words, its images and its price.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::simulator::content_block::Block;
use crate::simulator::fields::find::{array, block_of};
use crate::simulator::hash::Digest;
use crate::simulator::media::image::Picture;
use crate::simulator::media::{image, pdf};
use crate::simulator::tokenizer;

/// What the presence of any tool costs: the model is told how to call tools.
const TOOL_PREAMBLE: u64 = 300;

/// What a turn costs besides its content.
const TURN: u64 = 4;

/// One thing in the prompt.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct Piece {
    pub kind: Kind,
    pub role: Role,
    /// The words to be read in it.
    pub text: String,
    pub pictures: Vec<Picture>,
    pub marker: Option<Marker>,
    /// Stands for the content in cache keys.
    pub digest: u64,
}

/// What a piece is to the model.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) enum Kind {
    Words,
    /// A call that was made earlier.
    Call {
        id: Option<String>,
        /// The input, as JSON.
        input: String,
    },
    /// The result of a call.
    Result {
        call: Option<String>,
        is_error: bool,
    },
}

/// Whose part of the prompt a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Role {
    Tools,
    System,
    User,
    Assistant,
}

/// The prompt up to here is to be kept: for five minutes, or for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Marker {
    Minutes,
    Hour,
}

impl Marker {
    pub fn of(value: Option<&Value>) -> Option<Self> {
        let value = value.filter(|v| v.get("type").and_then(Value::as_str) == Some("ephemeral"))?;
        let is_hour = value.get("ttl").and_then(Value::as_str) == Some("1h");
        Some(if is_hour { Self::Hour } else { Self::Minutes })
    }
}

impl Piece {
    fn new(kind: Kind, role: Role, text: String, pictures: Vec<Picture>, holder: &Value) -> Self {
        let mut digest = Digest::new("piece").number(role as u64).text(&text);
        match &kind {
            Kind::Words => {}
            Kind::Call { id, .. } => digest = digest.text("call").text(id.as_deref().unwrap_or_default()),
            Kind::Result { call, is_error } => {
                digest = digest.text("result").text(call.as_deref().unwrap_or_default()).number(u64::from(*is_error));
            }
        }
        for picture in &pictures {
            digest = digest.number(picture.digest);
        }
        Self { kind, role, text, pictures, marker: Marker::of(holder.get("cache_control")), digest: digest.value() }
    }

    /// A tool's definition.
    pub fn tool(tool: &Value) -> Self {
        let word = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut text = format!("{}\n{}", word("name"), word("description"));
        for key in ["input_schema", "input_examples"] {
            if let Some(value) = tool.get(key) {
                text.push('\n');
                text.push_str(&value.to_string());
            }
        }
        Self::new(Kind::Words, Role::Tools, text, Vec::new(), tool)
    }

    fn words(role: Role, text: &str, holder: &Value) -> Self {
        Self::new(Kind::Words, role, text.to_owned(), Vec::new(), holder)
    }

    /// The tokens of the piece by itself.
    pub fn tokens(&self) -> u64 {
        let form = match self.kind {
            Kind::Words => 0,
            Kind::Call { .. } => 12,
            Kind::Result { is_error, .. } => 8 + 2 * u64::from(is_error),
        };
        form + tokenizer::count(&self.text) + self.pictures.iter().map(Picture::tokens).sum::<u64>()
    }
}

/// The tokens up to the end of each piece. Neighbouring messages of one role are one turn and cost as much.
pub(super) fn running_tokens(pieces: &[Piece]) -> Vec<u64> {
    let mut total = 0;
    let mut role = None;
    pieces
        .iter()
        .map(|piece| {
            if role != Some(piece.role) {
                total += if piece.role == Role::Tools { TOOL_PREAMBLE } else { TURN };
                role = Some(piece.role);
            }
            total += piece.tokens();
            total
        })
        .collect()
}

pub(super) fn system(value: Option<&Value>) -> Vec<Piece> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => vec![Piece::words(Role::System, text, &Value::Null)],
        blocks => array(blocks)
            .iter()
            .filter_map(|block| Some(Piece::words(Role::System, block.get("text")?.as_str()?, block)))
            .collect(),
    }
}

pub(super) fn message(message: &Value) -> Vec<Piece> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => Role::User,
    };
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => vec![Piece::words(role, text, &Value::Null)],
        blocks => array(blocks).iter().filter_map(|value| block(value, role)).collect(),
    }
}

fn block(value: &Value, role: Role) -> Option<Piece> {
    let string = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let block = block_of(value)?;
    let mut sight = Sight::default();
    let kind = match block {
        Block::ToolUse => {
            let input = value.get("input").map(Value::to_string).unwrap_or_default();
            sight.say(&string("name").unwrap_or_default());
            sight.say(&input);
            Kind::Call { id: string("id"), input }
        }
        Block::ToolResult => {
            sight.content(value.get("content"));
            let mut marker = Marker::of(value.get("cache_control"));
            for inner in array(value.get("content")) {
                marker = marker.or(Marker::of(inner.get("cache_control")));
            }
            let is_error = value.get("is_error") == Some(&Value::Bool(true));
            let kind = Kind::Result { call: string("tool_use_id"), is_error };
            return Some(Piece { marker, ..Piece::new(kind, role, sight.text, sight.pictures, value) });
        }
        _ => {
            sight.block(block, value);
            Kind::Words
        }
    };
    Some(Piece::new(kind, role, sight.text, sight.pictures, value))
}

/// What is seen of a block, with everything inside it.
#[derive(Default)]
struct Sight {
    text: String,
    pictures: Vec<Picture>,
}

impl Sight {
    fn say(&mut self, words: &str) {
        if !self.text.is_empty() && !words.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(words);
    }

    fn say_key(&mut self, value: &Value, key: &str) {
        self.say(value.get(key).and_then(Value::as_str).unwrap_or_default());
    }

    fn content(&mut self, content: Option<&Value>) {
        match content {
            Some(Value::String(text)) => self.say(text),
            blocks => {
                for inner in array(blocks) {
                    if let Some(block) = block_of(inner) {
                        self.block(block, inner);
                    }
                }
            }
        }
    }

    fn block(&mut self, block: Block, value: &Value) {
        match block {
            Block::Text => self.say_key(value, "text"),
            Block::Thinking => self.say_key(value, "thinking"),
            Block::ToolReference => self.say_key(value, "tool_name"),
            Block::Image => self.picture(value),
            Block::Document => self.document(value),
            Block::SearchResult => {
                self.say_key(value, "title");
                self.say_key(value, "source");
                self.content(value.get("content"));
            }
            // Opaque to the model, or known to the server only.
            Block::RedactedThinking | Block::ContainerUpload => {}
            Block::ToolUse
            | Block::ToolResult
            | Block::ServerToolUse
            | Block::WebSearchToolResult
            | Block::WebFetchToolResult
            | Block::CodeExecutionToolResult
            | Block::BashCodeExecutionToolResult
            | Block::TextEditorCodeExecutionToolResult
            | Block::ToolSearchToolResult
            | Block::McpToolUse
            | Block::McpToolResult => {
                for key in ["server_name", "name"] {
                    self.say_key(value, key);
                }
                for key in ["input", "content"] {
                    match value.get(key) {
                        Some(Value::String(text)) => self.say(text),
                        Some(inside) => self.say(&inside.to_string()),
                        None => {}
                    }
                }
            }
        }
    }

    fn document(&mut self, value: &Value) {
        self.say_key(value, "title");
        self.say_key(value, "context");
        let Some(source) = value.get("source") else { return };
        match source.get("type").and_then(Value::as_str) {
            Some("text") => self.say_key(source, "data"),
            Some("base64") => self.say(&pdf::text(&decoded(source))),
            Some("content") => self.content(source.get("content")),
            _ => {}
        }
    }

    fn picture(&mut self, value: &Value) {
        let Some(source) = value.get("source") else { return };
        if let Some(url) = source.get("url").and_then(Value::as_str) {
            self.pictures.push(Picture::unseen(url));
            return;
        }
        let media = source.get("media_type").and_then(Value::as_str).unwrap_or_default();
        self.pictures.extend(image::read(&decoded(source), media).ok());
    }
}

fn decoded(source: &Value) -> Vec<u8> {
    let data = source.get("data").and_then(Value::as_str).unwrap_or_default();
    STANDARD.decode(data).unwrap_or_default()
}
