//! What a request's headers must say before its body is looked at: who asks, and under which contract.

use axum::http::HeaderMap;

use crate::simulator::api_error::{Kind, Refusal};
use crate::simulator::config::Behaviour;
use crate::simulator::error_path::clip;
use crate::simulator::fault::ConductFault;
use crate::simulator::fields::row::Row;
use crate::simulator::support::Filter;

/// The contract that a request is judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contract {
    pub version: Version,
    /// The names in `anthropic-beta`, whether or not that row is honoured: a body may depend on them.
    pub betas: Vec<String>,
}

impl Contract {
    /// True when a beta of this family was asked for.
    pub fn has_beta(&self, prefix: &str) -> bool {
        self.betas.iter().any(|name| name.starts_with(prefix))
    }
}

/// The versions of the contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Version {
    /// `2023-06-01`
    #[default]
    V2023,
    /// `2026-10-21`: sampling fields are gone.
    V2026,
}

/// What an `authorization` header begins with.
const BEARER: &[u8] = b"Bearer ";

/// Refuses a request whose credential is wrong or missing.
pub(super) fn credentials(headers: &HeaderMap, filter: &Filter, behaviour: &Behaviour) -> Result<(), Refusal> {
    let kind = if behaviour.commits(ConductFault::AuthStatus) { Kind::Permission } else { Kind::Authentication };
    let refuse = |what: &str| Err(Refusal::new(kind, what));
    let carried = ["authorization", "x-api-key"].into_iter().filter(|name| headers.contains_key(*name)).count();
    if carried == 0 && behaviour.commits(ConductFault::AuthMissingAccepted)
        || carried > 0 && behaviour.commits(ConductFault::AuthWrongAccepted)
    {
        return Ok(());
    }
    if carried == 2 && behaviour.commits(ConductFault::AuthOneHeaderOnly) {
        return refuse("both header authorization and header x-api-key are given");
    }
    let right = behaviour.right_credential().as_bytes();
    let mut known = false;
    if let Some(value) = headers.get("authorization") {
        let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len()).unwrap_or_default();
        let token = scheme.eq_ignore_ascii_case(BEARER).then_some(token);
        if filter.refuses(Row::Authorization) {
            return refuse("header authorization: not supported by this endpoint");
        } else if filter.ignores(Row::Authorization) {
            if token.is_some() {
                return Ok(());
            }
        } else if token == Some(right) {
            known = true;
        } else {
            return refuse("header authorization: invalid bearer token");
        }
    }
    if let Some(value) = headers.get("x-api-key") {
        if filter.refuses(Row::XApiKey) {
            return refuse("header x-api-key: not supported by this endpoint");
        }
        if filter.honours(Row::XApiKey) {
            if value.as_bytes() != right {
                return refuse("header x-api-key: invalid key");
            }
            known = true;
        }
    }
    if known || filter.ignores(Row::XApiKey) {
        return Ok(());
    }
    refuse("a credential is needed: header x-api-key, or authorization: Bearer")
}

/// Reads the contract from the headers.
pub(super) fn contract(headers: &HeaderMap, filter: &Filter, behaviour: &Behaviour) -> Result<Contract, Refusal> {
    let version = match version(headers, filter) {
        Err(_) if behaviour.commits(ConductFault::ErrorsVersionAccepted) => Version::default(),
        version => version?,
    };
    Ok(Contract { version, betas: betas(headers, filter, behaviour)? })
}

fn version(headers: &HeaderMap, filter: &Filter) -> Result<Version, Refusal> {
    const NAME: &str = "anthropic-version";
    if !filter.checks(Row::AnthropicVersion) {
        return Ok(Version::default());
    }
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Err(Refusal::header(NAME, "required")) };
    if values.next().is_some() {
        return Err(Refusal::header(NAME, "given more than once"));
    }
    match value.as_bytes() {
        b"2023-06-01" => Ok(Version::V2023),
        b"2026-10-21" => Ok(Version::V2026),
        other => Err(Refusal::header(NAME, format!("unknown version '{}'", clip(&String::from_utf8_lossy(other))))),
    }
}

fn betas(headers: &HeaderMap, filter: &Filter, behaviour: &Behaviour) -> Result<Vec<String>, Refusal> {
    const NAME: &str = "anthropic-beta";
    let checks = filter.checks(Row::AnthropicBeta) && !behaviour.commits(ConductFault::ErrorsBetaAccepted);
    let refuses_known = behaviour.commits(ConductFault::BetaKnownRefused);
    let mut names = Vec::new();
    for value in headers.get_all(NAME) {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        for name in text.split(',').map(str::trim) {
            let is_known = KNOWN_BETAS.contains(&name) || CLAUDE_CODE_BETAS.contains(&name);
            if checks && !is_known || refuses_known && CLAUDE_CODE_BETAS.contains(&name) {
                return Err(Refusal::header(NAME, format!("unknown beta name '{}'", clip(name))));
            }
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The beta names that Claude Code sends with every request.
const CLAUDE_CODE_BETAS: &[&str] = &[
    "claude-code-20250219",
    "interleaved-thinking-2025-05-14",
    "thinking-token-count-2026-05-13",
    "context-management-2025-06-27",
    "prompt-caching-scope-2026-01-05",
    "mid-conversation-system-2026-04-07",
    "effort-2025-11-24",
];

/// The other beta names that the reference knows, with those that real clients still send.
const KNOWN_BETAS: &[&str] = &[
    "message-batches-2024-09-24",
    "prompt-caching-2024-07-31",
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "pdfs-2024-09-25",
    "token-counting-2024-11-01",
    "token-efficient-tools-2025-02-19",
    "output-128k-2025-02-19",
    "files-api-2025-04-14",
    "mcp-client-2025-04-04",
    "mcp-client-2025-11-20",
    "mcp-client-2026-09-15",
    "dev-full-thinking-2025-05-14",
    "code-execution-2025-05-22",
    "code-execution-2025-08-25",
    "extended-cache-ttl-2025-04-11",
    "context-1m-2025-08-07",
    "model-context-window-exceeded-2025-08-26",
    "skills-2025-10-02",
    "fast-mode-2026-02-01",
    "output-300k-2026-03-24",
    "user-profiles-2026-03-24",
    "user-profiles-2026-08-18",
    "user-profiles-2026-09-04",
    "user-profiles-billing-2026-10-01",
    "advisor-tool-2026-03-01",
    "managed-agents-2026-04-01",
    "dreaming-2026-04-21",
    "cache-diagnosis-2026-04-07",
    "server-side-fallback-2026-06-01",
    "server-side-fallback-2026-07-01",
    "fallback-credit-2026-06-01",
    "fallback-credit-2026-07-01",
    "agent-memory-2026-07-22",
    "mid-conversation-tool-changes-2026-07-01",
    "compact-2026-01-12",
    "compact-2026-09-04",
    "mcp-tunnels-2026-06-22",
    "structured-outputs-2025-11-13",
    "task-budgets-2026-03-13",
    "thinking-display-updates-2026-08-18",
    "mid-conversation-output-config-2026-07-01",
    "thinking-binding-controls-2026-08-01",
    "mid-conversation-system-clear-at-2026-08-21",
    "inline-tools-2026-09-15",
    "message-threads-2026-08-12",
    "fine-grained-tool-streaming-2025-05-14",
    "advanced-tool-use-2025-11-20",
    "web-fetch-2025-09-10",
    "oauth-2025-04-20",
];
