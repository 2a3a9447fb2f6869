//! The segments of a prompt: a [`PromptSegment`] is a part that can have a cache marker, with its
//! text, its images and its tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::fields::lookup::{array_items, block_kind, has_type, string_at};
use crate::simulator::hash::RunningHash;
use crate::simulator::media::image::PromptImage;
use crate::simulator::media::{image, pdf};
use crate::simulator::tokenizer;

/// The tokens of the instructions for tool use, if the request has tools.
const TOOL_PREAMBLE_TOKENS: u64 = 300;

/// The tokens of a turn in addition to its content.
const TURN_OVERHEAD_TOKENS: u64 = 4;

/// A part of the prompt.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct PromptSegment {
    pub kind: SegmentKind,
    pub role: PromptRole,
    /// The visible text.
    pub text: String,
    pub images: Vec<PromptImage>,
    pub cache_ttl: Option<CacheTtl>,
    /// Identifies the content in cache keys.
    pub content_hash: u64,
}

/// The role of a segment in a tool call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) enum SegmentKind {
    Text,
    /// An earlier tool call.
    ToolCall {
        id: Option<String>,
        /// The input, as JSON.
        input: String,
    },
    /// The result of a tool call.
    ToolResult {
        call_id: Option<String>,
        is_error: bool,
    },
}

/// The part of the prompt that a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum PromptRole {
    Tools,
    System,
    User,
    Assistant,
}

/// A cache marker: the prompt up to here is cached for five minutes or for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum CacheTtl {
    FiveMinutes,
    OneHour,
}

impl CacheTtl {
    pub fn from_value(value: Option<&Value>) -> Option<Self> {
        let value = value.filter(|cache_ttl| has_type(cache_ttl, "ephemeral"))?;
        let is_hour = string_at(value, "ttl") == Some("1h");
        Some(if is_hour { Self::OneHour } else { Self::FiveMinutes })
    }
}

impl PromptSegment {
    fn new(kind: SegmentKind, role: PromptRole, text: String, images: Vec<PromptImage>, holder: &Value) -> Self {
        let mut hash = RunningHash::new("piece").with_number(role as u64).with_text(&text);
        match &kind {
            SegmentKind::Text => {}
            SegmentKind::ToolCall { id, .. } => {
                hash = hash.with_text("call").with_text(id.as_deref().unwrap_or_default());
            }
            SegmentKind::ToolResult { call_id, is_error } => {
                hash = hash
                    .with_text("result")
                    .with_text(call_id.as_deref().unwrap_or_default())
                    .with_number(u64::from(*is_error));
            }
        }
        for image in &images {
            hash = hash.with_number(image.content_hash);
        }
        Self {
            kind,
            role,
            text,
            images,
            cache_ttl: CacheTtl::from_value(holder.get("cache_control")),
            content_hash: hash.value(),
        }
    }

    /// The definition of a tool.
    pub fn from_tool(tool: &Value) -> Self {
        let field = |key: &str| string_at(tool, key).unwrap_or_default();
        let mut text = format!("{}\n{}", field("name"), field("description"));
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

    /// The tokens of the segment.
    pub fn tokens(&self) -> u64 {
        let overhead = match self.kind {
            SegmentKind::Text => 0,
            SegmentKind::ToolCall { .. } => 12,
            SegmentKind::ToolResult { is_error, .. } => 8 + 2 * u64::from(is_error),
        };
        overhead + tokenizer::count_tokens(&self.text) + self.images.iter().map(PromptImage::tokens).sum::<u64>()
    }
}

/// For each segment, the tokens up to its end. Consecutive messages of one role are one turn.
pub(super) fn cumulative_tokens(segments: &[PromptSegment]) -> Vec<u64> {
    let mut total = 0;
    let mut role = None;
    segments
        .iter()
        .map(|segment| {
            if role != Some(segment.role) {
                total += if segment.role == PromptRole::Tools { TOOL_PREAMBLE_TOKENS } else { TURN_OVERHEAD_TOKENS };
                role = Some(segment.role);
            }
            total += segment.tokens();
            total
        })
        .collect()
}

pub(super) fn parse_system(value: Option<&Value>) -> Vec<PromptSegment> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => {
            vec![PromptSegment::from_text(PromptRole::System, text, &Value::Null)]
        }
        blocks => {
            let texts = array_items(blocks).iter().filter_map(|block| Some((string_at(block, "text")?, block)));
            texts.map(|(text, block)| PromptSegment::from_text(PromptRole::System, text, block)).collect()
        }
    }
}

pub(super) fn parse_message(message: &Value) -> Vec<PromptSegment> {
    let role = match string_at(message, "role") {
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
    let string = |key: &str| string_at(value, key).map(str::to_owned);
    let block = block_kind(value)?;
    let mut visible = VisibleContent::default();
    let kind = match block {
        ContentBlockKind::ToolUse => {
            let input = value.get("input").map(Value::to_string).unwrap_or_default();
            visible.push_text(&string("name").unwrap_or_default());
            visible.push_text(&input);
            SegmentKind::ToolCall { id: string("id"), input }
        }
        ContentBlockKind::ToolResult => {
            visible.push_content(value.get("content"));
            let mut cache_ttl = CacheTtl::from_value(value.get("cache_control"));
            for inner in array_items(value.get("content")) {
                cache_ttl = cache_ttl.or(CacheTtl::from_value(inner.get("cache_control")));
            }
            let is_error = value.get("is_error") == Some(&Value::Bool(true));
            let kind = SegmentKind::ToolResult { call_id: string("tool_use_id"), is_error };
            return Some(PromptSegment {
                cache_ttl,
                ..PromptSegment::new(kind, role, visible.text, visible.images, value)
            });
        }
        _ => {
            visible.push_block(block, value);
            SegmentKind::Text
        }
    };
    Some(PromptSegment::new(kind, role, visible.text, visible.images, value))
}

/// The visible content of a block, including nested blocks.
#[derive(Default)]
struct VisibleContent {
    text: String,
    images: Vec<PromptImage>,
}

impl VisibleContent {
    fn push_text(&mut self, text: &str) {
        if !self.text.is_empty() && !text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    fn push_key(&mut self, value: &Value, key: &str) {
        self.push_text(string_at(value, key).unwrap_or_default());
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
            // The model cannot see into these.
            ContentBlockKind::RedactedThinking | ContentBlockKind::ContainerUpload => {}
            // Tool calls and their results.
            _ => {
                for key in ["server_name", "name"] {
                    self.push_key(value, key);
                }
                for key in ["input", "content"] {
                    match value.get(key) {
                        Some(Value::String(text)) => self.push_text(text),
                        Some(other) => self.push_text(&other.to_string()),
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
        match string_at(source, "type") {
            Some("text") => self.push_key(source, "data"),
            Some("base64") => self.push_text(&pdf::extract_text(&decode_data(source))),
            Some("content") => self.push_content(source.get("content")),
            _ => {}
        }
    }

    fn push_image(&mut self, value: &Value) {
        let Some(source) = value.get("source") else { return };
        if let Some(url) = string_at(source, "url") {
            self.images.push(PromptImage::undecodable(url));
            return;
        }
        let media_type = string_at(source, "media_type").unwrap_or_default();
        self.images.extend(image::decode_image(&decode_data(source), media_type).ok());
    }
}

fn decode_data(source: &Value) -> Vec<u8> {
    let data = string_at(source, "data").unwrap_or_default();
    STANDARD.decode(data).unwrap_or_default()
}
