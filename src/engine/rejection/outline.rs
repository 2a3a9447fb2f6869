//! [`RequestOutline`]: the headers and the body of an arm, to find the places that an error names, and
//! the places in which two arms differ.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::{Arm, Experiment, Turn};
use crate::engine::request::build::conversation_turns;
use crate::variables::fill::merge_objects;

/// A place in an outline: keys and indices, first `headers` or `body`.
pub(super) type OutlinePath = Vec<String>;

/// The headers and the body of an arm. Settings of the run and unknown variables are not filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RequestOutline {
    pub root: Value,
    /// True if later requests of the trial add to the conversation.
    pub has_follow_ups: bool,
}

/// Where a named place is in an outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PlaceLookup {
    /// There.
    Found(OutlinePath),
    /// The outline has the part before the last key.
    Missing(OutlinePath),
    /// Nothing of it is there.
    Unknown,
}

impl RequestOutline {
    /// The outline of an arm. `None` if its body is not JSON.
    pub fn new(experiment: &Experiment, layers: &[&Arm], values: &BTreeMap<String, String>) -> Option<Self> {
        let turns = conversation_turns(experiment, layers).into_iter().map(|turn| match turn {
            Turn::User(content) => json!({ "role": "user", "content": content }),
            Turn::Assistant(content) => json!({ "role": "assistant", "content": content }),
            Turn::System(content) => json!({ "role": "system", "content": content }),
        });
        let mut body = Map::new();
        body.insert("model".to_owned(), Value::Null);
        body.insert("max_tokens".to_owned(), Value::Null);
        body.insert("messages".to_owned(), turns.collect());
        let mut headers = Map::from_iter([("anthropic-version".to_owned(), Value::Null)]);
        for arm in layers {
            if arm.raw.is_some() {
                return None;
            }
            merge_objects(&mut body, &arm.body);
            arm.drop.iter().for_each(|key| drop(body.remove(key)));
            for (name, value) in &arm.headers {
                match value {
                    Some(value) => headers.insert(name.clone(), Value::from(value.as_str())),
                    None => headers.remove(name),
                };
            }
        }
        let mut root = json!({ "headers": headers, "body": body });
        fill_known_values(&mut root, values);
        Some(Self { root, has_follow_ups: layers.iter().any(|arm| !arm.then.is_empty()) })
    }

    /// The places in which this outline differs from another one.
    pub fn differences(&self, other: &Self) -> Vec<OutlinePath> {
        let mut paths = Vec::new();
        collect_differences(&self.root, &other.root, &mut Vec::new(), &mut paths);
        if self.has_follow_ups {
            paths.push(vec!["body".to_owned(), "messages".to_owned()]);
        }
        paths
    }

    /// Looks up a path from the top of the body or the headers.
    pub fn look_up(&self, segments: &[String]) -> PlaceLookup {
        let Some(first) = segments.first() else { return PlaceLookup::Unknown };
        let header = first.to_lowercase();
        if self.root["headers"].get(&header).is_some() {
            return PlaceLookup::Found(vec!["headers".to_owned(), header]);
        }
        walk(&self.root["body"], vec!["body".to_owned()], segments)
    }

    /// All places with this path anywhere in the body, for texts that name only its last keys. The first
    /// segment may be a key or the type of a block.
    pub fn look_up_anywhere(&self, segments: &[String]) -> Vec<OutlinePath> {
        let mut found = Vec::new();
        visit(&self.root["body"], &mut vec!["body".to_owned()], &mut |path, node| {
            let Some((first, rest)) = segments.split_first() else { return };
            let start = if node.get(first).is_some() {
                segments
            } else if !rest.is_empty() && node["type"] == **first {
                rest
            } else {
                return;
            };
            if let PlaceLookup::Found(place) = walk(node, path.to_vec(), start) {
                found.push(place);
            }
        });
        found
    }

    /// All places whose text contains `value`, or is equal to it.
    pub fn find_text(&self, value: &str, is_whole: bool) -> Vec<OutlinePath> {
        let mut found = Vec::new();
        visit(&self.root, &mut Vec::new(), &mut |path, node| {
            let is_match = |text: &str| if is_whole { text == value } else { text.contains(value) };
            if node.as_str().is_some_and(is_match) {
                found.push(path.to_vec());
            }
        });
        found
    }
}

/// The value of a key that only one item of a list has, with the index of the item. The type of an item
/// is no key.
fn find_only_item<'a>(list: &'a Value, key: &str) -> Option<(usize, &'a Value)> {
    let items = list.as_array().filter(|items| items.iter().all(|item| item["type"] != key))?;
    let mut found = items.iter().enumerate().filter_map(|(index, item)| Some((index, item.get(key)?)));
    found.next().filter(|_| found.next().is_none())
}

/// Walks down a path. Segments that name the type of a block or a class of the server are skipped.
fn walk(start: &Value, mut path: OutlinePath, segments: &[String]) -> PlaceLookup {
    let (mut node, mut depth) = (start, 0);
    for (i, segment) in segments.iter().enumerate() {
        // Without an index: `tools.description`.
        if let Some((index, child)) = find_only_item(node, segment) {
            (node, depth) = (child, depth + 2);
            path.extend([index.to_string(), segment.clone()]);
            continue;
        }
        let child = match node {
            Value::Object(map) => map.get(segment),
            Value::Array(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => break,
        };
        let next_is_there = segments.get(i + 1).is_some_and(|next| node.get(next).is_some());
        // `text.citations` is in a block of type text, and not in its text.
        let is_type = node["type"] == **segment && next_is_there;
        if let Some(child) = child.filter(|_| !is_type) {
            (node, depth) = (child, depth + 1);
            path.push(segment.clone());
            continue;
        }
        let is_index = segment.parse::<usize>().is_ok();
        let is_tag = next_is_there || node["type"] == **segment || segment.contains(['[', '(', '{', '|', '<', ' ']);
        // The name of a struct comes first: `Request.max_tokens`.
        if is_tag || node.is_array() && !is_index || depth == 0 && segments.len() > i + 1 {
            continue;
        }
        if depth == 0 && i > 0 {
            return PlaceLookup::Unknown;
        }
        path.push(segment.clone());
        return PlaceLookup::Missing(path);
    }
    if depth == 0 { PlaceLookup::Unknown } else { PlaceLookup::Found(path) }
}

fn visit(node: &Value, path: &mut OutlinePath, on_node: &mut dyn FnMut(&[String], &Value)) {
    on_node(path, node);
    let mut enter = |key: String, child: &Value| {
        path.push(key);
        visit(child, path, on_node);
        path.pop();
    };
    match node {
        Value::Object(map) => map.iter().for_each(|(key, child)| enter(key.clone(), child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, child)| enter(i.to_string(), child)),
        _ => {}
    }
}

fn collect_differences(one: &Value, other: &Value, path: &mut OutlinePath, found: &mut Vec<OutlinePath>) {
    let mut push = |path: &OutlinePath, key: &str| found.push([path.as_slice(), &[key.to_owned()]].concat());
    match (one, other) {
        _ if one == other => {}
        (Value::Object(one), Value::Object(other)) => {
            other.keys().filter(|key| !one.contains_key(*key)).for_each(|key| push(path, key));
            for (key, value) in one {
                path.push(key.clone());
                match other.get(key) {
                    Some(other) => collect_differences(value, other, path, found),
                    None => found.push(path.clone()),
                }
                path.pop();
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (i, (value, other)) in one.iter().zip(other).enumerate() {
                path.push(i.to_string());
                collect_differences(value, other, path, found);
                path.pop();
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            let shorter = one.len().min(other.len());
            let same_start = one.iter().zip(other).take_while(|(one, other)| one == other).count();
            let same_end = one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count();
            let end = one.len() - same_end.min(shorter - same_start);
            (same_start..end).for_each(|i| push(path, &i.to_string()));
            if same_start >= end {
                found.push(path.clone());
            }
        }
        _ => found.push(path.clone()),
    }
}

/// Fills in the variables whose values are known.
fn fill_known_values(node: &mut Value, values: &BTreeMap<String, String>) {
    match node {
        Value::String(text) if text.contains("{{") => {
            for (name, value) in values {
                *text = text.replace(&format!("{{{{{name}}}}}"), value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_known_values(item, values)),
        Value::Object(map) => map.values_mut().for_each(|value| fill_known_values(value, values)),
        _ => {}
    }
}
