//! The server without its network: a request in, an answer or a refusal out.
//!
//! The stages, in order: who asks, under which contract, is it JSON, does it carry what is not supported, is it
//! valid, and then, without what is ignored, what the model says to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};

use crate::simulator::activity_log::{Acts, Ledger};
use crate::simulator::api_error::{Kind, Refusal};
use crate::simulator::config::Behaviour;
use crate::simulator::custom_field::Added;
use crate::simulator::fault::{ConductFault, prompt, response};
use crate::simulator::fields::row::Row;
use crate::simulator::fields::{find, remove};
use crate::simulator::prompt::View;
use crate::simulator::prompt_cache::PromptCache;
use crate::simulator::rate_limit::Quota;
use crate::simulator::response::Answer;
use crate::simulator::rng::{Draws, Fate};
use crate::simulator::route::Route;
use crate::simulator::support::Filter;
use crate::simulator::thinking_signature::Signer;
use crate::simulator::validate::{Endpoint, Rules};
use crate::simulator::{custom_field, headers, model, models};

/// A simulated server, with what it remembers.
#[derive(Debug)]
pub(super) struct Service {
    pub behaviour: Behaviour,
    pub fate: Fate,
    pub ledger: Ledger,
    pub quota: Quota,
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

impl Service {
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            fate: Fate::new(behaviour.seed),
            ledger: Ledger::default(),
            quota: Quota::new(&behaviour.knobs, Instant::now()),
            filter: Filter::new(&behaviour.statuses),
            added: behaviour.added(),
            signer: Signer::new(behaviour.seed),
            cache: PromptCache::default(),
            answers: AtomicU64::new(0),
            behaviour,
        }
    }

    /// Where a request leads.
    pub fn route(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Route, Refusal> {
        if self.behaviour.commits(ConductFault::AuthBeforeRouting) {
            headers::credentials(headers, &self.filter, &self.behaviour)?;
        }
        Route::of(method, uri, &self.behaviour)
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
        self.attend(route, headers, body, draws, acts).map_err(|refusal| refusal.told_by(&self.behaviour))
    }

    fn attend(
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
        if *route == Route::Nothing {
            return Ok(Reply::Json(json!({ "status": "ok" })));
        }
        headers::credentials(headers, &self.filter, &self.behaviour)?;
        let endpoint = match route {
            Route::Messages(endpoint) => *endpoint,
            Route::Models(_) | Route::Model(_) | Route::Nothing => {
                headers::contract(headers, &self.filter, &self.behaviour)?;
                return self.catalogue(route).map(Reply::Json);
            }
        };
        let (mut headers, mut read) = (headers.clone(), Vec::new());
        let body = parse(body).and_then(|mut body| {
            self.added.iter().try_for_each(|added| added.apply(&mut headers, &mut body, &mut read, acts))?;
            Ok(body)
        });
        let contract = headers::contract(&headers, &self.filter, &self.behaviour)?;
        let body = body?;
        self.refuse_unsupported(&headers, &body, acts)?;
        let rules = Rules {
            behaviour: &self.behaviour,
            filter: &self.filter,
            signer: &self.signer,
            contract: &contract,
            endpoint,
        };
        let carried = find::occurrences(&headers, &body, &|_| true);
        // What is honoured is looked at by the checks; what is ignored is acted on only behind them.
        self.note(&carried, acts, |row| !self.filter.ignores(row));
        rules.check(&body)?;
        self.note(&carried, acts, |row| self.filter.ignores(row));
        let mut body = remove::effective(body, &self.filter);
        custom_field::tell(&mut body, &read);
        prompt::keep(&mut body, endpoint, &self.behaviour);
        let view = View::of(&body);
        match endpoint {
            Endpoint::CountTokens => {
                let counted = response::count(view.tokens(), &self.behaviour);
                Ok(Reply::Json(json!({ "input_tokens": counted })))
            }
            Endpoint::Messages => {
                self.fit(&view)?;
                Ok(self.generate(&view, draws))
            }
        }
    }

    /// Refuses a prompt that is larger than the context window.
    fn fit(&self, view: &View) -> Result<(), Refusal> {
        let (tokens, most) = (view.tokens(), u64::from(self.behaviour.context_tokens));
        if tokens <= most || self.behaviour.commits(ConductFault::ErrorsOverflowTruncates) {
            return Ok(());
        }
        if self.behaviour.commits(ConductFault::ErrorsOverflow500) {
            return Err(Refusal::crash("the input does not fit"));
        }
        let what = match self.behaviour.commits(ConductFault::ErrorsOverflowWording) {
            true => "the request could not be taken".to_owned(),
            false => format!("prompt is too long: {tokens} tokens > {most} maximum"),
        };
        Err(Refusal::new(Kind::InvalidRequest, what))
    }

    fn catalogue(&self, route: &Route) -> Result<Value, Refusal> {
        match route {
            Route::Models(page) => models::list(&self.behaviour, page),
            Route::Model(id) => models::one(&self.behaviour, id),
            Route::Messages(_) | Route::Nothing => Ok(Value::Null),
        }
    }

    fn refuse_unsupported(
        &self,
        headers: &HeaderMap,
        body: &Map<String, Value>,
        acts: &mut Acts,
    ) -> Result<(), Refusal> {
        let found = find::occurrences(headers, body, &|row| self.filter.refuses(row));
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

    /// Takes a request as having come before, so that what is left to chance goes on from there.
    pub fn recall(&self, path: &str, body: &[u8], was_answered: bool) {
        self.fate.of(path, body);
        if was_answered {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn generate(&self, view: &View, draws: &mut Draws) -> Reply {
        let before = self.answers.fetch_add(1, Ordering::Relaxed);
        let obeys = !draws.chance(self.behaviour.knobs.disobedience_after(before));
        let reply = model::read(view, draws, obeys);
        let charge = self.cache.charge(view, Instant::now());
        let mut answer = Answer::of(view, &reply, &self.behaviour.model, charge, &self.signer, draws);
        response::answer(&mut answer, view, &self.behaviour);
        if view.stream { Reply::Stream(answer.message()) } else { Reply::Json(answer.message()) }
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
