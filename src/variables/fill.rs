//! Templates of case files: filling in the values of variables, and replacing the values in a text
//! by the variables.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::catalog::{TemplateSegment, parse_template};

/// The values of one trial, by the names of the variables.
pub(crate) type VariableValues = BTreeMap<String, String>;

/// The variables of gateway rows whose values are numbers.
const NUMBER_VARIABLES: [&str; 4] = ["number", "number2", "large", "fraction"];

/// Fills templates with the values that a lookup function returns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TemplateFiller<F>(pub F);

impl<F: Fn(&str) -> Value> TemplateFiller<F> {
    /// A text with the values of its variables.
    pub fn fill_text(&self, template: &str) -> String {
        parse_template(template)
            .into_iter()
            .map(|segment| match segment {
                TemplateSegment::Text(text) => text.to_owned(),
                TemplateSegment::Variable(name) => match (self.0)(name) {
                    Value::String(text) => text,
                    other => other.to_string(),
                },
            })
            .collect()
    }

    /// A value with the values of the variables in it. A text that is only a variable gets the
    /// variable's type: a number stays a number.
    pub fn fill_value(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => match parse_template(text).as_slice() {
                [TemplateSegment::Variable(name)] => (self.0)(name),
                _ => Value::from(self.fill_text(text)),
            },
            Value::Array(items) => items.iter().map(|item| self.fill_value(item)).collect(),
            Value::Object(map) => Value::Object(self.fill_object(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        }
    }

    /// The same for the keys and values of an object.
    pub fn fill_object(&self, template: &Map<String, Value>) -> Map<String, Value> {
        template.iter().map(|(key, value)| (self.fill_text(key), self.fill_value(value))).collect()
    }
}

/// A filler with the values of a gateway row's trial. Variables without a value become an empty
/// text.
pub(crate) fn filler_from_values(values: &VariableValues) -> TemplateFiller<impl Fn(&str) -> Value> {
    TemplateFiller(|name: &str| {
        let text = values.get(name).map_or("", String::as_str);
        let number = NUMBER_VARIABLES.contains(&name).then(|| serde_json::from_str(text).ok()).flatten();
        number.unwrap_or_else(|| Value::from(text))
    })
}

/// Merges `over` into `base`: objects key by key; every other value is replaced.
pub(crate) fn merge_objects(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Object(base)), Value::Object(over)) => merge_objects(base, over),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A text of the wire with random values replaced by their variables, so that two runs report it in
/// the same words.
pub(crate) fn restore_placeholders(text: &str, values: &VariableValues) -> String {
    // Longest first: a long value may contain a code word.
    let mut names: Vec<(&String, &String)> =
        values.iter().filter(|(name, value)| *name != "model" && !value.is_empty()).collect();
    names.sort_by_key(|(name, value)| (Reverse(value.len()), *name));
    let replace =
        |text: String, (name, value): (&String, &String)| replace_standalone(&text, value, &format!("{{{{{name}}}}}"));
    names.into_iter().fold(text.to_owned(), replace)
}

/// Replaces a value, but not a number inside a longer number: 1024 is not a part of 10240.
fn replace_standalone(text: &str, value: &str, replacement: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut copied_to = 0;
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let is_number = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    for (start, _) in text.match_indices(value) {
        let end = start + value.len();
        if is_number && (is_digit(text[..start].chars().next_back()) || is_digit(text[end..].chars().next())) {
            continue;
        }
        replaced.push_str(&text[copied_to..start]);
        replaced.push_str(replacement);
        copied_to = end;
    }
    replaced.push_str(&text[copied_to..]);
    replaced
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
        let template = json!({ "{{word}}": ["{{number}}", "{{fraction}}", "n {{number}}", "{{nothing}}"] });
        let filled = filler_from_values(&values()).fill_value(&template);
        assert_eq!(filled, json!({ "amber-falcon-1024": [1024, 0.3729, "n 1024", ""] }));
    }

    #[test]
    fn random_values_are_reported_by_the_names_of_their_variables() {
        let text = restore_placeholders(r#"["amber-falcon-1024",1024,10240,0.3729]"#, &values());
        assert_eq!(text, r#"["{{word}}",{{number}},10240,{{fraction}}]"#);
    }
}
