//! The server without its network: a request in, an answer or a refusal out.
//!
//! The stages, in order: who asks, under which contract, is it JSON, does it carry what is not supported, is it
//! valid, and then, without what is ignored, what the model says to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::added::{self, Added};
use super::answer::Answer;
use super::behaviour::Behaviour;
use super::cache::PromptCache;
use super::check::{Endpoint, Rules};
use super::draw::{Draws, Fate};
use super::filter::Filter;
use super::ledger::{Acts, Ledger};
use super::path::clip;
use super::refusal::{Kind, Refusal};
use super::row::Row;
use super::signature::Signer;
use super::view::View;
use super::{gate, presence, reader, strip};

/// A simulated server, with what it remembers.
#[derive(Debug)]
pub(super) struct Service {
    pub behaviour: Behaviour,
    pub fate: Fate,
    pub ledger: Ledger,
    filter: Filter,
    added: Vec<Added>,
    signer: Signer,
    cache: PromptCache,
    /// How many answers the model has given: the clock of its drift.
    answers: AtomicU64,
}

/// What a request is answered with.
#[derive(Debug)]
pub(super) enum Reply {
    Json(Value),
    /// A message that goes out as an event stream.
    Stream(Value),
}

/// What a path leads to, below whatever base path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Messages(Endpoint),
    Models,
    Model(String),
}

impl Route {
    /// Where a request leads; a path that leads nowhere is a 404, a wrong method a 405.
    pub fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        let (route, allowed) = if path.ends_with("/v1/messages") {
            (Self::Messages(Endpoint::Messages), Method::POST)
        } else if path.ends_with("/v1/messages/count_tokens") {
            (Self::Messages(Endpoint::CountTokens), Method::POST)
        } else if path.ends_with("/v1/models") {
            (Self::Models, Method::GET)
        } else if let Some((_, id)) = path.rsplit_once("/v1/models/").filter(|(_, id)| !id.is_empty()) {
            (Self::Model(id.to_owned()), Method::GET)
        } else {
            return Err(Refusal::new(Kind::NotFound, format!("nothing is found at {}", clip(path))));
        };
        if *method != allowed {
            return Err(Refusal::new(Kind::Method, format!("{method} is not allowed here, use {allowed}")));
        }
        Ok(route)
    }
}

impl Service {
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            fate: Fate::new(behaviour.seed),
            ledger: Ledger::default(),
            filter: Filter::new(&behaviour.statuses),
            added: behaviour.added(),
            signer: Signer::new(behaviour.seed),
            cache: PromptCache::default(),
            answers: AtomicU64::new(0),
            behaviour,
        }
    }

    /// Answers a request, and says which rows' statuses were brought to bear on it.
    pub fn answer(
        &self,
        route: &Route,
        headers: &HeaderMap,
        body: &[u8],
        draws: &mut Draws,
        acts: &mut Acts,
    ) -> Result<Reply, Refusal> {
        for (name, row) in [("authorization", Row::Authorization), ("x-api-key", Row::XApiKey)] {
            if headers.contains_key(name) {
                acts.note(row.id());
            }
        }
        gate::credentials(headers, &self.filter, &self.behaviour)?;
        let endpoint = match route {
            Route::Messages(endpoint) => *endpoint,
            Route::Models | Route::Model(_) => {
                gate::contract(headers, &self.filter)?;
                return self.catalogue(route);
            }
        };
        let (mut headers, mut read) = (headers.clone(), Vec::new());
        let body = parse(body).and_then(|mut body| {
            self.added.iter().try_for_each(|added| added.apply(&mut headers, &mut body, &mut read, acts))?;
            Ok(body)
        });
        let contract = gate::contract(&headers, &self.filter)?;
        let body = body?;
        self.refuse_unsupported(&headers, &body, acts)?;
        let rules = Rules {
            behaviour: &self.behaviour,
            filter: &self.filter,
            signer: &self.signer,
            contract: &contract,
            endpoint,
        };
        let carried = presence::occurrences(&headers, &body, &|_| true);
        // What is honoured is looked at by the checks; what is ignored is acted on only behind them.
        self.note(&carried, acts, |row| !self.filter.ignores(row));
        rules.check(&body)?;
        self.note(&carried, acts, |row| self.filter.ignores(row));
        let mut body = strip::effective(body, &self.filter);
        added::tell(&mut body, &read);
        let view = View::of(&body);
        match endpoint {
            Endpoint::CountTokens => Ok(Reply::Json(json!({ "input_tokens": view.tokens() }))),
            Endpoint::Messages => Ok(self.generate(&view, draws)),
        }
    }

    fn catalogue(&self, route: &Route) -> Result<Reply, Refusal> {
        match route {
            Route::Model(id) if *id == self.behaviour.model => Ok(Reply::Json(self.model())),
            Route::Model(id) => Err(Refusal::new(Kind::NotFound, format!("model: no model '{}' was found", clip(id)))),
            Route::Models | Route::Messages(_) => Ok(Reply::Json(self.models())),
        }
    }

    fn refuse_unsupported(
        &self,
        headers: &HeaderMap,
        body: &Map<String, Value>,
        acts: &mut Acts,
    ) -> Result<(), Refusal> {
        let found = presence::occurrences(headers, body, &|row| self.filter.refuses(row));
        if found.is_empty() {
            return Ok(());
        }
        self.note(&found, acts, |_| true);
        let parts: Vec<String> =
            found.iter().map(|(_, path)| format!("{path}: not supported by this endpoint")).collect();
        Err(Refusal::new(Kind::InvalidRequest, parts.join("; ")))
    }

    /// Notes those of the carried rows that are meant. Two rows are bounds of a field and are met wherever it is.
    fn note(&self, carried: &[(Row, String)], acts: &mut Acts, meant: impl Fn(Row) -> bool) {
        for (row, _) in carried {
            let bound = match row {
                Row::Temperature => Some(Row::TemperatureRange),
                Row::MaxTokens => Some(Row::MaxOutputTokens),
                _ => None,
            };
            for row in std::iter::once(*row).chain(bound).filter(|row| meant(*row)) {
                acts.note(row.id());
            }
        }
    }

    fn generate(&self, view: &View, draws: &mut Draws) -> Reply {
        let before = self.answers.fetch_add(1, Ordering::Relaxed);
        let obeys = !draws.chance(self.behaviour.knobs.disobedience_after(before));
        let reply = reader::read(view, draws, obeys);
        let charge = self.cache.charge(view, Instant::now());
        let answer = Answer::of(view, &reply, &self.behaviour.model, charge, &self.signer, draws);
        if view.stream { Reply::Stream(answer.message()) } else { Reply::Json(answer.message()) }
    }

    fn model(&self) -> Value {
        json!({
            "type": "model",
            "id": self.behaviour.model,
            "display_name": self.behaviour.model,
            "created_at": "2025-01-01T00:00:00Z",
            "max_tokens": self.behaviour.max_output_tokens,
        })
    }

    fn models(&self) -> Value {
        let id = &self.behaviour.model;
        json!({ "data": [self.model()], "has_more": false, "first_id": id, "last_id": id })
    }
}

fn parse(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Refusal::new(Kind::InvalidRequest, "request body: expected an object")),
        Err(fault) => Err(Refusal::new(Kind::InvalidRequest, format!("request body: not valid JSON: {fault}"))),
    }
}

#[cfg(test)]
mod tests;
