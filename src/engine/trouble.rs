//! [`TroubleKind`]: trouble of the account, the network or the service that has nothing to do with
//! the fields of a request.
//!
//! Words only raise a suspicion. The run confirms it with a plain request, which is known to work.
//! This module is pure and must not know rows.

use crate::string_enum::string_enum;
use crate::wire::exchange::{AttemptResult, Exchange, RequestCredential};
use crate::wire::message::is_server_fault;

/// The maximum number of bytes of a body that are searched.
const MAX_SEARCHED_BYTES: usize = 4096;

string_enum! {
    /// The kinds of trouble.
    pub enum TroubleKind {
        /// The account has no credit.
        Credit = "credit used up",
        /// A quota or a spending limit is used up.
        Quota = "quota used up",
        /// Too many requests, reported with another status than 429.
        RateLimit = "rate limit",
        /// The model is not deployed.
        Deployment = "model or deployment not available",
        /// The plan, the region or the account may not use the model.
        Plan = "not allowed for this plan, region or account",
        /// The credential expired or was revoked.
        Credential = "credential no longer accepted",
        /// The service or a proxy in front of it is down.
        Unavailable = "service not available",
        /// A web page instead of a response of the API.
        Page = "a web page instead of an API response",
        /// Different requests fail alike, and a plain request fails too.
        Unknown = "all requests fail alike",
    }
}

/// Words of errors, in lower case. The first kind with a matching word counts.
const WORDS: [(TroubleKind, &[&str]); 6] = [
    (
        TroubleKind::Credit,
        &[
            "credit balance",
            "insufficient credit",
            "out of credit",
            "insufficient balance",
            "account balance",
            "insufficient funds",
            "payment required",
            "billing",
            "in arrears",
            "overdue",
            "top up",
            "recharge",
        ],
    ),
    (TroubleKind::Quota, &["quota", "usage limit", "spending limit", "spend limit", "monthly limit", "daily limit"]),
    (
        TroubleKind::RateLimit,
        &["rate limit", "rate_limit", "ratelimit", "too many requests", "slow down", "throttl", "per minute"],
    ),
    (
        TroubleKind::Plan,
        &["your plan", "your region", "your country", "not available in your", "subscription", "not authorized"],
    ),
    (
        TroubleKind::Deployment,
        &["deployment", "no available channel", "no healthy upstream", "no available server", "model is not available"],
    ),
    (
        TroubleKind::Unavailable,
        &[
            "maintenance",
            "temporarily unavailable",
            "service unavailable",
            "try again later",
            "bad gateway",
            "gateway timeout",
            "upstream connect",
            "upstream error",
            "proxy error",
            "overloaded",
        ],
    ),
];

/// Words with which content filters reject a request.
const FILTER_WORDS: [&str; 11] = [
    "inappropriate content",
    "content filter",
    "content_filter",
    "content policy",
    "content management policy",
    "data_inspection",
    "data inspection",
    "sensitive content",
    "sensitive word",
    "content exists risk",
    "moderation",
];

impl TroubleKind {
    /// True if the trouble may end by itself.
    pub fn can_pass(self) -> bool {
        match self {
            Self::Credit | Self::Credential | Self::Plan => false,
            Self::Quota | Self::RateLimit | Self::Deployment | Self::Unavailable | Self::Page | Self::Unknown => true,
        }
    }

    /// What the user can do before the run continues.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Credit => "Add credit to the account",
            Self::Quota => "Raise the quota or wait for its reset",
            Self::RateLimit => "Lower --rpm or --concurrency",
            Self::Deployment => "Check that the model is deployed",
            Self::Plan => "Check the plan, the region and the permissions",
            Self::Credential => "Renew the credential",
            Self::Unavailable | Self::Page | Self::Unknown => "Check the endpoint",
        }
    }
}

/// The trouble that the last response of an exchange may report. `None` if it looks like a response
/// to the fields of the request. `model` is the tested model.
pub fn recognize_trouble(exchange: &Exchange, model: &str) -> Option<TroubleKind> {
    let AttemptResult::Response(response) = &exchange.last_attempt()?.result else { return None };
    // Requests with another credential test how the endpoint rejects it.
    let tests_credential =
        exchange.request.credential != RequestCredential::Target && matches!(response.status, 401 | 403);
    if tests_credential || is_load(response.status) {
        return None;
    }
    let body = &response.body.0[..response.body.0.len().min(MAX_SEARCHED_BYTES)];
    let text = String::from_utf8_lossy(body).to_lowercase();
    if text.trim_start().starts_with('<') {
        return Some(TroubleKind::Page);
    }
    if response.status < 400 {
        return None;
    }
    match response.status {
        401 => return Some(TroubleKind::Credential),
        402 => return Some(TroubleKind::Credit),
        500.. => return Some(TroubleKind::Unavailable),
        404 if exchange.request.body["model"] == model && text.contains(&model.to_lowercase()) => {
            return Some(TroubleKind::Deployment);
        }
        _ => {}
    }
    let has_words = |(_, words): &&(TroubleKind, &[&str])| words.iter().any(|word| text.contains(word));
    let by_words = WORDS.iter().find(has_words).map(|(kind, _)| *kind);
    by_words.or((response.status == 403).then_some(TroubleKind::Plan))
}

/// True for a status that reports load. The client waits and retries after it.
pub fn is_load(status: u16) -> bool {
    status == 429 || (status >= 500 && !is_server_fault(status))
}

/// True if a content filter rejected the request.
pub fn is_content_filter(text: &str) -> bool {
    let text = text.to_lowercase();
    FILTER_WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::exchange::{BodyBytes, ExchangeAttempt, HttpMethod, Request, Response};

    fn recognize(status: u16, body: &str, credential: RequestCredential) -> Option<TroubleKind> {
        let request = Request {
            method: HttpMethod::Post,
            path: "/v1/messages".to_owned(),
            headers: Default::default(),
            credential,
            body: json!({ "model": "some-model" }),
            raw: None,
        };
        let body = BodyBytes(body.as_bytes().to_vec());
        let response = Response { status, headers: Vec::new(), body, arrivals: Vec::new(), cut: None };
        let attempt = ExchangeAttempt { started_ms: 0, duration_ms: 0, result: AttemptResult::Response(response) };
        recognize_trouble(&Exchange { id: String::new(), request, attempts: vec![attempt] }, "some-model")
    }

    #[test]
    fn trouble_of_the_account_is_recognized_by_its_words() {
        for (status, text, expected) in [
            (400, "Your credit balance is too low to access the API.", TroubleKind::Credit),
            (402, "Insufficient Balance", TroubleKind::Credit),
            (400, "You exceeded your current quota", TroubleKind::Quota),
            (400, "Too many requests, please slow down", TroubleKind::RateLimit),
            (404, "model: some-model", TroubleKind::Deployment),
            (404, "The API deployment for this resource does not exist", TroubleKind::Deployment),
            (403, "this model is not available in your region", TroubleKind::Plan),
            (401, "the token has expired", TroubleKind::Credential),
            (400, "the system is under maintenance", TroubleKind::Unavailable),
            (200, "<html><body>Please wait</body></html>", TroubleKind::Page),
            (502, "<html><h1>502 Bad Gateway</h1></html>", TroubleKind::Page),
            (500, "internal failure", TroubleKind::Unavailable),
        ] {
            assert_eq!(recognize(status, text, RequestCredential::Target), Some(expected), "{status} {text}");
        }
    }

    #[test]
    fn rejections_of_fields_and_of_wrong_credentials_are_no_trouble() {
        for text in
            ["top_k: not supported", "model: no-such-model", "max_tokens: 1 is too low", "tools: expected a list"]
        {
            assert_eq!(recognize(400, text, RequestCredential::Target), None, "{text}");
        }
        assert_eq!(recognize(404, "model: other-model", RequestCredential::Target), None);
        assert_eq!(recognize(529, "Overloaded", RequestCredential::Target), None);
        assert_eq!(recognize(401, "invalid x-api-key", RequestCredential::WrongXApiKey), None);
        assert_eq!(recognize(200, "{\"content\":[]}", RequestCredential::Target), None);
        assert!(is_content_filter("Input data may contain inappropriate content."));
        assert!(!is_content_filter("content.image: not supported"));
    }
}
