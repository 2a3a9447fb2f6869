//! The true verdicts of each adversary. `inconclusive` is always right. Rows that are not listed
//! must
//! have the verdict of the honest upstream.

use VerdictStatus::{Accepted, Ignored, Inconclusive, Rejected, Substituted, Supported, Validated};
use fieldtest::catalog::{ClaimStatus, VerdictStatus};
use fieldtest::results::model::{EvidenceKind, Verdict};

use super::server::{Adversary, CHECKED_ONLY, REFUSED_NAMELESSLY};

/// The true verdicts of one adversary.
pub struct Truth {
    /// The adversary.
    pub adversary: Adversary,
    /// Its behaviour, for the table.
    pub is: &'static str,
    /// The rows for which it provokes a wrong verdict.
    pub tempts: &'static [&'static str],
    /// The right verdict of these rows, for the table.
    pub right: &'static str,
    /// Required verdicts, so that a judge that never decides fails.
    pub reach: &'static [(&'static str, VerdictStatus)],
}

/// Rows that only one of the two servers behind the load balancer supports, with the status of the
/// other server.
pub const DIFFERS: [(&str, ClaimStatus); 8] = [
    ("field.stop_sequences", ClaimStatus::Ignored),
    ("field.system", ClaimStatus::Ignored),
    ("field.top_k", ClaimStatus::Ignored),
    ("field.metadata", ClaimStatus::Ignored),
    ("tool_choice.any", ClaimStatus::Ignored),
    ("content.document", ClaimStatus::Ignored),
    ("content.search_result", ClaimStatus::Unsupported),
    ("content.text.citations", ClaimStatus::Unsupported),
];

/// Rows whose verdict depends on the rejection of an invalid value.
const BY_VALIDATION: [&str; 13] = [
    "header.anthropic-beta",
    "header.anthropic-version",
    "header.x-api-key",
    "header.authorization",
    "field.container",
    "field.mcp_servers",
    "field.metadata",
    "field.service_tier",
    "field.temperature.range",
    "content.text.citations",
    "content.redacted_thinking",
    "content.tool_use.id",
    "content.container_upload",
];

/// Rows outside the schema of the server that rejects unknown keys.
const OUTSIDE_THE_SCHEMA: [&str; 27] = [
    "field.container",
    "field.mcp_servers",
    "field.metadata",
    "field.service_tier",
    "field.thinking",
    "field.top_k",
    "field.top_p",
    "tools.cache_control",
    "tool_choice.auto.disable_parallel_tool_use",
    "tool_choice.any.disable_parallel_tool_use",
    "tool_choice.tool.disable_parallel_tool_use",
    "content.text.cache_control",
    "content.text.citations",
    "content.image",
    "content.document",
    "content.search_result",
    "content.thinking",
    "content.redacted_thinking",
    "content.tool_use.cache_control",
    "content.tool_result.cache_control",
    "content.tool_result.is_error",
    "content.server_tool_use",
    "content.web_search_tool_result",
    "content.code_execution_tool_result",
    "content.mcp_tool_use",
    "content.mcp_tool_result",
    "content.container_upload",
];

const CACHE_MARKS: [&str; 4] = [
    "tools.cache_control",
    "content.text.cache_control",
    "content.tool_use.cache_control",
    "content.tool_result.cache_control",
];

const HEADERS: [&str; 3] = ["header.x-api-key", "header.authorization", "header.anthropic-version"];

impl Truth {
    /// Whether a decided verdict is right, given the verdict of the honest upstream.
    pub fn allows(&self, row: &str, verdict: &Verdict, upstream: &Verdict) -> bool {
        let is = |statuses: &[VerdictStatus]| statuses.contains(&verdict.status);
        let as_upstream = verdict.status == upstream.status;
        match self.adversary {
            // No field has an effect there, and any model name gets the same model.
            Adversary::Parrots if row == "field.model" => is(&[Substituted]),
            // It accepts everything, and the row claims no more.
            Adversary::Parrots if row == "tool_choice.auto" => is(&[Accepted]),
            Adversary::Parrots => is(&[Ignored]),
            // The effect also appears without the field.
            Adversary::ThinksUnasked if row == "field.thinking" => false,
            Adversary::CachesUnasked if CACHE_MARKS.contains(&row) => false,
            Adversary::RefusesUnknownKeys if OUTSIDE_THE_SCHEMA.contains(&row) => is(&[Rejected]),
            Adversary::AcceptsAnything if row == "field.model" => is(&[Substituted]),
            Adversary::AcceptsAnything if row == "tool_choice.string_form" => is(&[Ignored]),
            // Where the upstream rejects the budget, this server leaves the thinking out: the value still
            // decides.
            Adversary::AcceptsAnything if row == "field.thinking.budget_tokens" => is(&[Supported, Validated]),
            Adversary::AcceptsAnything if BY_VALIDATION.contains(&row) => is(&[Ignored]),
            // A client can only see that these are validated, and the verdict says no more.
            Adversary::ValidatesThenIgnores if ["field.metadata", "field.service_tier"].contains(&row) => {
                as_upstream && verdict.evidence == Some(EvidenceKind::Validated)
            }
            Adversary::ValidatesThenIgnores if CHECKED_ONLY.contains(&row) => is(&[Ignored]),
            // Supported from a limit on: the verdict must have a qualifier.
            Adversary::Rescales if row == "field.max_tokens" => is(&[Supported]) && !verdict.qualifiers.is_empty(),
            // Of the two values outside the range, only the negative one is rejected.
            Adversary::Rescales if row == "field.temperature.range" => false,
            Adversary::SubstitutesSilently if row == "field.model" => is(&[Substituted]),
            // The endpoint does not have the behaviour of one of its servers.
            Adversary::LoadBalances if DIFFERS.iter().any(|(other, _)| *other == row) => false,
            Adversary::RefusesNamelessly if REFUSED_NAMELESSLY.contains(&row) => is(&[Rejected]),
            // The only wrong value is accepted. A missing header is no value of this row, because the other
            // header can replace it.
            Adversary::ChecksOnlyPresence if row == "header.authorization" => is(&[Ignored]),
            // One of two wrong values is rejected, so neither verdict is right.
            Adversary::ChecksOnlyPresence if HEADERS.contains(&row) => false,
            Adversary::AnswersFromACache
            | Adversary::AddsTemperature
            | Adversary::ChecksOnlyPresence
            | Adversary::HidesItsCache
            | Adversary::ThinksUnasked
            | Adversary::CachesUnasked
            | Adversary::RefusesUnknownKeys
            | Adversary::AcceptsAnything
            | Adversary::ValidatesThenIgnores
            | Adversary::Rescales
            | Adversary::SubstitutesSilently
            | Adversary::LoadBalances
            | Adversary::RefusesNamelessly
            | Adversary::WordsRefusalsNamelessly
            | Adversary::OverloadedEverySecondTime
            | Adversary::AnswersInGerman
            | Adversary::SaysOkToErrors
            | Adversary::SpeaksErrors => as_upstream,
        }
    }

    /// The truth of an adversary.
    pub fn of(adversary: Adversary) -> &'static Self {
        ALL.iter().find(|truth| truth.adversary == adversary).expect("every adversary is in the list")
    }
}

/// The truth of all adversaries, in the order of the table.
pub static ALL: [Truth; 19] = [
    Truth {
        adversary: Adversary::AnswersFromACache,
        is: "responds from a cache by prompt",
        tempts: &["field.stop_sequences", "field.max_tokens", "field.metadata", "header.x-api-key", "tool_choice.none"],
        right: "supported if prompts are new; otherwise inconclusive",
        reach: &[("content.string", Supported), ("content.document", Supported)],
    },
    Truth {
        adversary: Adversary::HidesItsCache,
        is: "responds from a cache by prompt, each copy with a new id",
        tempts: &["field.stop_sequences", "field.max_tokens", "field.metadata", "header.x-api-key", "tool_choice.none"],
        right: "supported if prompts are new; otherwise inconclusive",
        reach: &[("content.string", Supported), ("content.document", Supported)],
    },
    Truth {
        adversary: Adversary::Parrots,
        is: "returns the whole request as text",
        tempts: &["field.system", "field.top_k", "content.string", "content.document", "content.tool_result.is_error"],
        right: "ignored or inconclusive",
        reach: &[("header.x-api-key", Ignored), ("field.stream", Ignored), ("field.model", Substituted)],
    },
    Truth {
        adversary: Adversary::ThinksUnasked,
        is: "thinks without being asked",
        tempts: &["field.thinking", "field.thinking.budget_tokens", "content.thinking"],
        right: "field.thinking inconclusive (always on); the others as they are",
        reach: &[("field.system", Supported), ("field.stop_sequences", Supported)],
    },
    Truth {
        adversary: Adversary::CachesUnasked,
        is: "caches prompts without being asked",
        tempts: &CACHE_MARKS,
        right: "inconclusive (always on)",
        reach: &[("field.system", Supported), ("content.document", Supported)],
    },
    Truth {
        adversary: Adversary::RefusesUnknownKeys,
        is: "rejects every unknown key",
        tempts: &[
            "field.container",
            "field.mcp_servers",
            "field.metadata",
            "content.container_upload",
            "content.redacted_thinking",
        ],
        right: "rejected",
        reach: &[
            ("field.container", Rejected),
            ("field.metadata", Rejected),
            ("content.container_upload", Rejected),
            ("field.system", Supported),
        ],
    },
    Truth {
        adversary: Adversary::AcceptsAnything,
        is: "accepts anything, and ignores what it cannot do",
        tempts: &[
            "field.metadata",
            "field.container",
            "tool_choice.string_form",
            "header.x-api-key",
            "field.model",
            "content.thinking",
        ],
        right: "ignored where only validation could tell, substituted for the model, else as it is",
        reach: &[
            ("field.container", Ignored),
            ("header.x-api-key", Ignored),
            ("field.model", Substituted),
            ("field.system", Supported),
        ],
    },
    Truth {
        adversary: Adversary::ValidatesThenIgnores,
        is: "validates a field and then ignores it",
        tempts: &["field.stop_sequences", "field.system", "field.temperature", "tools.cache_control", "field.metadata"],
        right: "ignored or inconclusive (validated without effect); supported, as validated only, where no effect can be seen",
        reach: &[("field.system", Ignored), ("field.stop_sequences", Ignored), ("field.top_k", Ignored)],
    },
    Truth {
        adversary: Adversary::Rescales,
        is: "multiplies temperature by 0.6 and raises max_tokens to 64",
        tempts: &["field.max_tokens", "field.temperature", "field.temperature.range"],
        right: "max_tokens supported with a qualifier; temperature supported; its range inconclusive",
        reach: &[("field.temperature", Supported), ("field.top_k", Supported)],
    },
    Truth {
        adversary: Adversary::SubstitutesSilently,
        is: "substitutes models silently and echoes the requested name",
        tempts: &["field.model"],
        right: "substituted",
        reach: &[("field.model", Substituted), ("field.system", Supported)],
    },
    Truth {
        adversary: Adversary::LoadBalances,
        is: "load-balances over two back ends that differ",
        tempts: &[
            "field.stop_sequences",
            "field.system",
            "field.top_k",
            "field.metadata",
            "tool_choice.any",
            "content.document",
            "content.search_result",
            "content.text.citations",
        ],
        right: "inconclusive",
        reach: &[("field.max_tokens", Supported), ("header.x-api-key", Supported)],
    },
    Truth {
        adversary: Adversary::RefusesNamelessly,
        is: "rejects some fields without naming them",
        tempts: &REFUSED_NAMELESSLY,
        right: "rejected, or inconclusive if only an invalid value was sent",
        reach: &[("field.stop_sequences", Rejected), ("field.metadata", Rejected), ("field.system", Supported)],
    },
    Truth {
        adversary: Adversary::WordsRefusalsNamelessly,
        is: "supports everything, but its errors name no field",
        tempts: &[
            "field.container",
            "field.mcp_servers",
            "content.redacted_thinking",
            "content.container_upload",
            "content.thinking",
        ],
        right: "supported or inconclusive",
        reach: &[("field.system", Supported), ("field.metadata", Validated)],
    },
    Truth {
        adversary: Adversary::OverloadedEverySecondTime,
        is: "rejects every second request with 529",
        tempts: &["field.metadata", "field.stop_sequences", "header.x-api-key"],
        right: "as without it",
        reach: &[("field.stop_sequences", Supported), ("field.metadata", Validated), ("header.x-api-key", Supported)],
    },
    Truth {
        adversary: Adversary::AnswersInGerman,
        is: "responds in another language",
        tempts: &["content.image", "content.tool_result.is_error", "field.temperature", "field.system"],
        right: "as it is, or inconclusive",
        reach: &[("field.system", Supported), ("content.document", Supported)],
    },
    Truth {
        adversary: Adversary::SaysOkToErrors,
        is: "returns 200 with the error in the body",
        tempts: &["field.metadata", "field.container", "field.model", "header.x-api-key", "tool_choice.string_form"],
        right: "as it is, or inconclusive (broken answer)",
        reach: &[("field.system", Supported), ("field.stop_sequences", Supported)],
    },
    Truth {
        adversary: Adversary::SpeaksErrors,
        is: "returns 200 with the error as the assistant's text",
        tempts: &["field.metadata", "field.container", "field.model", "header.x-api-key", "tool_choice.string_form"],
        right: "as it is, or inconclusive",
        reach: &[("field.system", Supported), ("field.stop_sequences", Supported)],
    },
    Truth {
        adversary: Adversary::AddsTemperature,
        is: "sets a temperature in every request, which thinking does not allow",
        tempts: &["field.thinking", "field.thinking.budget_tokens", "content.thinking"],
        right: "inconclusive, because the rejection is about the temperature",
        reach: &[("field.thinking", Inconclusive), ("field.system", Supported)],
    },
    Truth {
        adversary: Adversary::ChecksOnlyPresence,
        is: "requires a credential and a version, and accepts any",
        tempts: &HEADERS,
        right: "inconclusive, because the invalid values disagree; the bearer token ignored",
        reach: &[
            ("header.x-api-key", Inconclusive),
            ("header.anthropic-version", Inconclusive),
            ("field.system", Supported),
        ],
    },
];
