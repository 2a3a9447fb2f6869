//! [`ResponseSign`]: what one response says about the health of the endpoint.
//!
//! A run uses it for each response, and [`unconfirmed`](crate::engine::unconfirmed) for the
//! responses of an interrupted run. This module is pure and must not know other responses.

use crate::engine::request::build::MESSAGES_PATH;
use crate::engine::trial::error_in_text;
use crate::engine::trouble::{TroubleKind, is_content_filter, is_load, recognize_trouble};
use crate::recording::run::PROBE_PREFIX;
use crate::wire::exchange::{Exchange, RequestCredential};
use crate::wire::message::{InterpretedExchange, mask_variable_words};
use crate::wire::parsed_exchange::ParsedExchange;

/// Requests of this number of rows that fail alike, with no answer in between, may be trouble.
pub(super) const MIN_EQUAL_FAILURES: usize = 3;

/// The maximum number of characters of an error that are compared.
const MAX_COMPARED_CHARS: usize = 300;

/// The top-level keys of successful responses of other paths than that of messages.
const OTHER_PATH_KEYS: [&str; 3] = ["input_tokens", "data", "type"];

/// What a response says about the health of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ResponseSign {
    /// The request was answered: the endpoint was healthy when it started.
    Answer,
    /// Nothing: no response, load, or a response that the request asks for.
    Neutral,
    /// A content filter rejected the request.
    Filtered,
    /// An error. It is a response to the request, or trouble.
    Error(ErrorSign),
}

/// An error in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorSign {
    /// The status and the text, without ids and numbers.
    pub error: String,
    /// The trouble, if the response alone looks like it.
    pub trouble: Option<TroubleKind>,
}

/// Classifies the last response of an exchange. `model` is the tested model.
pub(super) fn classify_response(exchange: &Exchange, parsed: &ParsedExchange, model: &str) -> ResponseSign {
    let text = match &parsed.interpretation {
        InterpretedExchange::Message(message) => match error_in_text(message) {
            None => return ResponseSign::Answer,
            Some(error) => error,
        },
        InterpretedExchange::HttpError(error) if is_content_filter(&error.message) => return ResponseSign::Filtered,
        InterpretedExchange::HttpError(error) if is_load(error.status) => return ResponseSign::Neutral,
        InterpretedExchange::HttpError(error) => error.message.clone(),
        InterpretedExchange::Malformed(why) => why.clone(),
        InterpretedExchange::UnreadableStream(_) | InterpretedExchange::NoResponse(_) => return ResponseSign::Neutral,
    };
    let status = parsed.response.as_ref().map_or(0, |response| response.status);
    // The probes expect rejections, and so do the tests of a credential.
    let is_probe = exchange.id.starts_with(PROBE_PREFIX);
    let tests_credential = exchange.request.credential != RequestCredential::Target && matches!(status, 401 | 403);
    // Another path has responses of another form.
    let is_other_success = exchange.request.path_without_query() != MESSAGES_PATH && status < 300;
    let has_other_form = || {
        let json = parsed.response.as_ref().map(|response| &response.json);
        json.is_some_and(|json| OTHER_PATH_KEYS.iter().any(|key| !json[key].is_null()))
    };
    if is_probe || tests_credential || (is_other_success && has_other_form()) {
        return ResponseSign::Neutral;
    }
    let text: String = mask_variable_words(&text).chars().take(MAX_COMPARED_CHARS).collect();
    // One response decides a row about another path, so an unknown form is suspicious.
    let unknown = is_other_success.then_some(TroubleKind::Unknown);
    let trouble = recognize_trouble(exchange, model).or(unknown);
    ResponseSign::Error(ErrorSign { error: format!("{status} {text}"), trouble })
}

/// The row in the id of an exchange.
pub(super) fn row_of(id: &str) -> &str {
    id.split('/').next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::fixtures::{MODEL, error_response, exchange, message, response};
    use crate::wire::exchange::{AttemptFailure, AttemptResult, FailureKind};
    use crate::wire::parsed_exchange::parse_exchange;

    fn classify(exchange: &Exchange) -> ResponseSign {
        classify_response(exchange, &parse_exchange(exchange), MODEL)
    }

    fn error(error: &str, trouble: Option<TroubleKind>) -> ResponseSign {
        ResponseSign::Error(ErrorSign { error: error.to_owned(), trouble })
    }

    #[test]
    fn a_message_is_an_answer_and_load_is_nothing() {
        assert_eq!(classify(&exchange("field.a/treatment/1", 0, message())), ResponseSign::Answer);
        for status in [429, 503, 529] {
            let sign = classify(&exchange("field.a/treatment/1", 0, error_response(status, "wait")));
            assert_eq!(sign, ResponseSign::Neutral, "{status}");
        }
        let failure = AttemptFailure { kind: FailureKind::Timeout, message: String::new() };
        let sign = classify(&exchange("field.a/treatment/1", 0, AttemptResult::Failure(failure)));
        assert_eq!(sign, ResponseSign::Neutral);
    }

    #[test]
    fn errors_are_equal_if_only_their_numbers_differ() {
        let signs = [1, 22].map(|n| {
            let rejected = error_response(400, &format!("top_k: {n} is not supported"));
            classify(&exchange("field.top_k/treatment/1", 0, rejected))
        });
        assert_eq!(signs[0], signs[1]);
        assert!(matches!(&signs[0], ResponseSign::Error(ErrorSign { trouble: None, .. })), "{:?}", signs[0]);
        let quota = classify(&exchange("field.a/treatment/1", 0, error_response(400, "quota exceeded")));
        assert_eq!(quota, error("400 quota exceeded", Some(TroubleKind::Quota)));
        let filtered = error_response(400, "inappropriate content");
        assert_eq!(classify(&exchange("field.a/treatment/1", 0, filtered)), ResponseSign::Filtered);
    }

    #[test]
    fn expected_rejections_are_nothing() {
        let rejected = || error_response(401, "invalid key");
        assert_eq!(classify(&exchange("probe.strictness/treatment/1", 0, rejected())), ResponseSign::Neutral);
        let mut wrong_key = exchange("header.x-api-key/treatment/1", 0, rejected());
        assert!(matches!(classify(&wrong_key), ResponseSign::Error(_)));
        wrong_key.request.credential = RequestCredential::WrongXApiKey;
        assert_eq!(classify(&wrong_key), ResponseSign::Neutral);
    }

    #[test]
    fn another_path_has_another_form() {
        let sign = |body: serde_json::Value| {
            let mut exchange = exchange("endpoint.count_tokens/treatment/1", 0, response(200, &body));
            exchange.request.path = "/v1/messages/count_tokens".to_owned();
            classify(&exchange)
        };
        assert_eq!(sign(json!({ "input_tokens": 7 })), ResponseSign::Neutral);
        assert!(matches!(
            sign(json!({ "hello": 7 })),
            ResponseSign::Error(ErrorSign { trouble: Some(TroubleKind::Unknown), .. })
        ));
    }
}
