//! [`find_answered_exchanges`]: the responses of an interrupted run that a resumed run uses.
//!
//! A run that is killed in a stretch of trouble cannot make its last responses void. A resumed run
//! asks again for those that may be trouble. This module is pure.

use std::collections::{HashMap, HashSet};

use crate::engine::run::health::{MIN_EQUAL_FAILURES, row_of};
use crate::engine::trial::error_in_text;
use crate::engine::trouble::recognize_trouble;
use crate::recording::answered::AnsweredExchanges;
use crate::recording::run::{PROBE_PREFIX, Recording};
use crate::wire::exchange::{Exchange, RequestCredential};
use crate::wire::message::{InterpretedExchange, mask_variable_words};
use crate::wire::parsed_exchange::parse_exchange;

/// The exchanges of an interrupted run whose responses a resumed run uses.
pub fn find_answered_exchanges(recording: &Recording) -> AnsweredExchanges {
    let unconfirmed = find_unconfirmed_trouble(recording);
    AnsweredExchanges::from_recording(recording, |exchange| !unconfirmed.contains(exchange.id.as_str()))
}

/// The ids of the errors after which no request was answered, if they look like trouble or if
/// requests of several rows failed alike.
pub fn find_unconfirmed_trouble(recording: &Recording) -> HashSet<&str> {
    let mut last_answer_start = None;
    let mut errors: Vec<(&Exchange, String)> = Vec::new();
    for exchange in &recording.exchanges {
        let error = match parse_exchange(exchange).interpretation {
            InterpretedExchange::Message(message) => match error_in_text(&message) {
                Some(error) => error,
                None => {
                    last_answer_start = last_answer_start.max(exchange.last_attempt().map(|last| last.started_ms));
                    continue;
                }
            },
            InterpretedExchange::HttpError(error) => format!("{} {}", error.status, error.message),
            InterpretedExchange::Malformed(why) => why,
            InterpretedExchange::UnreadableStream(_) | InterpretedExchange::NoResponse(_) => continue,
        };
        // The probes expect rejections, and so do the tests of a credential.
        let is_expected = exchange.request.credential != RequestCredential::Target;
        if !is_expected && !exchange.id.starts_with(PROBE_PREFIX) {
            errors.push((exchange, mask_variable_words(&error)));
        }
    }
    // Before the first answer, the endpoint may never work.
    let Some(start) = last_answer_start else { return HashSet::new() };
    let ends_later = |exchange: &Exchange| {
        exchange.last_attempt().is_some_and(|last| last.started_ms.saturating_add(last.duration_ms) >= start)
    };
    errors.retain(|(exchange, _)| ends_later(exchange));
    let mut rows: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (exchange, error) in &errors {
        rows.entry(error).or_default().insert(row_of(&exchange.id));
    }
    let model = &recording.header.settings.model;
    let is_doubtful = |(exchange, error): &&(&Exchange, String)| {
        recognize_trouble(exchange, model).is_some() || rows[error.as_str()].len() >= MIN_EQUAL_FAILURES
    };
    errors.iter().filter(is_doubtful).map(|(exchange, _)| exchange.id.as_str()).collect()
}
