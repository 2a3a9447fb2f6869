//! Values for a JSON Schema: [`generate`] makes the input of a tool call, or a response that must
//! follow a schema.
//!
//! It understands the keywords that tool schemas use: types, `const`, `enum`, `required`, bounds,
//! `$ref` within the schema, and the first alternative of a choice. Depth and size are limited, so
//! hostile schemas end.

use serde_json::{Map, Value, json};

use crate::simulator::fields::lookup::{array_items, string_at};

/// The depth limit of a value.
const MAX_DEPTH: usize = 12;

/// The limit of the number of values.
const MAX_VALUES: usize = 500;

/// The content of strings.
#[derive(Debug, Clone, Default)]
pub(super) struct ValueSource {
    /// The purpose of the call: the value of the first top-level string.
    pub item: Option<String>,
    /// The value of the other strings.
    pub fallback: String,
}

/// Makes a value that follows the schema.
pub(super) fn generate(schema: &Value, source: &ValueSource) -> Value {
    let mut generator =
        ValueGenerator { root: schema, source, pending_item: source.item.clone(), remaining_values: MAX_VALUES };
    generator.generate_value(schema, 0)
}

struct ValueGenerator<'a> {
    root: &'a Value,
    source: &'a ValueSource,
    /// The item, until it is used.
    pending_item: Option<String>,
    remaining_values: usize,
}

impl ValueGenerator<'_> {
    fn generate_value(&mut self, schema: &Value, depth: usize) -> Value {
        self.remaining_values = self.remaining_values.saturating_sub(1);
        if depth > MAX_DEPTH || self.remaining_values == 0 {
            return Value::Null;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(value) = schema.get("enum").and_then(|e| e.get(0)) {
            return value.clone();
        }
        if let Some(target) = string_at(schema, "$ref") {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |schema| self.generate_value(&schema.clone(), depth + 1));
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            if let Some(schema) = schema.get(choice).and_then(|c| c.get(0)) {
                return self.generate_value(schema, depth + 1);
            }
        }
        match schema_type(schema) {
            "object" => self.generate_object(schema, depth),
            "array" => self.generate_array(schema, depth),
            "string" => self.generate_string(schema),
            "integer" => json!(clamp_to_bounds(schema).ceil() as i64),
            "number" => to_json_number(clamp_to_bounds(schema)),
            "boolean" => json!(true),
            _ => Value::Null,
        }
    }

    fn generate_object(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return json!({}) };
        let required: Vec<&str> = array_items(schema.get("required")).iter().filter_map(Value::as_str).collect();
        // The item needs a place, even if the schema requires no property.
        let for_item = (depth == 0 && self.pending_item.is_some())
            .then(|| {
                let is_open = |(key, schema): &(&String, &Value)| {
                    is_unconstrained_string(schema) && (required.is_empty() || required.contains(&key.as_str()))
                };
                properties.iter().find(is_open).or_else(|| properties.iter().find(|(_, s)| is_unconstrained_string(s)))
            })
            .flatten()
            .map(|(key, _)| key);
        // Taken now, so that no nested string takes it first.
        let item = for_item.and_then(|_| self.pending_item.take());
        let mut object = Map::new();
        for (key, schema) in properties {
            if Some(key) == for_item {
                object.insert(key.clone(), json!(item));
            } else if required.contains(&key.as_str()) {
                object.insert(key.clone(), self.generate_value(schema, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn generate_array(&mut self, schema: &Value, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 16);
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let Some(items) = schema.get("items") else { return json!([]) };
        Value::Array((0..least.min(most)).map(|_| self.generate_value(items, depth + 1)).collect())
    }

    fn generate_string(&mut self, schema: &Value) -> Value {
        if let Some(text) = string_at(schema, "format").and_then(sample_for_format) {
            return json!(text);
        }
        let word = self.pending_item.take().unwrap_or_else(|| self.source.fallback.clone());
        let length = |key: &str| schema.get(key).and_then(Value::as_u64).map(|l| l.min(1000) as usize);
        let mut word: String = word.chars().take(length("maxLength").unwrap_or(usize::MAX)).collect();
        let missing = length("minLength").unwrap_or(0).saturating_sub(word.chars().count());
        word.extend(std::iter::repeat_n('x', missing));
        json!(word)
    }
}

/// A sample text in a format of JSON Schema.
fn sample_for_format(format: &str) -> Option<&'static str> {
    Some(match format {
        "date-time" => "2025-01-31T12:00:00Z",
        "date" => "2025-01-31",
        "time" => "12:00:00Z",
        "duration" => "PT1H",
        "email" => "someone@example.com",
        "hostname" => "example.com",
        "uri" => "https://example.com/",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uuid" => "0b8f0f6e-6c1e-4c5a-9d8f-3f2a1b0c9d8e",
        _ => return None,
    })
}

/// Whether the schema is a string that can have any value.
fn is_unconstrained_string(schema: &Value) -> bool {
    let bound = ["const", "enum", "format", "$ref", "anyOf", "oneOf", "allOf"];
    schema_type(schema) == "string" && bound.iter().all(|key| schema.get(key).is_none())
}

/// The type of the value to make.
fn schema_type(schema: &Value) -> &str {
    let word = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).find(|t| *t != "null"),
        other => other.and_then(Value::as_str),
    };
    match word {
        Some(word) => word,
        None if schema.get("properties").is_some() => "object",
        None if schema.get("items").is_some() => "array",
        None => "string",
    }
}

/// 1, moved into the bounds.
fn clamp_to_bounds(schema: &Value) -> f64 {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|b| b + 1.0)).unwrap_or(f64::MIN);
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|b| b - 1.0)).unwrap_or(f64::MAX);
    1f64.min(most).max(least)
}

/// A JSON number, an integer if possible.
fn to_json_number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_source(item: Option<&str>) -> ValueSource {
        ValueSource { item: item.map(str::to_owned), fallback: "value".to_owned() }
    }

    #[test]
    fn required_properties_get_values_of_their_types() {
        let schema = json!({"type": "object", "required": ["city", "days", "mode", "deep", "list"], "properties": {
            "note": {"type": "string"},
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 3},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "deep": {"type": "object", "properties": {"x": {"const": 7}}, "required": ["x"]},
            "list": {"type": "array", "items": {"type": "boolean"}},
        }});
        let expected = json!({"city": "Paris", "days": 3, "mode": "fast", "deep": {"x": 7}, "list": [true]});
        assert_eq!(generate(&schema, &value_source(Some("Paris"))), expected);
    }

    #[test]
    fn an_item_goes_into_an_optional_property() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "number"}, "city": {"type": "string"}}});
        assert_eq!(generate(&schema, &value_source(Some("Rome"))), json!({"city": "Rome"}));
        assert_eq!(generate(&schema, &value_source(None)), json!({}));
    }

    #[test]
    fn references_alternatives_and_formats_are_followed() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object", "additionalProperties": false, "required": ["place", "when", "who", "unit"],
            "$defs": {"place": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}},
            "properties": {
                "place": {"$ref": "#/$defs/place"},
                "when": {"type": "string", "format": "date"},
                "who": {"type": "string", "format": "email"},
                "unit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            }
        });
        let filled = generate(&schema, &value_source(Some("Paris")));
        assert_eq!(filled["place"], json!({"city": "Paris"}));
        assert!(
            jsonschema::options().should_validate_formats(true).build(&schema).unwrap().is_valid(&filled),
            "{filled}"
        );
    }

    #[test]
    fn a_recursive_schema_ends() {
        let schema = json!({"$defs": {"a": {"type": "object", "required": ["l", "r"], "properties": {
            "l": {"$ref": "#/$defs/a"}, "r": {"$ref": "#/$defs/a"}}}}, "$ref": "#/$defs/a"});
        assert!(generate(&schema, &value_source(None)).is_object());
    }
}
