//! The effective request as the model sees it: what is said, in order, and what is asked of it.
//!
//! Reads leniently: what it cannot make sense of, it does not see. It knows nothing of rows or statuses; whatever was
//! ignored is already gone.

mod segment;

use serde_json::{Map, Value};

use crate::simulator::fields::find::{array_items, block_kind, tool_tag};
pub(super) use crate::simulator::prompt::segment::{CacheTtl, PromptRole, PromptSegment, SegmentKind};

/// Everything that the model, the meter and the cache go by.
#[derive(Debug)]
pub(super) struct ModelPrompt {
    /// The tools that can be called.
    pub tools: Vec<PromptTool>,
    /// All that is visible, in the order in which prompts are read: tools, system, messages.
    pub segments: Vec<PromptSegment>,
    /// The last text of the last user turn, empty when it has none.
    pub last_user_text: String,
    /// The last text of any user turn before the last: what the conversation is about.
    pub earlier_user_text: String,
    /// The last user turn brings results of tools.
    pub has_tool_results: bool,
    /// What a final assistant message begins with: the answer continues it.
    pub prefill: String,
    pub tool_choice: ToolChoice,
    /// At most one call is wanted.
    pub is_single_call: bool,
    pub thinking: Option<ThinkingConfig>,
    pub effort: EffortLevel,
    pub sampling: SamplingParams,
    pub max_tokens: Option<u64>,
    pub stop_sequences: Vec<String>,
    pub stream: bool,
    /// The schema that the answer's text must follow.
    pub output_schema: Option<Value>,
}

/// A tool that the model can call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PromptTool {
    pub name: String,
    pub description: String,
    /// None when the schema is not visible: calls then carry nothing.
    pub schema: Option<Value>,
}

/// What the server demands of the model's use of tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ToolChoice {
    Auto,
    Any,
    Tool(String),
    None,
}

/// Thinking is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThinkingConfig {
    pub budget: Option<u64>,
    /// The text is shown, not only signed.
    pub is_visible: bool,
}

/// How much a model takes upon itself, from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EffortLevel {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl EffortLevel {
    fn from_value(value: Option<&Value>) -> Self {
        match value.and_then(Value::as_str) {
            Some("low") => Self::Low,
            Some("medium") => Self::Medium,
            Some("xhigh") => Self::Xhigh,
            Some("max") => Self::Max,
            _ => Self::High,
        }
    }

    /// This much of what is usual.
    pub fn scale(self, usual: usize) -> usize {
        match self {
            Self::Low => usual / 3,
            Self::Medium => usual * 2 / 3,
            Self::High => usual,
            Self::Xhigh => usual * 3 / 2,
            Self::Max => usual * 2,
        }
    }
}

/// How an answer is drawn where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SamplingParams {
    pub temperature: f64,
    pub top_p: f64,
    /// None bounds nothing.
    pub top_k: Option<u64>,
}

impl ModelPrompt {
    pub fn from_body(body: &Map<String, Value>) -> Self {
        let mut pieces = Vec::new();
        let mut tools = Vec::new();
        for tool in array_items(body.get("tools")) {
            tools.extend(parse_tool(tool));
            pieces.push(PromptSegment::from_tool(tool));
        }
        pieces.extend(segment::parse_system(body.get("system")));
        let messages = array_items(body.get("messages"));
        for message in messages {
            pieces.extend(segment::parse_message(message));
        }
        if let (Some(marker), Some(last)) = (CacheTtl::from_value(body.get("cache_control")), pieces.last_mut()) {
            last.cache_ttl = Some(marker);
        }
        let (choice, is_single) = parse_tool_choice(body.get("tool_choice"));
        let number = |key: &str| body.get(key).and_then(Value::as_f64);
        let stops = array_items(body.get("stop_sequences")).iter().filter_map(Value::as_str);
        Self {
            tools,
            segments: pieces,
            tool_choice: choice,
            is_single_call: is_single,
            thinking: parse_thinking(body.get("thinking")),
            effort: EffortLevel::from_value(body.get("output_config").and_then(|c| c.get("effort"))),
            sampling: SamplingParams {
                temperature: number("temperature").unwrap_or(1.0),
                top_p: number("top_p").unwrap_or(1.0),
                top_k: body.get("top_k").and_then(Value::as_u64).filter(|k| *k > 0),
            },
            max_tokens: body.get("max_tokens").and_then(Value::as_u64),
            stop_sequences: stops.filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            stream: body.get("stream") == Some(&Value::Bool(true)),
            output_schema: body.get("output_config").and_then(|c| c.pointer("/format/schema")).cloned(),
            ..Self::from_messages(messages)
        }
    }

    /// What follows from the order of the turns.
    fn from_messages(messages: &[Value]) -> Self {
        let is = |message: &Value, role: &str| message.get("role").and_then(Value::as_str) == Some(role);
        let end = messages.iter().rposition(|m| is(m, "user")).map_or(0, |last| last + 1);
        let start = messages[..end].iter().rposition(|m| is(m, "assistant")).map_or(0, |last| last + 1);
        let last_text = |turn: &[Value]| {
            let mut texts =
                turn.iter().filter(|m| is(m, "user")).flat_map(message_texts).filter(|t| !t.trim().is_empty());
            texts.next_back().unwrap_or_default().to_owned()
        };
        let has_results = messages[start..end]
            .iter()
            .flat_map(|m| array_items(m.get("content")))
            .any(|b| block_kind(b) == Some(crate::simulator::content_block::ContentBlockKind::ToolResult));
        let prefill = messages[end..].iter().filter(|m| is(m, "assistant")).flat_map(message_texts).collect();
        Self {
            tools: Vec::new(),
            segments: Vec::new(),
            last_user_text: last_text(&messages[start..end]),
            earlier_user_text: last_text(&messages[..start]),
            has_tool_results: has_results,
            prefill,
            tool_choice: ToolChoice::Auto,
            is_single_call: false,
            thinking: None,
            effort: EffortLevel::High,
            sampling: SamplingParams { temperature: 1.0, top_p: 1.0, top_k: None },
            max_tokens: None,
            stop_sequences: Vec::new(),
            stream: false,
            output_schema: None,
        }
    }

    /// What is asked: the last user turn's text; where that turn only brings results, what was asked before it.
    pub fn question(&self) -> &str {
        if self.last_user_text.is_empty() && self.has_tool_results {
            &self.earlier_user_text
        } else {
            &self.last_user_text
        }
    }

    /// The last user turn brings results and says nothing.
    pub fn is_results_only(&self) -> bool {
        self.last_user_text.is_empty() && self.has_tool_results
    }

    /// The tokens of all that is visible.
    pub fn tokens(&self) -> u64 {
        segment::cumulative_tokens(&self.segments).last().copied().unwrap_or(0)
    }

    /// The tokens up to the end of each piece.
    pub fn cumulative_tokens(&self) -> Vec<u64> {
        segment::cumulative_tokens(&self.segments)
    }
}

/// The texts of a message, in order.
fn message_texts(message: &Value) -> Vec<&str> {
    match message.get("content") {
        Some(Value::String(text)) => vec![text],
        content => array_items(content)
            .iter()
            .filter(|block| block_kind(block) == Some(crate::simulator::content_block::ContentBlockKind::Text))
            .filter_map(|block| block.get("text")?.as_str())
            .collect(),
    }
}

/// A tool that the client runs. Those that run on the server's side, and toolsets, cannot be called here.
fn parse_tool(tool: &Value) -> Option<PromptTool> {
    let tag = tool_tag(tool)?;
    let client = ["bash_", "text_editor_", "memory_", "computer_2"];
    let is_custom = tag == "custom";
    if !is_custom && !client.iter().any(|family| tag.starts_with(family)) {
        return None;
    }
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(PromptTool { name: text("name"), description: text("description"), schema: tool.get("input_schema").cloned() })
        .filter(|tool| !tool.name.is_empty())
}

fn parse_tool_choice(value: Option<&Value>) -> (ToolChoice, bool) {
    let word = match value {
        Some(Value::String(word)) => word,
        Some(object) => object.get("type").and_then(Value::as_str).unwrap_or_default(),
        None => "",
    };
    let field = |key: &str| value.and_then(|v| v.get(key));
    let choice = match word {
        "any" => ToolChoice::Any,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Tool(field("name").and_then(Value::as_str).unwrap_or_default().to_owned()),
        _ => ToolChoice::Auto,
    };
    (choice, field("disable_parallel_tool_use") == Some(&Value::Bool(true)))
}

fn parse_thinking(value: Option<&Value>) -> Option<ThinkingConfig> {
    let value = value?;
    match value.get("type")?.as_str()? {
        "enabled" | "adaptive" => Some(ThinkingConfig {
            budget: value.get("budget_tokens").and_then(Value::as_u64),
            is_visible: value.get("display").and_then(Value::as_str) != Some("omitted"),
        }),
        _ => None,
    }
}
