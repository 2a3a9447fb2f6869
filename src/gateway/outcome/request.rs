//! What reached the upstream of a field that a client sent. Pure.

use serde_json::{Value, json};

use crate::catalog::{Arrival, BodyPath, FieldAt, GatewayRow, Shape, Subject};
use crate::gateway::json_search;
use crate::gateway::outcome::matcher::{Candidate, Seen, Wanted, markers, text_of_all};
use crate::gateway::outcome::undetermined::Unclear;
use crate::gateway::values::Values;
use crate::recording::gateway::Call;
use crate::wire::exchange::Request;

/// What one call shows of a row's field. `control` is a request without the field, or with another value in its place,
/// and the call that it led to.
pub(crate) fn seen(
    row: &GatewayRow,
    shape: Shape,
    values: &Values,
    request: &Request,
    control: Option<(&Request, &Call)>,
    call: &Call,
) -> Seen {
    let Some(field) = row.place() else { return Seen::Dropped { note: None } };
    let label = values.get("label").map_or("", String::as_str);
    let sent = sent(&field, request, label);
    let same = same_place(&field);
    let arrival = match row.subject(shape) {
        Subject::Request { arrives } => arrives.unwrap_or(&same),
        Subject::Answer { .. } | Subject::Conduct(_) => &same,
    };
    let looked = Looked {
        field: &field,
        values,
        label,
        sent: sent.as_ref(),
        request,
        is_replaced: control.is_some_and(|(request, _)| self::sent(&field, request, "\u{0}").is_some()),
        control: control.map(|(_, call)| Body::of(call)),
        call: Body::of(call),
    };
    let mut first = None;
    for part in std::iter::once(arrival).chain(&arrival.also) {
        match looked.part(part) {
            seen @ Seen::Forwarded { .. } => first = first.or(Some(seen)),
            other => return other,
        }
    }
    first.unwrap_or(Seen::Dropped { note: None })
}

/// Where it was sent, as it was.
fn same_place(field: &FieldAt) -> Arrival {
    match field {
        FieldAt::Body(path) => Arrival { at: Some(path.clone()), ..Arrival::default() },
        FieldAt::Header(name) => Arrival { header: Some(name.clone()), ..Arrival::default() },
        FieldAt::Query(name) => Arrival { query: Some(name.clone()), ..Arrival::default() },
    }
}

/// The value that the request carries at a place. The question stands in the request as well, and is not meant.
fn sent(field: &FieldAt, request: &Request, label: &str) -> Option<Value> {
    match field {
        FieldAt::Body(path) => {
            let found = json_search::find(path, &request.body);
            let meant = found.iter().find(|(_, value)| !text_of_all(value).contains(label)).or(found.first());
            meant.map(|(_, value)| (*value).clone())
        }
        FieldAt::Header(name) => request.headers.get(name).map(|value| json!(value)),
        FieldAt::Query(name) => query(&request.path, name).first().map(|(_, value)| value.clone()),
    }
}

/// A call, read.
struct Body<'a> {
    call: &'a Call,
    json: Value,
}

impl<'a> Body<'a> {
    fn of(call: &'a Call) -> Self {
        Self { call, json: serde_json::from_slice(&call.body.0).unwrap_or(Value::Null) }
    }

    /// What stands at the places of a part.
    fn candidates(&self, part: &Arrival) -> Vec<Candidate> {
        if let Some(name) = &part.header {
            return self.headers(name);
        }
        if let Some(name) = &part.query {
            return query(&self.call.path, name);
        }
        let paths: Vec<&BodyPath> = part.at.iter().chain(&part.or).collect();
        paths.into_iter().flat_map(|path| owned(json_search::find(path, &self.json))).collect()
    }

    fn headers(&self, name: &str) -> Vec<Candidate> {
        let named = self.call.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(n, value)| (format!("header {n}"), json!(value))).collect()
    }

    /// Everything, for who looks for a marker wherever it is.
    fn anywhere(&self) -> Value {
        let headers: Value = self.call.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut all = json!({});
        if let (Some(all), Some(body)) = (all.as_object_mut(), self.json.as_object()) {
            all.extend(body.clone());
            all.insert("(headers)".to_owned(), headers);
            all.insert("(path)".to_owned(), json!(self.call.path));
        }
        all
    }
}

fn owned(found: Vec<json_search::Found<'_>>) -> Vec<Candidate> {
    found.into_iter().map(|(at, value)| (at, value.clone())).collect()
}

fn query(path: &str, name: &str) -> Vec<Candidate> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(key, value)| (format!("query {key}"), json!(value))).collect()
}

/// What is looked for, and in what.
struct Looked<'a> {
    field: &'a FieldAt,
    values: &'a Values,
    label: &'a str,
    sent: Option<&'a Value>,
    request: &'a Request,
    /// The control carries the field as well, with another value: whatever stands there in the end is a change.
    is_replaced: bool,
    control: Option<Body<'a>>,
    call: Body<'a>,
}

impl Looked<'_> {
    fn part(&self, part: &Arrival) -> Seen {
        if let Some(why) = &part.nowhere {
            return self.nowhere(why);
        }
        let wanted = Wanted::of(part, self.values, self.sent);
        let candidates = self.call.candidates(part);
        let before = self.control.as_ref().map(|control| control.candidates(part));
        if part.any {
            return self.any(&wanted, candidates, before);
        }
        let Some(place) = wanted.among(&candidates) else {
            let before = before.filter(|_| !self.is_replaced).unwrap_or_default();
            let explained = |marker: &str| self.explained(marker);
            return match wanted.missed(&candidates, &self.call.anywhere(), &before, self.label, explained) {
                Seen::Dropped { note } if !wanted.is_fresh() => self.moved(&wanted).unwrap_or(Seen::Dropped { note }),
                seen => seen,
            };
        };
        match before {
            _ if wanted.is_fresh() => Seen::Forwarded { place },
            Some(before) if wanted.among(&before).is_none() => Seen::Forwarded { place },
            Some(_) => {
                Seen::Void(Unclear::AlreadyThere, format!("the same value stands at `{place}` without the field"))
            }
            None => Seen::Void(
                Unclear::BaseRefused,
                "the request without the field did not reach the upstream, so nothing can be compared".to_owned(),
            ),
        }
    }

    /// Any value that is not there without the field.
    fn any(&self, wanted: &Wanted, candidates: Vec<Candidate>, before: Option<Vec<Candidate>>) -> Seen {
        let before = before.unwrap_or_default();
        let is_new = |(at, value): &&Candidate| {
            !before.iter().any(|(place, known)| place == at && json_search::same(known, value))
        };
        match candidates.iter().find(is_new) {
            Some((place, _)) => Seen::Forwarded { place: place.clone() },
            None => match wanted.missed(&[], &self.call.anywhere(), &[], self.label, |marker| self.explained(marker)) {
                Seen::Dropped { .. } => self.moved(wanted).unwrap_or(Seen::Dropped { note: None }),
                seen => seen,
            },
        }
    }

    /// How often a drawn value stands in the request outside of the field.
    fn explained(&self, marker: &str) -> usize {
        let own = self.sent.map_or(0, |sent| json_search::holding(sent, marker).len());
        json_search::holding(&self.request.body, marker).len().saturating_sub(own)
    }

    /// A value that nobody drew, under the same key elsewhere, and not without the field.
    fn moved(&self, wanted: &Wanted) -> Option<Seen> {
        let (place, value) = self.elsewhere()?;
        Some(Seen::Changed {
            from: wanted.shown.clone(),
            to: crate::gateway::outcome::matcher::shown(&text_of_all(&value)),
            place,
        })
    }

    /// Where the field's key stands with its value, wherever that is, and not without the field.
    fn elsewhere(&self) -> Option<Candidate> {
        let FieldAt::Body(path) = self.field else { return None };
        let (key, sent) = (path.last_key()?, self.sent?);
        let known =
            self.control.as_ref().map(|control| owned(json_search::of_key(&control.json, key))).unwrap_or_default();
        let found = owned(json_search::of_key(&self.call.json, key));
        found.into_iter().find(|(at, value)| {
            json_search::same(value, sent)
                && !known.iter().any(|(place, before)| place == at && json_search::same(before, value))
        })
    }

    /// The shape has no place for it: under its own name it is forwarded all the same, under another it was made into
    /// something else.
    fn nowhere(&self, why: &str) -> Seen {
        let sent = self.sent.map(text_of_all).unwrap_or_default();
        let own = self.elsewhere().map(|(at, _)| at).or_else(|| match self.field {
            FieldAt::Header(name) => {
                let there = self.call.headers(name);
                there.into_iter().find(|(_, value)| Some(value) == self.sent).map(|(at, _)| at)
            }
            FieldAt::Query(name) => query(&self.call.call.path, name).first().map(|(at, _)| at.clone()),
            FieldAt::Body(_) => None,
        });
        if let Some(place) = own {
            return Seen::Forwarded { place };
        }
        let anywhere = self.call.anywhere();
        let found = markers(&sent, self.values).into_iter().find_map(|marker| {
            let (place, value) = json_search::holds(&anywhere, &marker)?;
            Some((place, crate::gateway::outcome::matcher::shown(&text_of_all(value))))
        });
        match found {
            Some((place, to)) => Seen::Changed { from: crate::gateway::outcome::matcher::shown(&sent), to, place },
            None => Seen::Dropped { note: Some(why.to_owned()) },
        }
    }
}
