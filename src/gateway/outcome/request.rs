//! What reached the upstream of a field that a client sent. Pure.

use serde_json::{Value, json};

use crate::catalog::{ApiDialect, GatewayExpectation, GatewayFieldLocation, GatewayRow, GatewayRowSubject, JsonPath};
use crate::gateway::json_search;
use crate::gateway::outcome::matcher::{
    CandidateValue, ExpectedValue, GatewayObservation, find_markers, value_to_text,
};
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::recording::gateway::UpstreamCall;
use crate::variables::fill::VariableValues;
use crate::wire::exchange::Request;

/// What one call shows of a row's field. `control` is a request without the field, or with another value in its place,
/// and the call that it led to.
pub(crate) fn observe(
    row: &GatewayRow,
    shape: ApiDialect,
    values: &VariableValues,
    request: &Request,
    control: Option<(&Request, &UpstreamCall)>,
    call: &UpstreamCall,
) -> GatewayObservation {
    let Some(field) = row.field_location() else { return GatewayObservation::Dropped { note: None } };
    let label = values.get("label").map_or("", String::as_str);
    let sent = find_sent_value(&field, request, label);
    let same = expect_same_location(&field);
    let arrival = match row.subject(shape) {
        GatewayRowSubject::Request { expectation: arrives } => arrives.unwrap_or(&same),
        GatewayRowSubject::Response { .. } | GatewayRowSubject::Behaviour(_) => &same,
    };
    let looked = RequestProbe {
        field: &field,
        values,
        label,
        sent_value: sent.as_ref(),
        request,
        control_has_field: control.is_some_and(|(request, _)| find_sent_value(&field, request, "\u{0}").is_some()),
        control: control.map(|(_, call)| ParsedCall::from_call(call)),
        call: ParsedCall::from_call(call),
    };
    let mut first = None;
    for part in std::iter::once(arrival).chain(&arrival.also) {
        match looked.observe_part(part) {
            seen @ GatewayObservation::Forwarded { .. } => first = first.or(Some(seen)),
            other => return other,
        }
    }
    first.unwrap_or(GatewayObservation::Dropped { note: None })
}

/// Where it was sent, as it was.
fn expect_same_location(field: &GatewayFieldLocation) -> GatewayExpectation {
    match field {
        GatewayFieldLocation::Body(path) => {
            GatewayExpectation { at: Some(path.clone()), ..GatewayExpectation::default() }
        }
        GatewayFieldLocation::Header(name) => {
            GatewayExpectation { header: Some(name.clone()), ..GatewayExpectation::default() }
        }
        GatewayFieldLocation::Query(name) => {
            GatewayExpectation { query: Some(name.clone()), ..GatewayExpectation::default() }
        }
    }
}

/// The value that the request carries at a place. The question stands in the request as well, and is not meant.
fn find_sent_value(field: &GatewayFieldLocation, request: &Request, label: &str) -> Option<Value> {
    match field {
        GatewayFieldLocation::Body(path) => {
            let found = json_search::find(path, &request.body);
            let meant = found.iter().find(|(_, value)| !value_to_text(value).contains(label)).or(found.first());
            meant.map(|(_, value)| (*value).clone())
        }
        GatewayFieldLocation::Header(name) => request.headers.get(name).map(|value| json!(value)),
        GatewayFieldLocation::Query(name) => {
            find_query_values(&request.path, name).first().map(|(_, value)| value.clone())
        }
    }
}

/// A call, read.
struct ParsedCall<'a> {
    call: &'a UpstreamCall,
    json: Value,
}

impl<'a> ParsedCall<'a> {
    fn from_call(call: &'a UpstreamCall) -> Self {
        Self { call, json: serde_json::from_slice(&call.body.0).unwrap_or(Value::Null) }
    }

    /// What stands at the places of a part.
    fn find_candidates(&self, part: &GatewayExpectation) -> Vec<CandidateValue> {
        if let Some(name) = &part.header {
            return self.find_headers(name);
        }
        if let Some(name) = &part.query {
            return find_query_values(&self.call.path, name);
        }
        let paths: Vec<&JsonPath> = part.at.iter().chain(&part.or).collect();
        paths.into_iter().flat_map(|path| clone_values(json_search::find(path, &self.json))).collect()
    }

    fn find_headers(&self, name: &str) -> Vec<CandidateValue> {
        let named = self.call.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(n, value)| (format!("header {n}"), json!(value))).collect()
    }

    /// Everything, for who looks for a marker wherever it is.
    fn searchable_content(&self) -> Value {
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

fn clone_values(found: Vec<json_search::LocatedValue<'_>>) -> Vec<CandidateValue> {
    found.into_iter().map(|(at, value)| (at, value.clone())).collect()
}

fn find_query_values(path: &str, name: &str) -> Vec<CandidateValue> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(key, value)| (format!("query {key}"), json!(value))).collect()
}

/// What is looked for, and in what.
struct RequestProbe<'a> {
    field: &'a GatewayFieldLocation,
    values: &'a VariableValues,
    label: &'a str,
    sent_value: Option<&'a Value>,
    request: &'a Request,
    /// The control carries the field as well, with another value: whatever stands there in the end is a change.
    control_has_field: bool,
    control: Option<ParsedCall<'a>>,
    call: ParsedCall<'a>,
}

impl RequestProbe<'_> {
    fn observe_part(&self, part: &GatewayExpectation) -> GatewayObservation {
        if let Some(why) = &part.no_equivalent {
            return self.observe_unmapped(why);
        }
        let wanted = ExpectedValue::new(part, self.values, self.sent_value);
        let candidates = self.call.find_candidates(part);
        let before = self.control.as_ref().map(|control| control.find_candidates(part));
        if part.any {
            return self.observe_any(&wanted, candidates, before);
        }
        let Some(place) = wanted.find_in(&candidates) else {
            let before = before.filter(|_| !self.control_has_field).unwrap_or_default();
            let explained = |marker: &str| self.count_elsewhere(marker);
            return match wanted.explain_miss(
                &candidates,
                &self.call.searchable_content(),
                &before,
                self.label,
                explained,
            ) {
                GatewayObservation::Dropped { note } if !wanted.is_unique() => {
                    self.observe_moved(&wanted).unwrap_or(GatewayObservation::Dropped { note })
                }
                seen => seen,
            };
        };
        match before {
            _ if wanted.is_unique() => GatewayObservation::Forwarded { place },
            Some(before) if wanted.find_in(&before).is_none() => GatewayObservation::Forwarded { place },
            Some(_) => GatewayObservation::Undetermined(
                UndeterminedReason::AlreadyThere,
                format!("the same value stands at `{place}` without the field"),
            ),
            None => GatewayObservation::Undetermined(
                UndeterminedReason::BaseRefused,
                "the request without the field did not reach the upstream, so nothing can be compared".to_owned(),
            ),
        }
    }

    /// Any value that is not there without the field.
    fn observe_any(
        &self,
        wanted: &ExpectedValue,
        candidates: Vec<CandidateValue>,
        before: Option<Vec<CandidateValue>>,
    ) -> GatewayObservation {
        let before = before.unwrap_or_default();
        let is_new = |(at, value): &&CandidateValue| {
            !before.iter().any(|(place, known)| place == at && json_search::equivalent(known, value))
        };
        match candidates.iter().find(is_new) {
            Some((place, _)) => GatewayObservation::Forwarded { place: place.clone() },
            None => match wanted.explain_miss(&[], &self.call.searchable_content(), &[], self.label, |marker| {
                self.count_elsewhere(marker)
            }) {
                GatewayObservation::Dropped { .. } => {
                    self.observe_moved(wanted).unwrap_or(GatewayObservation::Dropped { note: None })
                }
                seen => seen,
            },
        }
    }

    /// How often a drawn value stands in the request outside of the field.
    fn count_elsewhere(&self, marker: &str) -> usize {
        let own = self.sent_value.map_or(0, |sent| json_search::find_all_text(sent, marker).len());
        json_search::find_all_text(&self.request.body, marker).len().saturating_sub(own)
    }

    /// A value that nobody drew, under the same key elsewhere, and not without the field.
    fn observe_moved(&self, wanted: &ExpectedValue) -> Option<GatewayObservation> {
        let (place, value) = self.find_elsewhere()?;
        Some(GatewayObservation::Changed {
            from: wanted.display_text.clone(),
            to: crate::gateway::outcome::matcher::shorten(&value_to_text(&value)),
            place,
        })
    }

    /// Where the field's key stands with its value, wherever that is, and not without the field.
    fn find_elsewhere(&self) -> Option<CandidateValue> {
        let GatewayFieldLocation::Body(path) = self.field else { return None };
        let (key, sent) = (path.last_key()?, self.sent_value?);
        let known = self
            .control
            .as_ref()
            .map(|control| clone_values(json_search::find_key(&control.json, key)))
            .unwrap_or_default();
        let found = clone_values(json_search::find_key(&self.call.json, key));
        found.into_iter().find(|(at, value)| {
            json_search::equivalent(value, sent)
                && !known.iter().any(|(place, before)| place == at && json_search::equivalent(before, value))
        })
    }

    /// The shape has no place for it: under its own name it is forwarded all the same, under another it was made into
    /// something else.
    fn observe_unmapped(&self, why: &str) -> GatewayObservation {
        let sent = self.sent_value.map(value_to_text).unwrap_or_default();
        let own = self.find_elsewhere().map(|(at, _)| at).or_else(|| match self.field {
            GatewayFieldLocation::Header(name) => {
                let there = self.call.find_headers(name);
                there.into_iter().find(|(_, value)| Some(value) == self.sent_value).map(|(at, _)| at)
            }
            GatewayFieldLocation::Query(name) => {
                find_query_values(&self.call.call.path, name).first().map(|(at, _)| at.clone())
            }
            GatewayFieldLocation::Body(_) => None,
        });
        if let Some(place) = own {
            return GatewayObservation::Forwarded { place };
        }
        let anywhere = self.call.searchable_content();
        let found = find_markers(&sent, self.values).into_iter().find_map(|marker| {
            let (place, value) = json_search::find_text(&anywhere, &marker)?;
            Some((place, crate::gateway::outcome::matcher::shorten(&value_to_text(value))))
        });
        match found {
            Some((place, to)) => {
                GatewayObservation::Changed { from: crate::gateway::outcome::matcher::shorten(&sent), to, place }
            }
            None => GatewayObservation::Dropped { note: Some(why.to_owned()) },
        }
    }
}
