//! The server without its network: a request in, an answer or a refusal out.
//!
//! The stages, in order: who asks, under which contract, is it JSON, does it carry what is not supported, is it
//! valid, and then, without what is ignored, what the model says to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};

use crate::simulator::activity_log::{ActivityLog, RequestActivity};
use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::custom_field::CustomField;
use crate::simulator::fault::{BehaviourFault, prompt, response};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::fields::{find, remove};
use crate::simulator::prompt::ModelPrompt;
use crate::simulator::prompt_cache::PromptCache;
use crate::simulator::rate_limit::SimulatedRateLimits;
use crate::simulator::response::ResponseDraft;
use crate::simulator::rng::{RequestRng, RngSource};
use crate::simulator::route::SimulatorRoute;
use crate::simulator::support::SupportTable;
use crate::simulator::thinking_signature::ThinkingSigner;
use crate::simulator::validate::{MessagesRoute, RequestValidator};
use crate::simulator::{custom_field, headers, model, models};

/// A simulated server, with what it remembers.
#[derive(Debug)]
pub(super) struct RequestPipeline {
    pub config: SimulatorConfig,
    pub rng_source: RngSource,
    pub activity_log: ActivityLog,
    pub rate_limits: SimulatedRateLimits,
    support: SupportTable,
    custom_fields: Vec<CustomField>,
    signer: ThinkingSigner,
    cache: PromptCache,
    /// How many answers the model has given: the clock of its drift.
    response_count: AtomicU64,
}

/// What a request is answered with.
#[derive(Debug)]
pub(super) enum PipelineResponse {
    Json(Value),
    /// A message that goes out as an event stream.
    Stream(Value),
}

impl RequestPipeline {
    pub fn new(behaviour: SimulatorConfig) -> Self {
        Self {
            rng_source: RngSource::new(behaviour.seed),
            activity_log: ActivityLog::default(),
            rate_limits: SimulatedRateLimits::new(&behaviour.impairments, Instant::now()),
            support: SupportTable::new(&behaviour.statuses),
            custom_fields: behaviour.custom_fields(),
            signer: ThinkingSigner::new(behaviour.seed),
            cache: PromptCache::default(),
            response_count: AtomicU64::new(0),
            config: behaviour,
        }
    }

    /// Where a request leads.
    pub fn resolve_route(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<SimulatorRoute, ApiError> {
        if self.config.has_fault(BehaviourFault::AuthBeforeRouting) {
            headers::authenticate(headers, &self.support, &self.config)?;
        }
        SimulatorRoute::resolve(method, uri, &self.config)
    }

    /// Answers a request, and says which rows' statuses were brought to bear on it.
    pub fn respond(
        &self,
        route: &SimulatorRoute,
        headers: &HeaderMap,
        body: &[u8],
        draws: &mut RequestRng,
        acts: &mut RequestActivity,
    ) -> Result<PipelineResponse, ApiError> {
        self.handle(route, headers, body, draws, acts).map_err(|refusal| refusal.with_faults(&self.config))
    }

    fn handle(
        &self,
        route: &SimulatorRoute,
        headers: &HeaderMap,
        body: &[u8],
        draws: &mut RequestRng,
        acts: &mut RequestActivity,
    ) -> Result<PipelineResponse, ApiError> {
        for (name, row) in [("authorization", SupportRow::Authorization), ("x-api-key", SupportRow::XApiKey)] {
            if headers.contains_key(name) {
                acts.record(row.id());
            }
        }
        if *route == SimulatorRoute::Health {
            return Ok(PipelineResponse::Json(json!({ "status": "ok" })));
        }
        headers::authenticate(headers, &self.support, &self.config)?;
        let endpoint = match route {
            SimulatorRoute::Messages(endpoint) => *endpoint,
            SimulatorRoute::Models(_) | SimulatorRoute::Model(_) | SimulatorRoute::Health => {
                headers::parse_protocol_headers(headers, &self.support, &self.config)?;
                return self.list_models(route).map(PipelineResponse::Json);
            }
        };
        let (mut headers, mut read) = (headers.clone(), Vec::new());
        let body = parse_body(body).and_then(|mut body| {
            self.custom_fields.iter().try_for_each(|added| added.apply(&mut headers, &mut body, &mut read, acts))?;
            Ok(body)
        });
        let contract = headers::parse_protocol_headers(&headers, &self.support, &self.config)?;
        let body = body?;
        self.reject_unsupported(&headers, &body, acts)?;
        let rules = RequestValidator {
            config: &self.config,
            support: &self.support,
            signer: &self.signer,
            protocol: &contract,
            endpoint,
        };
        let carried = find::find_rows(&headers, &body, &|_| true);
        // What is honoured is looked at by the checks; what is ignored is acted on only behind them.
        self.record_activity(&carried, acts, |row| !self.support.ignores(row));
        rules.validate(&body)?;
        self.record_activity(&carried, acts, |row| self.support.ignores(row));
        let mut body = remove::without_ignored(body, &self.support);
        custom_field::inject_texts(&mut body, &read);
        prompt::apply(&mut body, endpoint, &self.config);
        let view = ModelPrompt::from_body(&body);
        match endpoint {
            MessagesRoute::CountTokens => {
                let counted = response::alter_token_count(view.tokens(), &self.config);
                Ok(PipelineResponse::Json(json!({ "input_tokens": counted })))
            }
            MessagesRoute::Messages => {
                self.validate_context_window(&view)?;
                Ok(self.generate_response(&view, draws))
            }
        }
    }

    /// Refuses a prompt that is larger than the context window.
    fn validate_context_window(&self, view: &ModelPrompt) -> Result<(), ApiError> {
        let (tokens, most) = (view.tokens(), u64::from(self.config.context_tokens));
        if tokens <= most || self.config.has_fault(BehaviourFault::ErrorsOverflowTruncates) {
            return Ok(());
        }
        if self.config.has_fault(BehaviourFault::ErrorsOverflow500) {
            return Err(ApiError::internal_error("the input does not fit"));
        }
        let what = match self.config.has_fault(BehaviourFault::ErrorsOverflowWording) {
            true => "the request could not be taken".to_owned(),
            false => format!("prompt is too long: {tokens} tokens > {most} maximum"),
        };
        Err(ApiError::new(ApiErrorKind::InvalidRequest, what))
    }

    fn list_models(&self, route: &SimulatorRoute) -> Result<Value, ApiError> {
        match route {
            SimulatorRoute::Models(page) => models::list_models(&self.config, page),
            SimulatorRoute::Model(id) => models::get_model(&self.config, id),
            SimulatorRoute::Messages(_) | SimulatorRoute::Health => Ok(Value::Null),
        }
    }

    fn reject_unsupported(
        &self,
        headers: &HeaderMap,
        body: &Map<String, Value>,
        acts: &mut RequestActivity,
    ) -> Result<(), ApiError> {
        let found = find::find_rows(headers, body, &|row| self.support.rejects(row));
        if found.is_empty() {
            return Ok(());
        }
        self.record_activity(&found, acts, |_| true);
        let parts: Vec<String> =
            found.iter().map(|(_, path)| format!("{path}: not supported by this endpoint")).collect();
        Err(ApiError::new(ApiErrorKind::InvalidRequest, parts.join("; ")))
    }

    /// Notes those of the carried rows that are meant. Two rows are bounds of a field and are met wherever it is.
    fn record_activity(
        &self,
        carried: &[(SupportRow, String)],
        acts: &mut RequestActivity,
        meant: impl Fn(SupportRow) -> bool,
    ) {
        for (row, _) in carried {
            let bound = match row {
                SupportRow::Temperature => Some(SupportRow::TemperatureRange),
                SupportRow::MaxTokens => Some(SupportRow::MaxOutputTokens),
                _ => None,
            };
            for row in std::iter::once(*row).chain(bound).filter(|row| meant(*row)) {
                acts.record(row.id());
            }
        }
    }

    /// Takes a request as having come before, so that what is left to chance goes on from there.
    pub fn fast_forward(&self, path: &str, body: &[u8], was_answered: bool) {
        self.rng_source.request_rng(path, body);
        if was_answered {
            self.response_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn generate_response(&self, view: &ModelPrompt, draws: &mut RequestRng) -> PipelineResponse {
        let before = self.response_count.fetch_add(1, Ordering::Relaxed);
        let obeys = !draws.bernoulli(self.config.impairments.disobedience_after(before));
        let reply = model::respond(view, draws, obeys);
        let charge = self.cache.lookup_and_store(view, Instant::now());
        let mut answer = ResponseDraft::new(view, &reply, &self.config.model, charge, &self.signer, draws);
        response::apply(&mut answer, view, &self.config);
        if view.stream {
            PipelineResponse::Stream(answer.to_message())
        } else {
            PipelineResponse::Json(answer.to_message())
        }
    }
}

fn parse_body(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::new(ApiErrorKind::InvalidRequest, "request body: expected an object")),
        Err(fault) => {
            Err(ApiError::new(ApiErrorKind::InvalidRequest, format!("request body: not valid JSON: {fault}")))
        }
    }
}

#[cfg(test)]
mod tests;
