//! Observes what reached the upstream of a field that the client sent: [`observe`]. Pure.

use serde_json::{Value, json};

use crate::catalog::{ApiDialect, GatewayExpectation, GatewayFieldLocation, GatewayRow, GatewayRowSubject};
use crate::gateway::json_search;
use crate::gateway::json_search::equivalent;
use crate::gateway::outcome::matcher::{
    CandidateValue, ExpectedValue, GatewayObservation, find_headers, find_in_body, find_markers, shorten, value_to_text,
};
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::recording::gateway::UpstreamCall;
use crate::results::reason::{AbsenceNote, ReasonData};
use crate::variables::fill::VariableValues;
use crate::wire::bounded_json::parse_json;
use crate::wire::exchange::Request;

/// What one call shows of a row's field. `control` is a request without the field, or with another
/// value of it, and the call that it led to.
pub(crate) fn observe(
    row: &GatewayRow,
    dialect: ApiDialect,
    values: &VariableValues,
    request: &Request,
    control: Option<(&Request, &UpstreamCall)>,
    call: &UpstreamCall,
) -> GatewayObservation {
    let Some(field) = row.field_location() else { return GatewayObservation::dropped() };
    let label = values.get("label").map_or("", String::as_str);
    let sent = find_sent_value(&field, request, label);
    let unchanged = expect_same_location(&field);
    let expectation = match row.subject(dialect) {
        GatewayRowSubject::Request { expectation } => expectation.unwrap_or(&unchanged),
        GatewayRowSubject::Response { .. } | GatewayRowSubject::Behaviour(_) => &unchanged,
    };
    let probe = RequestProbe {
        field: &field,
        values,
        label,
        sent_value: sent.as_ref(),
        request,
        control_has_field: control.is_some_and(|(request, _)| find_sent_value(&field, request, "\u{0}").is_some()),
        control: control.map(|(_, call)| ParsedCall::from_call(call)),
        call: ParsedCall::from_call(call),
    };
    GatewayObservation::of_all_parts(expectation, |part| probe.observe_part(part))
}

/// The expectation that the field arrives where it was sent.
fn expect_same_location(field: &GatewayFieldLocation) -> GatewayExpectation {
    let mut expectation = GatewayExpectation::default();
    match field {
        GatewayFieldLocation::Body(path) => expectation.at = Some(path.clone()),
        GatewayFieldLocation::Header(name) => expectation.header = Some(name.clone()),
        GatewayFieldLocation::Query(name) => expectation.query = Some(name.clone()),
    }
    expectation
}

/// The value of the field in the request. Values with the label belong to the message with the
/// question, so others come first.
fn find_sent_value(field: &GatewayFieldLocation, request: &Request, label: &str) -> Option<Value> {
    match field {
        GatewayFieldLocation::Body(path) => {
            let found = json_search::find(path, &request.body);
            let without_label = found.iter().find(|(_, value)| !value_to_text(value).contains(label));
            without_label.or(found.first()).map(|(_, value)| (*value).clone())
        }
        GatewayFieldLocation::Header(name) => request.headers.get(name).map(|value| json!(value)),
        GatewayFieldLocation::Query(name) => {
            find_query_values(&request.path, name).first().map(|(_, value)| value.clone())
        }
    }
}

fn find_query_values(path: &str, name: &str) -> Vec<CandidateValue> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(key, value)| (format!("query {key}"), json!(value))).collect()
}

/// An upstream call with its parsed body.
struct ParsedCall<'a> {
    call: &'a UpstreamCall,
    json: Value,
}

impl<'a> ParsedCall<'a> {
    fn from_call(call: &'a UpstreamCall) -> Self {
        Self { call, json: parse_json(&String::from_utf8_lossy(&call.body.0)).unwrap_or(Value::Null) }
    }

    /// The values in the places that an expectation names.
    fn find_candidates(&self, part: &GatewayExpectation) -> Vec<CandidateValue> {
        if let Some(name) = &part.header {
            return find_headers(&self.call.headers, name);
        }
        if let Some(name) = &part.query {
            return find_query_values(&self.call.path, name);
        }
        find_in_body(part, &self.json)
    }

    /// The values of a key, at any depth.
    fn find_key(&self, key: &str) -> Vec<CandidateValue> {
        json_search::find_key(&self.json, key).into_iter().map(|(at, value)| (at, value.clone())).collect()
    }

    /// Everything in the call, to search for a random value in any place.
    fn searchable_content(&self) -> Value {
        let Some(mut all) = self.json.as_object().cloned() else { return json!({}) };
        let headers = self.call.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        all.insert("(headers)".to_owned(), headers);
        all.insert("(path)".to_owned(), json!(self.call.path));
        Value::Object(all)
    }
}

/// A field, and both sides of one request with it.
struct RequestProbe<'a> {
    field: &'a GatewayFieldLocation,
    values: &'a VariableValues,
    label: &'a str,
    sent_value: Option<&'a Value>,
    request: &'a Request,
    /// The control has the field, too, with another value. Whatever arrives is then a change.
    control_has_field: bool,
    control: Option<ParsedCall<'a>>,
    call: ParsedCall<'a>,
}

impl RequestProbe<'_> {
    fn observe_part(&self, part: &GatewayExpectation) -> GatewayObservation {
        if let Some(why) = &part.no_equivalent {
            return self.observe_unmapped(why);
        }
        let expected = ExpectedValue::new(part, self.values, self.sent_value);
        let candidates = self.call.find_candidates(part);
        let before = self.control.as_ref().map(|control| control.find_candidates(part));
        if part.any {
            return self.observe_any(&expected, &candidates, &before.unwrap_or_default());
        }
        let Some(place) = expected.find_in(&candidates) else {
            let before = before.filter(|_| !self.control_has_field).unwrap_or_default();
            return match self.explain_miss(&expected, &candidates, &before) {
                GatewayObservation::Dropped { note } if !expected.is_unique() => {
                    self.observe_moved(&expected).unwrap_or(GatewayObservation::Dropped { note })
                }
                observation => observation,
            };
        };
        match before {
            _ if expected.is_unique() => GatewayObservation::Forwarded { place },
            Some(before) if expected.find_in(&before).is_none() => GatewayObservation::Forwarded { place },
            Some(_) => GatewayObservation::Undetermined(
                UndeterminedReason::AlreadyThere,
                ReasonData::SameWithoutField { place },
            ),
            None => {
                GatewayObservation::Undetermined(UndeterminedReason::BaseRefused, ReasonData::ControlNeverArrived {})
            }
        }
    }

    /// Accepts any value that is not there without the field.
    fn observe_any(
        &self,
        expected: &ExpectedValue,
        candidates: &[CandidateValue],
        before: &[CandidateValue],
    ) -> GatewayObservation {
        if let Some((place, _)) = candidates.iter().find(|candidate| is_new(candidate, before)) {
            return GatewayObservation::forwarded(place);
        }
        match self.explain_miss(expected, &[], &[]) {
            GatewayObservation::Dropped { .. } => self.observe_moved(expected).unwrap_or(GatewayObservation::dropped()),
            observation => observation,
        }
    }

    fn explain_miss(
        &self,
        expected: &ExpectedValue,
        candidates: &[CandidateValue],
        before: &[CandidateValue],
    ) -> GatewayObservation {
        let anywhere = self.call.searchable_content();
        expected.explain_miss(candidates, &anywhere, before, self.label, |marker| self.count_elsewhere(marker))
    }

    /// How often a random value occurs in the request outside of the field.
    fn count_elsewhere(&self, marker: &str) -> usize {
        let in_field = self.sent_value.map_or(0, |sent| json_search::find_all_text(sent, marker).len());
        json_search::find_all_text(&self.request.body, marker).len().saturating_sub(in_field)
    }

    /// The field with its value in another place, if the value is not random.
    fn observe_moved(&self, expected: &ExpectedValue) -> Option<GatewayObservation> {
        let (place, value) = self.find_elsewhere()?;
        let to = shorten(&value_to_text(&value));
        Some(GatewayObservation::changed(&expected.display_text, to, place))
    }

    /// The key of the field with its value, at any depth, unless it is there without the field.
    fn find_elsewhere(&self) -> Option<CandidateValue> {
        let GatewayFieldLocation::Body(path) = self.field else { return None };
        let (key, sent) = (path.last_key()?, self.sent_value?);
        let before = self.control.as_ref().map(|control| control.find_key(key)).unwrap_or_default();
        let found = self.call.find_key(key);
        found.into_iter().find(|candidate| equivalent(&candidate.1, sent) && is_new(candidate, &before))
    }

    /// A field without an equivalent: forwarded under its own name, changed under another name, or
    /// dropped.
    fn observe_unmapped(&self, why: &str) -> GatewayObservation {
        let same_name = match self.field {
            GatewayFieldLocation::Body(_) => self.find_elsewhere(),
            GatewayFieldLocation::Header(name) => {
                let found = find_headers(&self.call.call.headers, name);
                found.into_iter().find(|(_, value)| Some(value) == self.sent_value)
            }
            GatewayFieldLocation::Query(name) => find_query_values(&self.call.call.path, name).into_iter().next(),
        };
        if let Some((place, _)) = same_name {
            return GatewayObservation::Forwarded { place };
        }
        let sent = self.sent_value.map(value_to_text).unwrap_or_default();
        let anywhere = self.call.searchable_content();
        let markers = find_markers(&sent, self.values);
        match markers.iter().find_map(|marker| json_search::find_text(&anywhere, marker)) {
            Some((place, value)) => GatewayObservation::changed(shorten(&sent), shorten(&value_to_text(value)), place),
            None => GatewayObservation::Dropped { note: AbsenceNote::NoEquivalent { why: why.to_owned() } },
        }
    }
}

/// True if no candidate from before has the same place and value.
fn is_new((at, value): &CandidateValue, before: &[CandidateValue]) -> bool {
    !before.iter().any(|(place, known)| place == at && equivalent(known, value))
}
