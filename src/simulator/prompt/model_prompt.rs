//! The request as the model sees it: [`ModelPrompt`].
//!
//! It reads leniently: it skips what it does not understand. It must not know rows or statuses:
//! ignored fields are already removed.

use serde_json::{Map, Value};

use crate::simulator::content_block::ContentBlockKind;
use crate::simulator::fields::lookup::{array_items, block_kind, has_role, string_at, tool_tag};
use crate::simulator::prompt::segment::{self, CacheTtl, PromptSegment};

/// Everything that the model, the token count and the prompt cache depend on.
#[derive(Debug, Default)]
pub(in crate::simulator) struct ModelPrompt {
    /// The tools that can be called.
    pub tools: Vec<PromptTool>,
    /// Everything visible, in the order of the prompt: tools, system, messages.
    pub segments: Vec<PromptSegment>,
    /// The last text of the last user turn. Empty if it has none.
    pub last_user_text: String,
    /// The last text of the user turns before the last one.
    pub earlier_user_text: String,
    /// Whether the last user turn has tool results.
    pub has_tool_results: bool,
    /// The text of a final assistant message, which the response continues.
    pub prefill: String,
    pub tool_choice: ToolChoice,
    /// Whether at most one tool call is allowed.
    pub is_single_call: bool,
    pub thinking: Option<ThinkingConfig>,
    pub effort: EffortLevel,
    pub sampling: SamplingParams,
    pub max_tokens: Option<u64>,
    pub stop_sequences: Vec<String>,
    pub stream: bool,
    /// The schema of the response text.
    pub output_schema: Option<Value>,
}

/// A tool that the model can call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct PromptTool {
    pub name: String,
    pub description: String,
    /// `None` if the schema is not visible. Calls then have no input.
    pub schema: Option<Value>,
}

/// How the request restricts the use of tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::simulator) enum ToolChoice {
    #[default]
    Auto,
    Any,
    Tool(String),
    None,
}

/// The settings of thinking, if it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) struct ThinkingConfig {
    pub budget: Option<u64>,
    /// Whether the text is returned, and not only its signature.
    pub is_visible: bool,
}

/// How much the model thinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::simulator) enum EffortLevel {
    Low,
    Medium,
    #[default]
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

    /// An amount at this effort, given the amount at [`EffortLevel::High`].
    pub fn scale(self, amount: usize) -> usize {
        match self {
            Self::Low => amount / 3,
            Self::Medium => amount * 2 / 3,
            Self::High => amount,
            Self::Xhigh => amount * 3 / 2,
            Self::Max => amount * 2,
        }
    }
}

/// The sampling parameters of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::simulator) struct SamplingParams {
    pub temperature: f64,
    pub top_p: f64,
    /// `None` sets no bound.
    pub top_k: Option<u64>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 1.0, top_k: None }
    }
}

impl ModelPrompt {
    pub fn from_body(body: &Map<String, Value>) -> Self {
        let mut segments = Vec::new();
        let mut tools = Vec::new();
        // A deferred tool is not in the prompt until a search finds it.
        let is_loaded = |tool: &&Value| tool.get("defer_loading") != Some(&Value::Bool(true));
        for tool in array_items(body.get("tools")).iter().filter(is_loaded) {
            tools.extend(parse_tool(tool));
            segments.push(PromptSegment::from_tool(tool));
        }
        segments.extend(segment::parse_system(body.get("system")));
        let messages = array_items(body.get("messages"));
        for message in messages {
            segments.extend(segment::parse_message(message));
        }
        if let (Some(marker), Some(last)) = (CacheTtl::from_value(body.get("cache_control")), segments.last_mut()) {
            last.cache_ttl = Some(marker);
        }
        let (tool_choice, is_single_call) = parse_tool_choice(body.get("tool_choice"));
        let number = |key: &str| body.get(key).and_then(Value::as_f64);
        let stop_sequences = array_items(body.get("stop_sequences")).iter().filter_map(Value::as_str);
        Self {
            tools,
            segments,
            tool_choice,
            is_single_call,
            thinking: parse_thinking(body.get("thinking")),
            effort: EffortLevel::from_value(body.get("output_config").and_then(|c| c.get("effort"))),
            sampling: SamplingParams {
                temperature: number("temperature").unwrap_or(1.0),
                top_p: number("top_p").unwrap_or(1.0),
                top_k: body.get("top_k").and_then(Value::as_u64).filter(|k| *k > 0),
            },
            max_tokens: body.get("max_tokens").and_then(Value::as_u64),
            stop_sequences: stop_sequences.filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            stream: body.get("stream") == Some(&Value::Bool(true)),
            output_schema: body.get("output_config").and_then(|c| c.pointer("/format/schema")).cloned(),
            ..Self::from_messages(messages)
        }
    }

    /// The values that depend on the order of the messages.
    fn from_messages(messages: &[Value]) -> Self {
        let end = messages.iter().rposition(|m| has_role(m, "user")).map_or(0, |last| last + 1);
        let start = messages[..end].iter().rposition(|m| has_role(m, "assistant")).map_or(0, |last| last + 1);
        let last_text = |turn: &[Value]| {
            let mut texts =
                turn.iter().filter(|m| has_role(m, "user")).flat_map(message_texts).filter(|t| !t.trim().is_empty());
            texts.next_back().unwrap_or_default().to_owned()
        };
        let has_tool_results = messages[start..end]
            .iter()
            .flat_map(|m| array_items(m.get("content")))
            .any(|block| block_kind(block) == Some(ContentBlockKind::ToolResult));
        let prefill = messages[end..].iter().filter(|m| has_role(m, "assistant")).flat_map(message_texts).collect();
        Self {
            last_user_text: last_text(&messages[start..end]),
            earlier_user_text: last_text(&messages[..start]),
            has_tool_results,
            prefill,
            ..Self::default()
        }
    }

    /// The question: the text of the last user turn. If that turn has only tool results, the last
    /// text before it.
    pub fn question(&self) -> &str {
        if self.is_results_only() { &self.earlier_user_text } else { &self.last_user_text }
    }

    /// Whether the last user turn has tool results and no text.
    pub fn is_results_only(&self) -> bool {
        self.last_user_text.is_empty() && self.has_tool_results
    }

    /// The number of tokens.
    pub fn tokens(&self) -> u64 {
        segment::cumulative_tokens(&self.segments).last().copied().unwrap_or(0)
    }

    /// For each segment, the number of tokens up to its end.
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
            .filter(|block| block_kind(block) == Some(ContentBlockKind::Text))
            .filter_map(|block| string_at(block, "text"))
            .collect(),
    }
}

/// A tool that the client runs. The model cannot call server tools and toolsets.
fn parse_tool(tool: &Value) -> Option<PromptTool> {
    let tag = tool_tag(tool)?;
    let client_families = ["bash_", "text_editor_", "memory_", "computer_2"];
    if tag != "custom" && !client_families.iter().any(|family| tag.starts_with(family)) {
        return None;
    }
    let text = |key: &str| string_at(tool, key).unwrap_or_default().to_owned();
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
    match string_at(value, "type")? {
        "enabled" | "adaptive" => Some(ThinkingConfig {
            budget: value.get("budget_tokens").and_then(Value::as_u64),
            is_visible: string_at(value, "display") != Some("omitted"),
        }),
        _ => None,
    }
}
