//! The effective request as the model sees it: what is said, in order, and what is asked of it.
//!
//! Reads leniently: what it cannot make sense of, it does not see. It knows nothing of rows or statuses; whatever was
//! ignored is already gone.

mod segment;

use serde_json::{Map, Value};

use crate::simulator::fields::find::{array, block_of, tool_tag};
pub(super) use crate::simulator::prompt::segment::{Kind, Marker, Piece, Role};

/// Everything that the model, the meter and the cache go by.
#[derive(Debug)]
pub(super) struct View {
    /// The tools that can be called.
    pub tools: Vec<Tool>,
    /// All that is visible, in the order in which prompts are read: tools, system, messages.
    pub pieces: Vec<Piece>,
    /// The last text of the last user turn, empty when it has none.
    pub ask: String,
    /// The last text of any user turn before the last: what the conversation is about.
    pub earlier_ask: String,
    /// The last user turn brings results of tools.
    pub has_results: bool,
    /// What a final assistant message begins with: the answer continues it.
    pub prefill: String,
    pub choice: Choice,
    /// At most one call is wanted.
    pub is_single: bool,
    pub thinking: Option<Thinking>,
    pub effort: Effort,
    pub sampling: Sampling,
    pub max_tokens: Option<u64>,
    pub stop_sequences: Vec<String>,
    pub stream: bool,
    /// The schema that the answer's text must follow.
    pub schema: Option<Value>,
}

/// A tool that the model can call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tool {
    pub name: String,
    pub description: String,
    /// None when the schema is not visible: calls then carry nothing.
    pub schema: Option<Value>,
}

/// What the server demands of the model's use of tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    Auto,
    Any,
    Tool(String),
    None,
}

/// Thinking is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thinking {
    pub budget: Option<u64>,
    /// The text is shown, not only signed.
    pub is_shown: bool,
}

/// How much a model takes upon itself, from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    fn of(value: Option<&Value>) -> Self {
        match value.and_then(Value::as_str) {
            Some("low") => Self::Low,
            Some("medium") => Self::Medium,
            Some("xhigh") => Self::Xhigh,
            Some("max") => Self::Max,
            _ => Self::High,
        }
    }

    /// This much of what is usual.
    pub fn of_usual(self, usual: usize) -> usize {
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
pub(super) struct Sampling {
    pub temperature: f64,
    pub top_p: f64,
    /// None bounds nothing.
    pub top_k: Option<u64>,
}

impl View {
    pub fn of(body: &Map<String, Value>) -> Self {
        let mut pieces = Vec::new();
        let mut tools = Vec::new();
        for tool in array(body.get("tools")) {
            tools.extend(callable(tool));
            pieces.push(Piece::tool(tool));
        }
        pieces.extend(segment::system(body.get("system")));
        let messages = array(body.get("messages"));
        for message in messages {
            pieces.extend(segment::message(message));
        }
        if let (Some(marker), Some(last)) = (Marker::of(body.get("cache_control")), pieces.last_mut()) {
            last.marker = Some(marker);
        }
        let (choice, is_single) = choice(body.get("tool_choice"));
        let number = |key: &str| body.get(key).and_then(Value::as_f64);
        let stops = array(body.get("stop_sequences")).iter().filter_map(Value::as_str);
        Self {
            tools,
            pieces,
            choice,
            is_single,
            thinking: thinking(body.get("thinking")),
            effort: Effort::of(body.get("output_config").and_then(|c| c.get("effort"))),
            sampling: Sampling {
                temperature: number("temperature").unwrap_or(1.0),
                top_p: number("top_p").unwrap_or(1.0),
                top_k: body.get("top_k").and_then(Value::as_u64).filter(|k| *k > 0),
            },
            max_tokens: body.get("max_tokens").and_then(Value::as_u64),
            stop_sequences: stops.filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            stream: body.get("stream") == Some(&Value::Bool(true)),
            schema: body.get("output_config").and_then(|c| c.pointer("/format/schema")).cloned(),
            ..Self::conversation(messages)
        }
    }

    /// What follows from the order of the turns.
    fn conversation(messages: &[Value]) -> Self {
        let is = |message: &Value, role: &str| message.get("role").and_then(Value::as_str) == Some(role);
        let end = messages.iter().rposition(|m| is(m, "user")).map_or(0, |last| last + 1);
        let start = messages[..end].iter().rposition(|m| is(m, "assistant")).map_or(0, |last| last + 1);
        let last_text = |turn: &[Value]| {
            let mut texts = turn.iter().filter(|m| is(m, "user")).flat_map(texts).filter(|t| !t.trim().is_empty());
            texts.next_back().unwrap_or_default().to_owned()
        };
        let has_results = messages[start..end]
            .iter()
            .flat_map(|m| array(m.get("content")))
            .any(|b| block_of(b) == Some(crate::simulator::content_block::Block::ToolResult));
        let prefill = messages[end..].iter().filter(|m| is(m, "assistant")).flat_map(texts).collect();
        Self {
            tools: Vec::new(),
            pieces: Vec::new(),
            ask: last_text(&messages[start..end]),
            earlier_ask: last_text(&messages[..start]),
            has_results,
            prefill,
            choice: Choice::Auto,
            is_single: false,
            thinking: None,
            effort: Effort::High,
            sampling: Sampling { temperature: 1.0, top_p: 1.0, top_k: None },
            max_tokens: None,
            stop_sequences: Vec::new(),
            stream: false,
            schema: None,
        }
    }

    /// What is asked: the last user turn's text; where that turn only brings results, what was asked before it.
    pub fn question(&self) -> &str {
        if self.ask.is_empty() && self.has_results { &self.earlier_ask } else { &self.ask }
    }

    /// The last user turn brings results and says nothing.
    pub fn is_results_only(&self) -> bool {
        self.ask.is_empty() && self.has_results
    }

    /// The tokens of all that is visible.
    pub fn tokens(&self) -> u64 {
        segment::running_tokens(&self.pieces).last().copied().unwrap_or(0)
    }

    /// The tokens up to the end of each piece.
    pub fn running_tokens(&self) -> Vec<u64> {
        segment::running_tokens(&self.pieces)
    }
}

/// The texts of a message, in order.
fn texts(message: &Value) -> Vec<&str> {
    match message.get("content") {
        Some(Value::String(text)) => vec![text],
        content => array(content)
            .iter()
            .filter(|block| block_of(block) == Some(crate::simulator::content_block::Block::Text))
            .filter_map(|block| block.get("text")?.as_str())
            .collect(),
    }
}

/// A tool that the client runs. Those that run on the server's side, and toolsets, cannot be called here.
fn callable(tool: &Value) -> Option<Tool> {
    let tag = tool_tag(tool)?;
    let client = ["bash_", "text_editor_", "memory_", "computer_2"];
    let is_custom = tag == "custom";
    if !is_custom && !client.iter().any(|family| tag.starts_with(family)) {
        return None;
    }
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Tool { name: text("name"), description: text("description"), schema: tool.get("input_schema").cloned() })
        .filter(|tool| !tool.name.is_empty())
}

fn choice(value: Option<&Value>) -> (Choice, bool) {
    let word = match value {
        Some(Value::String(word)) => word,
        Some(object) => object.get("type").and_then(Value::as_str).unwrap_or_default(),
        None => "",
    };
    let field = |key: &str| value.and_then(|v| v.get(key));
    let choice = match word {
        "any" => Choice::Any,
        "none" => Choice::None,
        "tool" => Choice::Tool(field("name").and_then(Value::as_str).unwrap_or_default().to_owned()),
        _ => Choice::Auto,
    };
    (choice, field("disable_parallel_tool_use") == Some(&Value::Bool(true)))
}

fn thinking(value: Option<&Value>) -> Option<Thinking> {
    let value = value?;
    match value.get("type")?.as_str()? {
        "enabled" | "adaptive" => Some(Thinking {
            budget: value.get("budget_tokens").and_then(Value::as_u64),
            is_shown: value.get("display").and_then(Value::as_str) != Some("omitted"),
        }),
        _ => None,
    }
}
