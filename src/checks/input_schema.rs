//! [`find_violation`]: compares the input of a tool call with the schema of the tool.
//!
//! Implements the keywords of JSON Schema that describe the inputs of tools. A keyword that is not
//! implemented leaves the result open, and an open result is not a violation. So a violation is
//! always one that a complete validator finds too; a test compares the two.

use regex::bytes::RegexBuilder;
use serde_json::{Map, Number, Value};

use crate::checks::collector::format_value;

/// The maximum number of schemas that are applied to one input. References can multiply them.
const MAX_APPLIED_SCHEMAS: u32 = 10_000;

/// The maximum number of schemas that contain each other.
const MAX_SCHEMA_DEPTH: u32 = 64;

/// Whether a value conforms to a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SchemaConformance {
    Valid,
    /// Why not.
    Violated(String),
    /// A keyword that is not implemented decides.
    Open,
}

/// The schema is not valid, so it permits nothing and forbids nothing.
#[derive(Debug)]
struct MalformedSchema;

type Checked = Result<SchemaConformance, MalformedSchema>;

/// Returns why an input does not conform to a schema. Returns `None` if it conforms, if a keyword
/// that is not implemented decides, and if the schema is malformed.
pub(super) fn find_violation(schema: &Value, input: &Value) -> Option<String> {
    let mut validator = SchemaValidator { root: schema, applied: 0, depth: 0 };
    match validator.check(schema, input) {
        Ok(SchemaConformance::Violated(why)) => Some(why),
        Ok(SchemaConformance::Valid | SchemaConformance::Open) | Err(MalformedSchema) => None,
    }
}

struct SchemaValidator<'a> {
    root: &'a Value,
    applied: u32,
    depth: u32,
}

impl<'a> SchemaValidator<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value) -> Checked {
        let keywords = match schema {
            Value::Bool(true) => return Ok(SchemaConformance::Valid),
            Value::Bool(false) => return Ok(SchemaConformance::Violated("the schema permits no value".to_owned())),
            Value::Object(keywords) => keywords,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => return Err(MalformedSchema),
        };
        self.applied += 1;
        if self.applied > MAX_APPLIED_SCHEMAS || self.depth == MAX_SCHEMA_DEPTH {
            return Ok(SchemaConformance::Open);
        }
        self.depth += 1;
        let mut all = SchemaConformance::Valid;
        for (keyword, argument) in keywords {
            // A malformed keyword counts, even after a violation.
            let one = self.check_keyword(keyword, argument, keywords, value)?;
            all = all.and(one);
        }
        self.depth -= 1;
        Ok(all)
    }

    fn check_keyword(
        &mut self,
        keyword: &str,
        argument: &'a Value,
        siblings: &'a Map<String, Value>,
        value: &Value,
    ) -> Checked {
        match keyword {
            "$comment" | "$defs" | "$schema" | "default" | "definitions" | "deprecated" | "description"
            | "examples" | "readOnly" | "title" | "writeOnly" => Ok(SchemaConformance::Valid),
            // The keyword that these belong to reads them.
            "then" | "else" => {
                Ok(if siblings.contains_key("if") { SchemaConformance::Open } else { SchemaConformance::Valid })
            }
            "type" => check_type(argument, value),
            "enum" => {
                let permitted = argument.as_array().ok_or(MalformedSchema)?;
                Ok(holds(permitted.iter().any(|other| are_equal(other, value)), || {
                    format!("{} is not one of {argument}", format_value(Some(value)))
                }))
            }
            "const" => {
                Ok(holds(are_equal(argument, value), || format!("{} is not {argument}", format_value(Some(value)))))
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                let limit = argument.as_number().ok_or(MalformedSchema)?;
                Ok(value.as_number().map_or(SchemaConformance::Valid, |number| check_number(keyword, limit, number)))
            }
            "minLength" | "maxLength" => {
                check_count(keyword, argument, value.as_str().map(|text| text.chars().count()))
            }
            "minItems" | "maxItems" => check_count(keyword, argument, value.as_array().map(Vec::len)),
            "minProperties" | "maxProperties" => check_count(keyword, argument, value.as_object().map(Map::len)),
            "pattern" => check_pattern(argument, value),
            "required" => check_required(argument, value),
            "properties" | "additionalProperties" => self.check_properties(keyword, argument, siblings, value),
            "items" => self.check_items(argument, siblings, value),
            "allOf" | "anyOf" | "oneOf" => self.check_combination(keyword, argument, value),
            "not" => Ok(match self.check(argument, value)? {
                SchemaConformance::Valid => {
                    SchemaConformance::Violated(format!("{} is not permitted by `not`", format_value(Some(value))))
                }
                SchemaConformance::Violated(_) => SchemaConformance::Valid,
                SchemaConformance::Open => SchemaConformance::Open,
            }),
            "$ref" => {
                let pointer = argument.as_str().ok_or(MalformedSchema)?.strip_prefix('#');
                // An escaped pointer or the name of an anchor is left open.
                match pointer.filter(|path| !path.contains('%')).and_then(|path| self.root.pointer(path)) {
                    Some(schema) => self.check(schema, value),
                    None => Ok(SchemaConformance::Open),
                }
            }
            _ => Ok(SchemaConformance::Open),
        }
    }

    /// Checks the properties that a keyword is about.
    fn check_properties(
        &mut self,
        keyword: &str,
        argument: &'a Value,
        siblings: &'a Map<String, Value>,
        value: &Value,
    ) -> Checked {
        let named = siblings.get("properties").map(|named| named.as_object().ok_or(MalformedSchema)).transpose()?;
        let Value::Object(object) = value else { return Ok(SchemaConformance::Valid) };
        let mut all = SchemaConformance::Valid;
        for (name, value) in object {
            let described = named.and_then(|named| named.get(name));
            let one = match (keyword, described) {
                ("properties", Some(schema)) => self.check(schema, value)?,
                ("additionalProperties", None) if siblings.contains_key("patternProperties") => SchemaConformance::Open,
                ("additionalProperties", None) if argument == &Value::Bool(false) => {
                    return Ok(SchemaConformance::Violated(format!("{name} is not a property of the schema")));
                }
                ("additionalProperties", None) => self.check(argument, value)?,
                _ => SchemaConformance::Valid,
            };
            all = all.and(one.at(name));
        }
        Ok(all)
    }

    fn check_items(&mut self, argument: &'a Value, siblings: &'a Map<String, Value>, value: &Value) -> Checked {
        // A list was valid in earlier drafts.
        if argument.is_array() || siblings.contains_key("prefixItems") {
            return Ok(SchemaConformance::Open);
        }
        let mut all = SchemaConformance::Valid;
        for (nth, item) in value.as_array().map_or(&[][..], Vec::as_slice).iter().enumerate() {
            all = all.and(self.check(argument, item)?.at(&nth.to_string()));
        }
        Ok(all)
    }

    fn check_combination(&mut self, keyword: &str, argument: &'a Value, value: &Value) -> Checked {
        let schemas = argument.as_array().filter(|schemas| !schemas.is_empty()).ok_or(MalformedSchema)?;
        let checked = schemas.iter().map(|schema| self.check(schema, value)).collect::<Result<Vec<_>, _>>()?;
        if keyword == "allOf" {
            return Ok(checked.into_iter().fold(SchemaConformance::Valid, SchemaConformance::and));
        }
        let valid = checked.iter().filter(|one| **one == SchemaConformance::Valid).count();
        let open = checked.contains(&SchemaConformance::Open);
        let shown = || format_value(Some(value));
        Ok(match (valid, keyword) {
            (2.., "oneOf") => {
                SchemaConformance::Violated(format!("{} conforms to {valid} schemas of `oneOf`", shown()))
            }
            (1.., "anyOf") => SchemaConformance::Valid,
            (0, _) if !open => SchemaConformance::Violated(format!("{} conforms to no schema of `{keyword}`", shown())),
            (1, _) if !open => SchemaConformance::Valid,
            _ => SchemaConformance::Open,
        })
    }
}

impl SchemaConformance {
    /// Both: the first violation counts.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (violated @ Self::Violated(_), _) | (_, violated @ Self::Violated(_)) => violated,
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::Valid, Self::Valid) => Self::Valid,
        }
    }

    /// Adds the place of the value to a violation.
    fn at(self, key: &str) -> Self {
        match self {
            Self::Violated(why) => Self::Violated(format!("{key}: {why}")),
            other @ (Self::Valid | Self::Open) => other,
        }
    }
}

fn holds(condition: bool, why: impl FnOnce() -> String) -> SchemaConformance {
    if condition { SchemaConformance::Valid } else { SchemaConformance::Violated(why()) }
}

fn check_type(argument: &Value, value: &Value) -> Checked {
    let types = argument.as_array().map_or(std::slice::from_ref(argument), Vec::as_slice);
    let mut fits = false;
    for name in types {
        fits |= match name.as_str().ok_or(MalformedSchema)? {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => {
                value.as_number().is_some_and(|n| n.as_i128().is_some() || n.as_f64().is_some_and(|f| f.fract() == 0.0))
            }
            _ => return Err(MalformedSchema),
        };
    }
    Ok(holds(fits, || format!("{} is not of type {argument}", format_value(Some(value)))))
}

fn check_number(keyword: &str, limit: &Number, number: &Number) -> SchemaConformance {
    let fits = match (number.as_i128(), limit.as_i128(), number.as_f64(), limit.as_f64()) {
        (Some(number), Some(limit), ..) => match keyword {
            "minimum" => number >= limit,
            "maximum" => number <= limit,
            "exclusiveMinimum" => number > limit,
            "exclusiveMaximum" => number < limit,
            _ if limit > 0 => number % limit == 0,
            _ => return SchemaConformance::Open,
        },
        (_, _, Some(number), Some(limit)) => match keyword {
            "minimum" => number >= limit,
            "maximum" => number <= limit,
            "exclusiveMinimum" => number > limit,
            "exclusiveMaximum" => number < limit,
            // Rounding would decide.
            _ => return SchemaConformance::Open,
        },
        _ => return SchemaConformance::Open,
    };
    holds(fits, || format!("{number} breaks {keyword} {limit}"))
}

/// Checks the count of characters, items or properties. `None` if the value has none.
fn check_count(keyword: &str, argument: &Value, count: Option<usize>) -> Checked {
    let limit = argument.as_u64().ok_or(MalformedSchema)?;
    let Some(count) = count.map(|count| count as u64) else { return Ok(SchemaConformance::Valid) };
    let fits = if keyword.starts_with("min") { count >= limit } else { count <= limit };
    Ok(holds(fits, || format!("a count of {count} breaks {keyword} {limit}")))
}

/// Patterns are those of ECMAScript. They mean the same here for text in ASCII, if they compile.
fn check_pattern(argument: &Value, value: &Value) -> Checked {
    let pattern = argument.as_str().ok_or(MalformedSchema)?;
    let Some(text) = value.as_str() else { return Ok(SchemaConformance::Valid) };
    // Sets of characters can have operators here, and flags exist only here.
    let differs = ["&&", "--", "~~", "[[", "(?"].iter().any(|operator| pattern.contains(operator));
    if differs || !text.is_ascii() || !pattern.is_ascii() {
        return Ok(SchemaConformance::Open);
    }
    let Ok(regex) = RegexBuilder::new(pattern).unicode(false).build() else { return Ok(SchemaConformance::Open) };
    Ok(holds(regex.is_match(text.as_bytes()), || format!("{} does not match {pattern}", format_value(Some(value)))))
}

fn check_required(argument: &Value, value: &Value) -> Checked {
    let names = argument.as_array().ok_or(MalformedSchema)?;
    let names = names.iter().map(Value::as_str).collect::<Option<Vec<_>>>().ok_or(MalformedSchema)?;
    let Value::Object(object) = value else { return Ok(SchemaConformance::Valid) };
    Ok(match names.iter().find(|name| !object.contains_key(**name)) {
        Some(name) => SchemaConformance::Violated(format!("{name} is missing")),
        None => SchemaConformance::Valid,
    })
}

/// Compares as JSON Schema does: 1 and 1.0 are the same number.
fn are_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i128(), right.as_i128()) {
            (Some(left), Some(right)) => left == right,
            _ => left.as_f64() == right.as_f64(),
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| are_equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| are_equal(left, right)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;

    fn conformance(schema: &Value, input: &Value) -> Checked {
        SchemaValidator { root: schema, applied: 0, depth: 0 }.check(schema, input)
    }

    #[test]
    fn a_violation_names_its_place_and_the_broken_rule() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": { "type": "string", "enum": ["Oslo", "Rome"] },
                "days": { "type": "array", "maxItems": 2, "items": { "type": "integer", "minimum": 1 } },
                "unit": { "anyOf": [{ "const": "c" }, { "$ref": "#/$defs/unit" }] },
            },
            "required": ["city"],
            "additionalProperties": false,
            "$defs": { "unit": { "type": "string", "pattern": "^[fk]$" } },
        });
        for (input, expected) in [
            (json!({ "city": "Oslo", "days": [1, 2.0], "unit": "k" }), None),
            (json!({}), Some("city is missing")),
            (json!({ "city": 7 }), Some(r#"city: 7 is not of type "string""#)),
            (json!({ "city": "Bern" }), Some(r#"city: "Bern" is not one of ["Oslo","Rome"]"#)),
            (json!({ "city": "Oslo", "days": [1, 0] }), Some("days: 1: 0 breaks minimum 1")),
            (json!({ "city": "Oslo", "days": [1, 1, 1] }), Some("days: a count of 3 breaks maxItems 2")),
            (json!({ "city": "Oslo", "unit": "m" }), Some(r#"unit: "m" conforms to no schema of `anyOf`"#)),
            (json!({ "city": "Oslo", "town": 1 }), Some("town is not a property of the schema")),
        ] {
            assert_eq!(find_violation(&schema, &input).as_deref(), expected, "{input}");
        }
    }

    #[test]
    fn unknown_keywords_and_malformed_schemas_give_no_violation() {
        let input = json!({ "a": [1, 1] });
        for schema in [
            json!({ "properties": { "a": { "uniqueItems": true } } }),
            json!({ "not": { "properties": { "a": { "contains": { "const": 1 } } } } }),
            json!({ "oneOf": [true, { "minContains": 1 }] }),
            json!({ "$ref": "https://example.com/schema" }),
            json!({ "type": "strnig" }),
            json!({ "required": ["b"], "properties": [] }),
            json!({ "required": ["b"], "maxProperties": "many" }),
            json!("object"),
            json!({ "$ref": "#" }),
            json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] }),
        ] {
            assert_eq!(find_violation(&schema, &input), None, "{schema}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = select(vec![
            json!(null),
            json!(true),
            json!(0),
            json!(1),
            json!(1.0),
            json!(2.5),
            json!(-3),
            json!(u64::MAX),
            json!(""),
            json!("a"),
            json!("ab1"),
            json!("é"),
        ]);
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(Value::from),
                vec((select(vec!["a", "b", "c"]), inner), 0..3)
                    .prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    fn any_schema() -> impl Strategy<Value = Value> {
        let types = vec!["null", "boolean", "object", "array", "string", "number", "integer"];
        let leaf = prop_oneof![
            Just(json!(true)),
            Just(json!(false)),
            Just(json!({ "$ref": "#/$defs/shared" })),
            Just(json!({ "uniqueItems": true })),
            select(types.clone()).prop_map(|name| json!({ "type": name })),
            (select(types.clone()), select(types)).prop_filter_map("two types", |(one, other)| {
                (one != other).then(|| json!({ "type": [one, other] }))
            }),
            vec(any_value(), 1..3).prop_map(|values| json!({ "enum": values })),
            any_value().prop_map(|value| json!({ "const": value })),
            (
                select(vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
                select(vec![json!(1), json!(2.5), json!(-3)])
            )
                .prop_map(|(keyword, limit)| json!({ keyword: limit })),
            (1_u64..4).prop_map(|limit| json!({ "multipleOf": limit })),
            (
                select(vec!["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"]),
                0_u64..3
            )
                .prop_map(|(keyword, limit)| json!({ keyword: limit })),
            select(vec!["^a", r"\d$", "^.$", "[^a]", "(a|b)+", r"\w\s"])
                .prop_map(|pattern| json!({ "pattern": pattern })),
            Just(json!({ "required": ["a"] })),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "properties": { "a": a, "b": b } })),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, more)| json!({ "properties": { "a": a }, "additionalProperties": more })),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, more)| json!({ "patternProperties": { "^a": a }, "additionalProperties": more })),
                inner.clone().prop_map(|items| json!({ "items": items })),
                (select(vec!["allOf", "anyOf", "oneOf"]), vec(inner.clone(), 1..4))
                    .prop_map(|(keyword, schemas)| json!({ keyword: schemas })),
                inner.clone().prop_map(|schema| json!({ "not": schema })),
                (inner.clone(), inner.clone(), inner)
                    .prop_map(|(test, then, other)| json!({ "if": test, "then": then, "else": other })),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn a_complete_validator_agrees(schema in any_schema(), shared in any_schema(), input in any_value()) {
            let schema = json!({ "allOf": [schema], "$defs": { "shared": shared } });
            // References in a circle are the only schemas that the other validator does not take.
            prop_assume!(!schema["$defs"].to_string().contains("$ref"));
            let complete = jsonschema::validator_for(&schema).unwrap();
            match conformance(&schema, &input).unwrap() {
                SchemaConformance::Valid => prop_assert!(complete.is_valid(&input), "{schema} {input}"),
                SchemaConformance::Violated(why) => prop_assert!(!complete.is_valid(&input), "{schema} {input}: {why}"),
                SchemaConformance::Open => {}
            }
        }
    }
}
