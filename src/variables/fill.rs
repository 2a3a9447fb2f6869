//! Putting drawn values into what case files write, and taking them out of what is reported.

use serde_json::{Map, Value};

use crate::catalog::{TemplateSegment, UpstreamResponse, parse_template};
use crate::gateway::values::VariableValues;

/// A text with its variables filled in.
pub(crate) fn fill_text(template: &str, values: &VariableValues) -> String {
    parse_template(template)
        .into_iter()
        .map(|piece| match piece {
            TemplateSegment::Text(text) => text,
            TemplateSegment::Variable(name) => values.get(name).map_or("", String::as_str),
        })
        .collect()
}

/// A value with the variables in it filled in. A text that is nothing but a number's variable becomes that number.
pub(crate) fn fill_value(template: &Value, values: &VariableValues) -> Value {
    match template {
        Value::String(written) => match parse_template(written).as_slice() {
            [TemplateSegment::Variable(name)] if ["number", "number2", "large", "fraction"].contains(name) => {
                values.get(*name).and_then(|n| serde_json::from_str(n).ok()).unwrap_or(Value::Null)
            }
            _ => Value::String(fill_text(written, values)),
        },
        Value::Array(items) => items.iter().map(|item| fill_value(item, values)).collect(),
        Value::Object(map) => Value::Object(fill_object(map, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

/// The same for the keys and values of an object.
pub(crate) fn fill_object(template: &Map<String, Value>, values: &VariableValues) -> Map<String, Value> {
    template.iter().map(|(key, of)| (fill_text(key, values), fill_value(of, values))).collect()
}

/// An answer with its variables filled in.
pub(crate) fn fill_response(template: &UpstreamResponse, values: &VariableValues) -> UpstreamResponse {
    let mut answer = template.clone();
    answer.headers.values_mut().for_each(|header| *header = fill_text(header, values));
    answer.message = fill_object(&template.message, values);
    answer.choice = fill_object(&template.choice, values);
    answer.body = template.body.as_ref().map(|body| fill_value(body, values));
    for insert in &mut answer.stream.insert {
        insert.data = insert.data.as_ref().map(|data| fill_value(data, values));
    }
    answer
}

/// A text of the wire with drawn values put back into their variables, so that two runs report the same in the same
/// words.
pub(crate) fn restore_placeholders(told: &str, values: &VariableValues) -> String {
    // The long ones first: a code word may stand in them.
    let mut names: Vec<(&String, &String)> = values.iter().filter(|(name, _)| *name != "model").collect();
    names.sort_by_key(|(name, value)| (std::cmp::Reverse(value.len()), *name));
    let mut told = told.to_owned();
    for (name, value) in names {
        told = replace_standalone(&told, value, &format!("{{{{{name}}}}}"));
    }
    told
}

/// Replaces a value where it stands by itself: 1024 is no part of 10240.
fn replace_standalone(text: &str, value: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let inner = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let is_number = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    for (at, _) in text.match_indices(value) {
        let after = at + value.len();
        if is_number && (inner(text[..at].chars().next_back()) || inner(text[after..].chars().next())) {
            continue;
        }
        out.push_str(&text[from..at]);
        out.push_str(by);
        from = after;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> VariableValues {
        [("number", "1024"), ("word", "amber-falcon-1024"), ("fraction", "0.3729")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn a_number_stays_a_number_and_keys_are_filled_too() {
        let filled = fill_value(&json!({ "{{word}}": ["{{number}}", "{{fraction}}", "n {{number}}"] }), &values());
        assert_eq!(filled, json!({ "amber-falcon-1024": [1024, 0.3729, "n 1024"] }));
    }

    #[test]
    fn what_was_drawn_is_reported_by_its_name() {
        let told = restore_placeholders(r#"["amber-falcon-1024",1024,10240,0.3729]"#, &values());
        assert_eq!(told, r#"["{{word}}",{{number}},10240,{{fraction}}]"#);
    }
}
