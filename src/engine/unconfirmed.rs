//! The last errors of an interrupted run, which may be trouble: [`find_unconfirmed_errors`].
//!
//! A run tests the endpoint before it believes such errors. A run that is interrupted before the
//! test cannot make them void. So the judge decides no row by them, and a resumed run asks again.
//! This module is pure.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

use crate::engine::response_sign::{ErrorSign, MIN_EQUAL_FAILURES, ResponseSign, classify_response, row_of};
use crate::recording::answered::AnsweredExchanges;
use crate::recording::run::{Recording, RunEnd};
use crate::wire::exchange::Exchange;
use crate::wire::parsed_exchange::{ParsedExchange, parse_exchange};

/// The exchanges of an interrupted run whose responses a resumed run uses.
pub fn find_answered_exchanges(recording: &Recording) -> AnsweredExchanges {
    let unconfirmed = find_unconfirmed_errors(recording, recording.exchanges.iter().map(parse_exchange));
    AnsweredExchanges::from_recording(recording, |exchange| !unconfirmed.contains(exchange.id.as_str()))
}

/// The ids of the errors that the run did not confirm before it was interrupted: errors that look
/// like trouble, or with which requests of several rows failed alike, and after which no request
/// was answered. Errors that no trial uses are confirmed only if they do not look like trouble.
/// `parsed` has the order of the exchanges.
pub fn find_unconfirmed_errors<P: Borrow<ParsedExchange>>(
    recording: &Recording,
    parsed: impl IntoIterator<Item = P>,
) -> HashSet<&str> {
    // The end of a complete run was tested.
    let ended = recording.footer.as_ref().map(|footer| footer.ended);
    if matches!(ended, Some(RunEnd::Complete | RunEnd::Unrecorded)) {
        return HashSet::new();
    }
    let used: HashSet<&str> = recording.trials.iter().flat_map(|trial| &trial.exchanges).map(String::as_str).collect();
    let mut last_answer_start = None;
    let mut unconfirmed = HashSet::new();
    let mut errors: Vec<(&Exchange, ErrorSign)> = Vec::new();
    for (exchange, parsed) in recording.exchanges.iter().zip(parsed) {
        let is_used = used.contains(exchange.id.as_str());
        match classify_response(exchange, parsed.borrow(), &recording.header.settings.model) {
            ResponseSign::Answer => {
                last_answer_start = last_answer_start.max(exchange.last_attempt().map(|last| last.started_ms));
            }
            ResponseSign::Neutral => {}
            // The run would have sent the request again.
            ResponseSign::Filtered | ResponseSign::Error(ErrorSign { trouble: Some(_), .. }) if !is_used => {
                unconfirmed.insert(exchange.id.as_str());
            }
            ResponseSign::Filtered => {}
            ResponseSign::Error(sign) => errors.push((exchange, sign)),
        }
    }
    // Before the first answer, the endpoint may never work.
    let Some(start) = last_answer_start else { return HashSet::new() };
    let ends_later = |exchange: &Exchange| {
        exchange.last_attempt().is_some_and(|last| last.started_ms.saturating_add(last.duration_ms) >= start)
    };
    errors.retain(|(exchange, _)| ends_later(exchange));
    let mut rows: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (exchange, sign) in &errors {
        rows.entry(&sign.error).or_default().insert(row_of(&exchange.id));
    }
    let is_doubtful = |(_, sign): &&(&Exchange, ErrorSign)| {
        sign.trouble.is_some() || rows[sign.error.as_str()].len() >= MIN_EQUAL_FAILURES
    };
    unconfirmed.extend(errors.iter().filter(is_doubtful).map(|(exchange, _)| exchange.id.as_str()));
    unconfirmed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixtures::{error_response, exchange, message, recording};
    use crate::recording::request_settings::TextForm;
    use crate::recording::run::RunFooter;

    const QUOTA: &str = "You exceeded your current quota";

    fn find(recording: &Recording) -> Vec<&str> {
        let parsed = recording.exchanges.iter().map(parse_exchange);
        let mut ids: Vec<&str> = find_unconfirmed_errors(recording, parsed).into_iter().collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn an_error_that_looks_like_trouble_is_confirmed_by_a_later_answer() {
        let trouble = |started_ms| exchange("field.a/treatment/1", started_ms, error_response(400, QUOTA));
        let answer = |started_ms| exchange("field.b/negative/1", started_ms, message());
        assert_eq!(find(&recording(vec![answer(0), trouble(20)])), ["field.a/treatment/1"]);
        // The answered request started before the error came, so it confirms nothing.
        assert_eq!(find(&recording(vec![trouble(20), answer(25)])), ["field.a/treatment/1"]);
        assert_eq!(find(&recording(vec![trouble(20), answer(31)])), [""; 0]);
        assert_eq!(find(&recording(vec![trouble(20)])), [""; 0], "the endpoint may never work");
    }

    #[test]
    fn equal_errors_of_three_rows_are_not_confirmed() {
        let answer = exchange("field.x/negative/1", 0, message());
        let error =
            |row: &str, text: &str| exchange(&format!("field.{row}/treatment/1"), 20, error_response(400, text));
        let alike = ["a", "b", "c"].map(|row| error(row, "not possible"));
        let two = recording([std::slice::from_ref(&answer), &alike[..2]].concat());
        assert_eq!(find(&two), [""; 0]);
        let three = recording([&[answer.clone(), error("d", "d: unknown field")], &alike[..]].concat());
        assert_eq!(find(&three), ["field.a/treatment/1", "field.b/treatment/1", "field.c/treatment/1"]);
        let one_row = ["a/1", "a/2", "a/3"].map(|id| exchange(&format!("field.{id}"), 20, error_response(400, "no")));
        assert_eq!(find(&recording([&[answer], &one_row[..]].concat())), [""; 0]);
    }

    /// The run was killed between the error and the same request again.
    #[test]
    fn an_error_that_no_trial_uses_is_not_confirmed_if_it_looks_like_trouble() {
        for (error, expected) in [
            (QUOTA, &["field.a/treatment/1"][..]),
            ("inappropriate content", &["field.a/treatment/1"]),
            ("a: unknown field", &[]),
        ] {
            let mut killed = recording(vec![
                exchange("field.a/treatment/1", 20, error_response(400, error)),
                exchange("probe.there/1", 40, message()),
            ]);
            killed.trials.clear();
            assert_eq!(find(&killed), expected, "{error}");
        }
    }

    #[test]
    fn a_complete_run_has_confirmed_its_errors() {
        let mut ended = recording(vec![
            exchange("field.b/negative/1", 0, message()),
            exchange("field.a/treatment/1", 20, error_response(400, QUOTA)),
        ]);
        for (end, expected) in [
            (RunEnd::Complete, 0),
            (RunEnd::Unrecorded, 0),
            (RunEnd::Interrupted, 1),
            (RunEnd::Budget, 1),
            (RunEnd::Lost, 1),
        ] {
            let finished_at = String::new();
            let footer = RunFooter { finished_at, wall_ms: 0, channel: TextForm::String, ended: end, counts: None };
            ended.footer = Some(footer);
            assert_eq!(find(&ended).len(), expected, "{end:?}");
        }
    }
}
