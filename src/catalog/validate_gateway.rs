//! Validates a [`GatewayRow`]: the rules that its types cannot express.

use serde_json::Value;

use crate::catalog::gateway_row::{
    ApiDialect, GATEWAY_VARIABLES, GatewayExpectation, GatewayRow, GatewayRowSubject, RequestSpec, UpstreamResponse,
};
use crate::catalog::template::variable_names;
use crate::catalog::validate::ValidationError;

/// Returns every mistake in one row.
pub(super) fn validate_gateway_row(row: &GatewayRow) -> Vec<ValidationError> {
    let mut errors = Vec::new();
    let mut reject_if = |is_wrong: bool, message: &str| {
        if is_wrong {
            errors.push(ValidationError::from(message.to_owned()));
        }
    };
    let is_id_part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    reject_if(!row.id().split('.').all(is_id_part), "an id is made of dotted parts of letters, digits, `-` and `_`");
    let is_request = row.expect_client.is_none() && row.behaviour.is_none();
    reject_if(
        row.behaviour.is_some()
            && (row.expect_client.is_some() || row.request.is_some() || row.upstream_response.is_some()),
        "`behaviour` is observed over all requests. Remove `request`, `upstream_response` and `expect_client`",
    );
    reject_if(
        row.upstream_response.is_some() != row.expect_client.is_some(),
        "`upstream_response` and `expect_client` need each other: what the upstream returns, and what the client \
         should get of it",
    );
    reject_if(
        row.expect_upstream.is_some() && !is_request,
        "`expect_upstream` is about the request. It cannot be combined with `expect_client` or `behaviour`",
    );
    if is_request {
        reject_if(
            row.request.is_none(),
            "the row has no test. Add `request`, `upstream_response` with `expect_client`, or `behaviour`",
        );
        reject_if(
            row.request.is_some() && row.field_location().is_none(),
            "`request` has more than one key or header. Add `at` with the place of the field",
        );
        reject_if(
            row.expect_upstream.as_ref().is_none_or(|expected| expected.openai.is_none()),
            "add `expect_upstream: { openai: … }` with the place of the field in chat completions, or with \
             `no_equivalent` and the reason",
        );
    }
    for expectation in list_upstream_expectations(row) {
        validate_expectation(expectation, false, &mut reject_if);
    }
    row.expect_client.iter().for_each(|expectation| validate_expectation(expectation, true, &mut reject_if));
    if let Some(responses) = &row.upstream_response {
        let responses: Vec<_> = ApiDialect::ALL.iter().filter_map(|dialect| responses.get(*dialect)).collect();
        reject_if(responses.is_empty(), "`upstream_response` is empty. Add `anthropic` or `openai`");
        for response in responses {
            reject_if(
                !identifies_request(response),
                "the response needs `{{reply}}` in a text, to be recognized as the response to its request",
            );
        }
    }
    for text in collect_texts(row) {
        let is_known = |name: &str| GATEWAY_VARIABLES.iter().any(|(known, _)| *known == name);
        if let Some(name) = variable_names(&text).find(|name| !is_known(name)) {
            errors.push(ValidationError {
                message: format!(
                    "there is no variable `{name}`; there are: {}",
                    GATEWAY_VARIABLES.iter().map(|v| v.0).collect::<Vec<_>>().join(", ")
                ),
                quote: Some(format!("{{{{{name}}}}}")),
            });
        }
    }
    errors
}

fn list_upstream_expectations(row: &GatewayRow) -> impl Iterator<Item = &GatewayExpectation> {
    ApiDialect::ALL.into_iter().filter_map(|dialect| row.expect_upstream.as_ref()?.get(dialect))
}

fn validate_expectation(expectation: &GatewayExpectation, is_response: bool, reject_if: &mut impl FnMut(bool, &str)) {
    let e = expectation;
    let is_in_body = e.at.is_some() && e.event.is_none();
    let places = [
        is_in_body,
        e.header.is_some(),
        e.query.is_some(),
        e.event.is_some(),
        e.status.is_some(),
        e.sign.is_some(),
        e.no_equivalent.is_some(),
    ];
    reject_if(
        places.into_iter().filter(|is_named| *is_named).count() != 1,
        "an expectation names one place: `at`, `header`, `query`, `event`, `status`, `sign` or `no_equivalent`",
    );
    reject_if(!e.or.is_empty() && e.at.is_none(), "`or` names further places and needs `at`");
    let tests = [e.value.is_some(), e.contains.is_some(), !e.order.is_empty(), e.any];
    let tests = tests.into_iter().filter(|is_set| *is_set).count();
    reject_if(tests > 1, "`as`, `contains`, `order` and `any` exclude each other");
    reject_if(
        tests > 0 && (e.status.is_some() || e.sign.is_some() || e.no_equivalent.is_some()),
        "`status`, `sign` and `no_equivalent` have no value. Remove `as`, `contains`, `order` or `any`",
    );
    if is_response {
        reject_if(
            e.no_equivalent.is_some() || e.query.is_some(),
            "`expect_client` names a place: `at`, `header`, `event`, `status` or `sign`",
        );
        reject_if(
            tests == 0 && (is_in_body || e.header.is_some()),
            "the expected value is missing. Add `as`, `contains` or `order`",
        );
    } else {
        reject_if(
            e.event.is_some() || e.status.is_some() || e.sign.is_some(),
            "`expect_upstream` names a place: `at`, `header`, `query` or `no_equivalent`",
        );
    }
    e.also.iter().for_each(|part| validate_expectation(part, is_response, reject_if));
}

/// Whether the client's copy of the response can be attributed to its request.
fn identifies_request(response: &UpstreamResponse) -> bool {
    let replaces_plain_text =
        response.body.is_some() || response.message.contains_key("content") || response.choice.contains_key("message");
    let has_reply = |value: &Value| value.to_string().contains("{{reply}}");
    !replaces_plain_text
        || response.body.as_ref().is_some_and(has_reply)
        || response.message.values().any(has_reply)
        || response.choice.values().any(has_reply)
        || response.headers.values().any(|value| value.contains("{{reply}}"))
}

/// Every text of a row that may contain a variable.
fn collect_texts(row: &GatewayRow) -> Vec<String> {
    let mut texts = Vec::new();
    for spec in std::iter::once(&row.base).chain(&row.request) {
        let RequestSpec { body, headers, turns, content, after, path, method: _ } = spec;
        texts.extend(body.values().chain(turns).chain(content).chain(after).map(Value::to_string));
        texts.extend(headers.values().chain(path).cloned());
    }
    let mut expectations: Vec<_> = row.expect_client.iter().chain(list_upstream_expectations(row)).collect();
    while let Some(expectation) = expectations.pop() {
        texts.extend(expectation.value.iter().map(Value::to_string));
        texts.extend(expectation.contains.iter().chain(&expectation.order).cloned());
        expectations.extend(&expectation.also);
    }
    for dialect in ApiDialect::ALL {
        let GatewayRowSubject::Response { response: Some(response), .. } = row.subject(dialect) else { continue };
        texts.extend(response.headers.values().cloned());
        let bodies = response.message.values().chain(response.choice.values()).chain(&response.body);
        texts.extend(bodies.map(Value::to_string));
        texts.extend(response.stream.insert.iter().filter_map(|insert| Some(insert.data.as_ref()?.to_string())));
    }
    texts
}
