//! The pieces of a prompt: each thing that can carry a cache marker, with its words, its images and its price.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::fields::find::{array_items, block_kind};
use crate::simulator::hash::RunningHash;
use crate::simulator::media::image::PromptImage;
use crate::simulator::media::{image, pdf};
use crate::simulator::tokenizer;

/// What the presence of any tool costs: the model is told how to call tools.
const TOOL_PREAMBLE_TOKENS: u64 = 300;

/// What a turn costs besides its content.
const TURN_OVERHEAD_TOKENS: u64 = 4;

/// One thing in the prompt.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct PromptSegment {
    pub kind: SegmentKind,
    pub role: PromptRole,
    /// The words to be read in it.
    pub text: String,
    pub images: Vec<PromptImage>,
    pub cache_ttl: Option<CacheTtl>,
    /// Stands for the content in cache keys.
    pub content_hash: u64,
}

/// What a piece is to the model.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) enum SegmentKind {
    Text,
    /// A call that was made earlier.
    ToolCall {
        id: Option<String>,
        /// The input, as JSON.
        input: String,
    },
    /// The result of a call.
    ToolResult {
        call_id: Option<String>,
        is_error: bool,
    },
}

/// Whose part of the prompt a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum PromptRole {
    Tools,
    System,
    User,
    Assistant,
}

/// The prompt up to here is to be kept: for five minutes, or for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum CacheTtl {
    FiveMinutes,
    OneHour,
}

impl CacheTtl {
    pub fn from_value(value: Option<&Value>) -> Option<Self> {
        let value = value.filter(|v| v.get("type").and_then(Value::as_str) == Some("ephemeral"))?;
        let is_hour = value.get("ttl").and_then(Value::as_str) == Some("1h");
        Some(if is_hour { Self::OneHour } else { Self::FiveMinutes })
    }
}

impl PromptSegment {
    fn new(kind: SegmentKind, role: PromptRole, text: String, pictures: Vec<PromptImage>, holder: &Value) -> Self {
        let mut digest = RunningHash::new("piece").with_number(role as u64).with_text(&text);
        match &kind {
            SegmentKind::Text => {}
            SegmentKind::ToolCall { id, .. } => {
                digest = digest.with_text("call").with_text(id.as_deref().unwrap_or_default())
            }
            SegmentKind::ToolResult { call_id: call, is_error } => {
                digest = digest
                    .with_text("result")
                    .with_text(call.as_deref().unwrap_or_default())
                    .with_number(u64::from(*is_error));
            }
        }
        for picture in &pictures {
            digest = digest.with_number(picture.content_hash);
        }
        Self {
            kind,
            role,
            text,
            images: pictures,
            cache_ttl: CacheTtl::from_value(holder.get("cache_control")),
            content_hash: digest.value(),
        }
    }

    /// A tool's definition.
    pub fn from_tool(tool: &Value) -> Self {
        let word = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut text = format!("{}\n{}", word("name"), word("description"));
        for key in ["input_schema", "input_examples"] {
            if let Some(value) = tool.get(key) {
                text.push('\n');
                text.push_str(&value.to_string());
            }
        }
        Self::new(SegmentKind::Text, PromptRole::Tools, text, Vec::new(), tool)
    }

    fn from_text(role: PromptRole, text: &str, holder: &Value) -> Self {
        Self::new(SegmentKind::Text, role, text.to_owned(), Vec::new(), holder)
    }

    /// The tokens of the piece by itself.
    pub fn tokens(&self) -> u64 {
        let form = match self.kind {
            SegmentKind::Text => 0,
            SegmentKind::ToolCall { .. } => 12,
            SegmentKind::ToolResult { is_error, .. } => 8 + 2 * u64::from(is_error),
        };
        form + tokenizer::count_tokens(&self.text) + self.images.iter().map(PromptImage::tokens).sum::<u64>()
    }
}

/// The tokens up to the end of each piece. Neighbouring messages of one role are one turn and cost as much.
pub(super) fn cumulative_tokens(pieces: &[PromptSegment]) -> Vec<u64> {
    let mut total = 0;
    let mut role = None;
    pieces
        .iter()
        .map(|piece| {
            if role != Some(piece.role) {
                total += if piece.role == PromptRole::Tools { TOOL_PREAMBLE_TOKENS } else { TURN_OVERHEAD_TOKENS };
                role = Some(piece.role);
            }
            total += piece.tokens();
            total
        })
        .collect()
}

pub(super) fn parse_system(value: Option<&Value>) -> Vec<PromptSegment> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => {
            vec![PromptSegment::from_text(PromptRole::System, text, &Value::Null)]
        }
        blocks => array_items(blocks)
            .iter()
            .filter_map(|block| Some(PromptSegment::from_text(PromptRole::System, block.get("text")?.as_str()?, block)))
            .collect(),
    }
}

pub(super) fn parse_message(message: &Value) -> Vec<PromptSegment> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("assistant") => PromptRole::Assistant,
        Some("system") => PromptRole::System,
        _ => PromptRole::User,
    };
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => vec![PromptSegment::from_text(role, text, &Value::Null)],
        blocks => array_items(blocks).iter().filter_map(|value| parse_block(value, role)).collect(),
    }
}

fn parse_block(value: &Value, role: PromptRole) -> Option<PromptSegment> {
    let string = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let block = block_kind(value)?;
    let mut sight = VisibleContent::default();
    let kind = match block {
        ContentBlockKind::ToolUse => {
            let input = value.get("input").map(Value::to_string).unwrap_or_default();
            sight.push_text(&string("name").unwrap_or_default());
            sight.push_text(&input);
            SegmentKind::ToolCall { id: string("id"), input }
        }
        ContentBlockKind::ToolResult => {
            sight.push_content(value.get("content"));
            let mut marker = CacheTtl::from_value(value.get("cache_control"));
            for inner in array_items(value.get("content")) {
                marker = marker.or(CacheTtl::from_value(inner.get("cache_control")));
            }
            let is_error = value.get("is_error") == Some(&Value::Bool(true));
            let kind = SegmentKind::ToolResult { call_id: string("tool_use_id"), is_error };
            return Some(PromptSegment {
                cache_ttl: marker,
                ..PromptSegment::new(kind, role, sight.text, sight.images, value)
            });
        }
        _ => {
            sight.push_block(block, value);
            SegmentKind::Text
        }
    };
    Some(PromptSegment::new(kind, role, sight.text, sight.images, value))
}

/// What is seen of a block, with everything inside it.
#[derive(Default)]
struct VisibleContent {
    text: String,
    images: Vec<PromptImage>,
}

impl VisibleContent {
    fn push_text(&mut self, words: &str) {
        if !self.text.is_empty() && !words.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(words);
    }

    fn push_key(&mut self, value: &Value, key: &str) {
        self.push_text(value.get(key).and_then(Value::as_str).unwrap_or_default());
    }

    fn push_content(&mut self, content: Option<&Value>) {
        match content {
            Some(Value::String(text)) => self.push_text(text),
            blocks => {
                for inner in array_items(blocks) {
                    if let Some(block) = block_kind(inner) {
                        self.push_block(block, inner);
                    }
                }
            }
        }
    }

    fn push_block(&mut self, block: ContentBlockKind, value: &Value) {
        match block {
            ContentBlockKind::Text => self.push_key(value, "text"),
            ContentBlockKind::Thinking => self.push_key(value, "thinking"),
            ContentBlockKind::ToolReference => self.push_key(value, "tool_name"),
            ContentBlockKind::Image => self.push_image(value),
            ContentBlockKind::Document => self.push_document(value),
            ContentBlockKind::SearchResult => {
                self.push_key(value, "title");
                self.push_key(value, "source");
                self.push_content(value.get("content"));
            }
            // Opaque to the model, or known to the server only.
            ContentBlockKind::RedactedThinking | ContentBlockKind::ContainerUpload => {}
            ContentBlockKind::ToolUse
            | ContentBlockKind::ToolResult
            | ContentBlockKind::ServerToolUse
            | ContentBlockKind::WebSearchToolResult
            | ContentBlockKind::WebFetchToolResult
            | ContentBlockKind::CodeExecutionToolResult
            | ContentBlockKind::BashCodeExecutionToolResult
            | ContentBlockKind::TextEditorCodeExecutionToolResult
            | ContentBlockKind::ToolSearchToolResult
            | ContentBlockKind::McpToolUse
            | ContentBlockKind::McpToolResult => {
                for key in ["server_name", "name"] {
                    self.push_key(value, key);
                }
                for key in ["input", "content"] {
                    match value.get(key) {
                        Some(Value::String(text)) => self.push_text(text),
                        Some(inside) => self.push_text(&inside.to_string()),
                        None => {}
                    }
                }
            }
        }
    }

    fn push_document(&mut self, value: &Value) {
        self.push_key(value, "title");
        self.push_key(value, "context");
        let Some(source) = value.get("source") else { return };
        match source.get("type").and_then(Value::as_str) {
            Some("text") => self.push_key(source, "data"),
            Some("base64") => self.push_text(&pdf::extract_text(&decode_data(source))),
            Some("content") => self.push_content(source.get("content")),
            _ => {}
        }
    }

    fn push_image(&mut self, value: &Value) {
        let Some(source) = value.get("source") else { return };
        if let Some(url) = source.get("url").and_then(Value::as_str) {
            self.images.push(PromptImage::undecodable(url));
            return;
        }
        let media = source.get("media_type").and_then(Value::as_str).unwrap_or_default();
        self.images.extend(image::decode_image(&decode_data(source), media).ok());
    }
}

fn decode_data(source: &Value) -> Vec<u8> {
    let data = source.get("data").and_then(Value::as_str).unwrap_or_default();
    STANDARD.decode(data).unwrap_or_default()
}
