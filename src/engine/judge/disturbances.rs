//! What disturbed a run and has nothing to do with its rows: trouble of the account, the network or
//! the service, and content filters.

use std::collections::BTreeSet;

use crate::engine::trouble::{TroubleKind, is_content_filter, recognize_trouble};
use crate::recording::run::{LIVENESS_ID_PREFIX, Recording, RunEnd};
use crate::wire::exchange::{AttemptResult, Exchange};
use crate::wire::message::{InterpretedExchange, excerpt};
use crate::wire::parsed_exchange::parse_exchange;

/// The disturbances of a run, each in one sentence without words of the server.
pub(super) fn disturbance_notes(recording: &Recording) -> Vec<String> {
    let attempts = || recording.exchanges.iter().flat_map(|exchange| &exchange.attempts);
    let is_filtered = |result: &AttemptResult| match result {
        AttemptResult::Response(response) => response.status >= 400 && is_content_filter(&response.text()),
        AttemptResult::Failure(_) => false,
    };
    let filtered = attempts().filter(|attempt| is_filtered(&attempt.result)).count();
    let sent: u64 = recording.exchanges.iter().map(Exchange::sent_count).sum();
    let mut notes = Vec::new();
    if filtered > 0 {
        notes.push(format!("{filtered} of {sent} requests were rejected by a content filter and sent again"));
    }
    let failed_tests = recording.exchanges.iter().filter(|exchange| is_plain_test(exchange) && is_failed(exchange));
    let kinds: BTreeSet<&str> = failed_tests.map(|test| kind_of(test, recording).as_str()).collect();
    // Trouble that ended the run is the reason why it is partial.
    let has_passed = recording.footer.as_ref().is_some_and(|footer| footer.ended == RunEnd::Complete);
    if has_passed && !kinds.is_empty() {
        let kinds: Vec<&str> = kinds.into_iter().collect();
        notes.push(format!(
            "plain requests failed for a while ({}); requests of that time were sent again",
            kinds.join(", ")
        ));
    }
    notes
}

/// True if the exchange tests whether the endpoint still answers plain requests.
fn is_plain_test(exchange: &Exchange) -> bool {
    exchange.id.starts_with(LIVENESS_ID_PREFIX)
}

fn is_failed(exchange: &Exchange) -> bool {
    !matches!(parse_exchange(exchange).interpretation, InterpretedExchange::Message(_))
}

fn kind_of(exchange: &Exchange, recording: &Recording) -> TroubleKind {
    recognize_trouble(exchange, &recording.header.settings.model).unwrap_or(TroubleKind::Unknown)
}

/// The trouble that ended the run, and what to do.
pub(super) fn describe_trouble(recording: &Recording) -> String {
    let Some(last) = recording.exchanges.iter().rfind(|exchange| is_plain_test(exchange)) else {
        return "plain requests failed".to_owned();
    };
    let kind = kind_of(last, recording);
    let observed = match parse_exchange(last).interpretation {
        InterpretedExchange::HttpError(error) => format!("HTTP {}: {}", error.status, error.message),
        InterpretedExchange::Malformed(why)
        | InterpretedExchange::UnreadableStream(why)
        | InterpretedExchange::NoResponse(why) => why,
        InterpretedExchange::Message(message) => excerpt(&message.text(), 200),
    };
    let observed = observed.trim_end_matches('.');
    let scope = &recording.header.scope;
    let then = if scope.resume_obstacle().is_none() { "continue with --resume" } else { "start again" };
    format!("{kind}: a plain request, which worked before, got {observed}. {}, then {then}", kind.next_step())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixtures::{error_response, exchange, recording};

    #[test]
    fn the_advice_after_trouble_mentions_resume_only_if_the_run_can_be_resumed() {
        let mut ended = recording(vec![exchange("probe.there/9", 0, error_response(400, "quota exceeded"))]);
        let advice = describe_trouble(&ended);
        assert!(advice.ends_with("wait for its reset, then continue with --resume"), "{advice}");
        ended.header.scope.comparison = true;
        let advice = describe_trouble(&ended);
        assert!(advice.ends_with("wait for its reset, then start again"), "{advice}");
    }
}
