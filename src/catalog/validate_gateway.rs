//! What can be wrong with a gateway's row that its types cannot forbid.

use serde_json::Value;

use crate::catalog::gateway_row::{
    ApiDialect, GATEWAY_VARIABLES, GatewayExpectation, GatewayRow, GatewayRowSubject, RequestSpec, UpstreamResponse,
};
use crate::catalog::template::{TemplateSegment, parse_template};
use crate::catalog::validate::ValidationError;

/// Everything wrong with one row.
pub(super) fn validate_gateway_row(row: &GatewayRow) -> Vec<ValidationError> {
    let mut problems = Vec::new();
    let mut say = |wrong: bool, what: &str| {
        if wrong {
            problems.push(ValidationError::from(what.to_owned()));
        }
    };
    let id = row.id();
    let part_ok = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    say(!id.split('.').all(part_ok), "an id is made of dotted parts of letters, digits, `-` and `_`");
    let is_request = row.comes.is_none() && row.conduct.is_none();
    say(
        row.conduct.is_some() && (row.comes.is_some() || row.send.is_some() || row.answer.is_some()),
        "`conduct` is seen over all requests: no `send`, `answer` or `comes` beside it",
    );
    say(
        row.answer.is_some() != row.comes.is_some(),
        "`answer` and `comes` belong together: what the upstream answers, and where it comes out",
    );
    say(
        row.arrives.is_some() && !is_request,
        "`arrives` is for what a request carries: no `comes` or `conduct` beside it",
    );
    if is_request {
        say(row.send.is_none(), "expected `send` (what a request carries), `answer` and `comes`, or `conduct`");
        say(
            row.send.is_some() && row.field_location().is_none(),
            "say with `at` where the field stands in the request: `send` has not just one key or header",
        );
        say(
            row.arrives.as_ref().is_none_or(|a| a.openai.is_none()),
            "say with `arrives: { openai: … }` where the usual translation puts it, or `nowhere` and why",
        );
    }
    if let Some(arrives) = &row.arrives {
        for shape in ApiDialect::ALL {
            arrives.get(shape).into_iter().for_each(|arrival| validate_expectation(arrival, false, &mut say));
        }
    }
    row.comes.iter().for_each(|comes| validate_expectation(comes, true, &mut say));
    if let Some(answer) = &row.answer {
        say(ApiDialect::ALL.iter().all(|shape| answer.get(*shape).is_none()), "`answer` says nothing of either shape");
        for answer in ApiDialect::ALL.iter().filter_map(|shape| answer.get(*shape)) {
            say(
                !identifies_request(answer),
                "the answer must hold `{{reply}}` in a text, by which it is known to belong to its request",
            );
        }
    }
    for text in collect_texts(row) {
        if let Some(name) = find_unknown_gateway_variable(&text) {
            problems.push(ValidationError {
                message: format!(
                    "there is no variable `{name}`; there are: {}",
                    GATEWAY_VARIABLES.iter().map(|v| v.0).collect::<Vec<_>>().join(", ")
                ),
                quote: Some(format!("{{{{{name}}}}}")),
            });
        }
    }
    problems
}

fn validate_expectation(arrival: &GatewayExpectation, of_answer: bool, say: &mut impl FnMut(bool, &str)) {
    let a = arrival;
    let in_body = a.at.is_some() && a.event.is_none();
    let places = [
        in_body,
        a.header.is_some(),
        a.query.is_some(),
        a.event.is_some(),
        a.status.is_some(),
        a.sign.is_some(),
        a.nowhere.is_some(),
    ];
    say(
        places.into_iter().filter(|p| *p).count() != 1,
        "an arrival names one place: `at`, `header`, `query`, `event`, `status`, `sign` or `nowhere`",
    );
    say(!a.or.is_empty() && a.at.is_none(), "`or` names further places beside `at`");
    let tests =
        [a.value.is_some(), a.contains.is_some(), !a.order.is_empty(), a.any].into_iter().filter(|t| *t).count();
    say(tests > 1, "`as`, `contains`, `order` and `any` exclude each other");
    say(
        tests > 0 && (a.status.is_some() || a.sign.is_some() || a.nowhere.is_some()),
        "`status`, `sign` and `nowhere` take no value beside them",
    );
    if of_answer {
        say(
            a.nowhere.is_some() || a.query.is_some(),
            "an answer comes out `at` a place, in a `header`, an `event`, a `status` or a `sign`",
        );
        say(tests == 0 && (in_body || a.header.is_some()), "say what should come out: `as`, `contains` or `order`");
    } else {
        say(
            a.event.is_some() || a.status.is_some() || a.sign.is_some(),
            "a request arrives `at` a place, in a `header`, in the `query`, or `nowhere`",
        );
    }
    a.also.iter().for_each(|part| validate_expectation(part, of_answer, say));
}

/// Whether the answer can be told from those to other requests.
fn identifies_request(answer: &UpstreamResponse) -> bool {
    let replaces =
        answer.body.is_some() || answer.message.contains_key("content") || answer.choice.contains_key("message");
    let told = |value: &Value| value.to_string().contains("{{reply}}");
    !replaces
        || answer.body.as_ref().is_some_and(told)
        || answer.message.values().any(told)
        || answer.choice.values().any(told)
        || answer.headers.values().any(|value| value.contains("{{reply}}"))
}

fn find_unknown_gateway_variable(text: &str) -> Option<String> {
    parse_template(text).into_iter().find_map(|piece| match piece {
        TemplateSegment::Variable(name) if GATEWAY_VARIABLES.iter().all(|(known, _)| *known != name) => {
            Some(name.to_owned())
        }
        TemplateSegment::Variable(_) | TemplateSegment::Text(_) => None,
    })
}

/// Every text of a row in which a variable can stand.
fn collect_texts(row: &GatewayRow) -> Vec<String> {
    let mut found = Vec::new();
    for sending in std::iter::once(&row.base).chain(&row.send) {
        let RequestSpec { body, headers, turns, content, after, path, method: _ } = sending;
        found.extend(body.values().chain(turns).chain(content).chain(after).map(Value::to_string));
        found.extend(headers.values().chain(path).cloned());
    }
    let mut arrivals: Vec<&GatewayExpectation> = row.comes.iter().collect();
    arrivals.extend(ApiDialect::ALL.iter().filter_map(|shape| row.arrives.as_ref()?.get(*shape)));
    while let Some(arrival) = arrivals.pop() {
        found.extend(arrival.value.iter().map(Value::to_string));
        found.extend(arrival.contains.iter().chain(&arrival.order).cloned());
        arrivals.extend(&arrival.also);
    }
    for shape in ApiDialect::ALL {
        let GatewayRowSubject::Response { response: Some(answer), .. } = row.subject(shape) else { continue };
        found.extend(answer.headers.values().cloned());
        found.extend(answer.message.values().chain(answer.choice.values()).chain(&answer.body).map(Value::to_string));
        found.extend(answer.stream.insert.iter().filter_map(|insert| Some(insert.data.as_ref()?.to_string())));
    }
    found
}
