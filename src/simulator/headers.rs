//! The headers of a request: its credential ([`authenticate`]) and its [`ProtocolHeaders`], both
//! checked before the body.

use axum::http::HeaderMap;

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::error_path::truncate_text;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::fields::row::SupportRow;
use crate::simulator::support::SupportTable;
use crate::wire::exchange::AuthScheme;

/// The API version and the betas of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProtocolHeaders {
    pub version: ApiVersion,
    /// The names in `anthropic-beta`, whether or not that row is supported: the body may depend on
    /// them.
    pub betas: Vec<String>,
}

impl ProtocolHeaders {
    /// Whether the request names a beta of this family.
    pub fn has_beta(&self, prefix: &str) -> bool {
        self.betas.iter().any(|name| name.starts_with(prefix))
    }
}

/// The API versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ApiVersion {
    /// `2023-06-01`
    #[default]
    V2023,
    /// `2026-10-21`, without sampling fields.
    V2026,
}

/// The scheme of an `authorization` header.
const BEARER_PREFIX: &[u8] = b"Bearer ";

/// Rejects a request whose credential is wrong or missing.
pub(super) fn authenticate(
    headers: &HeaderMap,
    support: &SupportTable,
    config: &SimulatorConfig,
) -> Result<(), ApiError> {
    let kind = if config.has_fault(BehaviourFault::AuthStatus) {
        ApiErrorKind::Permission
    } else {
        ApiErrorKind::Authentication
    };
    let reject = |message: &str| Err(ApiError::new(kind, message));
    let count = ["authorization", "x-api-key"].into_iter().filter(|name| headers.contains_key(*name)).count();
    if count == 0 && config.has_fault(BehaviourFault::AuthMissingAccepted)
        || count > 0 && config.has_fault(BehaviourFault::AuthWrongAccepted)
    {
        return Ok(());
    }
    if count == 2 && config.has_fault(BehaviourFault::AuthOneHeaderOnly) {
        return reject("both header authorization and header x-api-key are given");
    }
    let expected = config.expected_credential().as_bytes();
    let has_own_header = config.auth == AuthScheme::ApiKey;
    let mut is_authenticated =
        has_own_header && headers.get("api-key").is_some_and(|value| value.as_bytes() == expected);
    if let Some(value) = headers.get("authorization") {
        let (scheme, token) = value.as_bytes().split_at_checked(BEARER_PREFIX.len()).unwrap_or_default();
        let token = scheme.eq_ignore_ascii_case(BEARER_PREFIX).then_some(token);
        if support.rejects(SupportRow::Authorization) {
            return reject("header authorization: not supported by this endpoint");
        } else if support.ignores(SupportRow::Authorization) {
            if token.is_some() {
                return Ok(());
            }
        } else if token == Some(expected) {
            is_authenticated = true;
        } else {
            return reject("header authorization: invalid bearer token");
        }
    }
    if let Some(value) = headers.get("x-api-key") {
        if support.rejects(SupportRow::XApiKey) {
            return reject("header x-api-key: not supported by this endpoint");
        }
        if support.supports(SupportRow::XApiKey) {
            if value.as_bytes() != expected {
                return reject("header x-api-key: invalid key");
            }
            is_authenticated = true;
        }
    }
    if is_authenticated || support.ignores(SupportRow::XApiKey) {
        return Ok(());
    }
    reject("a credential is needed: header x-api-key, or authorization: Bearer")
}

/// Reads the API version and the betas.
pub(super) fn parse_protocol_headers(
    headers: &HeaderMap,
    support: &SupportTable,
    config: &SimulatorConfig,
) -> Result<ProtocolHeaders, ApiError> {
    let version = match parse_version(headers, support) {
        Err(_) if config.has_fault(BehaviourFault::ErrorsVersionAccepted) => ApiVersion::default(),
        version => version?,
    };
    Ok(ProtocolHeaders { version, betas: parse_betas(headers, support, config)? })
}

fn parse_version(headers: &HeaderMap, support: &SupportTable) -> Result<ApiVersion, ApiError> {
    const HEADER_NAME: &str = "anthropic-version";
    if !support.validates(SupportRow::AnthropicVersion) {
        return Ok(ApiVersion::default());
    }
    let mut values = headers.get_all(HEADER_NAME).iter();
    let Some(value) = values.next() else { return Err(ApiError::invalid_header(HEADER_NAME, "required")) };
    if values.next().is_some() {
        return Err(ApiError::invalid_header(HEADER_NAME, "given more than once"));
    }
    match value.as_bytes() {
        b"2023-06-01" => Ok(ApiVersion::V2023),
        b"2026-10-21" => Ok(ApiVersion::V2026),
        other => Err(ApiError::invalid_header(
            HEADER_NAME,
            format!("unknown version '{}'", truncate_text(&String::from_utf8_lossy(other))),
        )),
    }
}

fn parse_betas(headers: &HeaderMap, support: &SupportTable, config: &SimulatorConfig) -> Result<Vec<String>, ApiError> {
    const HEADER_NAME: &str = "anthropic-beta";
    let is_checked =
        support.validates(SupportRow::AnthropicBeta) && !config.has_fault(BehaviourFault::ErrorsBetaAccepted);
    let rejects_known = config.has_fault(BehaviourFault::BetaKnownRefused);
    let mut names = Vec::new();
    for value in headers.get_all(HEADER_NAME) {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        for name in text.split(',').map(str::trim) {
            let is_known = KNOWN_BETAS.lines().any(|known| known == name) || CLAUDE_CODE_BETAS.contains(&name);
            if is_checked && !is_known || rejects_known && CLAUDE_CODE_BETAS.contains(&name) {
                return Err(ApiError::invalid_header(
                    HEADER_NAME,
                    format!("unknown beta name '{}'", truncate_text(name)),
                ));
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

/// The other betas that the reference knows, one a line, including older ones that clients still send.
const KNOWN_BETAS: &str = include_str!("betas.txt");
