//! The server without its network: a [`RequestPipeline`] turns a request into a response or an
//! error.
//!
//! The stages, in order: credential, custom fields, protocol headers, JSON, unsupported fields,
//! validation, removal of ignored fields, and the response of the model.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};

use crate::simulator::activity_log::{ActivityLog, RequestActivity};
use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::custom_field::CustomField;
use crate::simulator::fault::{BehaviourFault, error, prompt, response};
use crate::simulator::fields::row::SupportRow;
use crate::simulator::fields::{find, remove};
use crate::simulator::outgoing::PipelineResponse;
use crate::simulator::prompt::ModelPrompt;
use crate::simulator::prompt_cache::PromptCache;
use crate::simulator::rate_limit::SimulatedRateLimits;
use crate::simulator::response::ResponseDraft;
use crate::simulator::rng::{RequestRng, RngSource};
use crate::simulator::route::{MessagesRoute, SimulatorRoute};
use crate::simulator::support::SupportTable;
use crate::simulator::thinking_signature::ThinkingSigner;
use crate::simulator::trouble::TroubleSchedule;
use crate::simulator::validate::RequestValidator;
use crate::simulator::{context_edits, custom_field, headers, model, models};

/// A simulated server and its state.
#[derive(Debug)]
pub(super) struct RequestPipeline {
    pub config: SimulatorConfig,
    pub rng_source: RngSource,
    pub activity_log: ActivityLog,
    pub rate_limits: SimulatedRateLimits,
    pub trouble: TroubleSchedule,
    support: SupportTable,
    custom_fields: Vec<CustomField>,
    signer: ThinkingSigner,
    cache: PromptCache,
    /// The number of responses that the model has generated. The drift of its disobedience depends
    /// on it.
    response_count: AtomicU64,
}

impl RequestPipeline {
    pub fn new(config: SimulatorConfig) -> Self {
        Self {
            rng_source: RngSource::new(config.seed),
            activity_log: ActivityLog::default(),
            rate_limits: SimulatedRateLimits::new(&config.impairments, Instant::now()),
            trouble: TroubleSchedule::default(),
            support: SupportTable::new(&config.statuses),
            custom_fields: CustomField::from_config(&config),
            signer: ThinkingSigner::new(config.seed),
            cache: PromptCache::default(),
            response_count: AtomicU64::new(0),
            config,
        }
    }

    /// Finds the route of a request.
    pub fn resolve_route(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<SimulatorRoute, ApiError> {
        if self.config.has_fault(BehaviourFault::AuthBeforeRouting) {
            headers::authenticate(headers, &self.support, &self.config)?;
        }
        SimulatorRoute::resolve(method, uri, &self.config)
    }

    /// Responds to a request. Records in `activity` the rows whose fields the server handled.
    pub fn respond(
        &self,
        route: &SimulatorRoute,
        headers: &HeaderMap,
        body: &[u8],
        rng: &mut RequestRng,
        activity: &mut RequestActivity,
    ) -> Result<PipelineResponse, ApiError> {
        self.handle(route, headers, body, rng, activity).map_err(|error| error::with_faults(error, &self.config))
    }

    fn handle(
        &self,
        route: &SimulatorRoute,
        headers: &HeaderMap,
        body: &[u8],
        rng: &mut RequestRng,
        activity: &mut RequestActivity,
    ) -> Result<PipelineResponse, ApiError> {
        for (name, row) in [("authorization", SupportRow::Authorization), ("x-api-key", SupportRow::XApiKey)] {
            if headers.contains_key(name) {
                activity.record(row.as_str());
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
                return self.handle_models_route(route).map(PipelineResponse::Json);
            }
        };
        let (mut headers, mut texts) = (headers.clone(), Vec::new());
        let body = parse_body(body).and_then(|mut body| {
            self.custom_fields
                .iter()
                .try_for_each(|field| field.apply(&mut headers, &mut body, &mut texts, activity))?;
            Ok(body)
        });
        let protocol = headers::parse_protocol_headers(&headers, &self.support, &self.config)?;
        let body = body?;
        self.reject_unsupported(&headers, &body, activity)?;
        let validator = RequestValidator {
            config: &self.config,
            support: &self.support,
            signer: &self.signer,
            protocol: &protocol,
            endpoint,
        };
        let found = find::find_rows(&headers, &body, |_| true);
        // Validation handles the supported fields, so they are recorded even if it fails. The
        // ignored fields are removed after it.
        self.record_activity(&found, activity, |row| !self.support.ignores(row));
        validator.validate(&body)?;
        self.record_activity(&found, activity, |row| self.support.ignores(row));
        let mut body = remove::without_ignored(body, &self.support);
        custom_field::inject_texts(&mut body, &texts);
        prompt::apply(&mut body, endpoint, &self.config);
        let edits = match self.config.has_fault(BehaviourFault::ContextEditsSkipped) {
            true => None,
            false => context_edits::apply_context_edits(&mut body),
        };
        let prompt = ModelPrompt::from_body(&body);
        match endpoint {
            MessagesRoute::CountTokens => {
                let tokens = response::alter_token_count(prompt.tokens(), &self.config);
                Ok(PipelineResponse::Json(json!({ "input_tokens": tokens })))
            }
            MessagesRoute::Messages => {
                self.validate_context_window(&prompt)?;
                Ok(self.generate_response(&prompt, edits, rng))
            }
        }
    }

    /// Rejects a prompt that is larger than the context window.
    fn validate_context_window(&self, prompt: &ModelPrompt) -> Result<(), ApiError> {
        let (tokens, limit) = (prompt.tokens(), u64::from(self.config.context_tokens));
        if tokens <= limit || self.config.has_fault(BehaviourFault::ErrorsOverflowTruncates) {
            return Ok(());
        }
        if self.config.has_fault(BehaviourFault::ErrorsOverflow500) {
            return Err(ApiError::internal_error("the prompt is larger than the context window"));
        }
        let message = match self.config.has_fault(BehaviourFault::ErrorsOverflowWording) {
            true => "the request could not be processed".to_owned(),
            false => format!("prompt is too long: {tokens} tokens > {limit} maximum"),
        };
        Err(ApiError::new(ApiErrorKind::InvalidRequest, message))
    }

    fn handle_models_route(&self, route: &SimulatorRoute) -> Result<Value, ApiError> {
        match route {
            SimulatorRoute::Models(page) => models::list_models(&self.config, page),
            SimulatorRoute::Model(id) => models::get_model(&self.config, id),
            // The caller handles these routes.
            SimulatorRoute::Messages(_) | SimulatorRoute::Health => Ok(Value::Null),
        }
    }

    fn reject_unsupported(
        &self,
        headers: &HeaderMap,
        body: &Map<String, Value>,
        activity: &mut RequestActivity,
    ) -> Result<(), ApiError> {
        let found = find::find_rows(headers, body, |row| self.support.rejects(row));
        if found.is_empty() {
            return Ok(());
        }
        self.record_activity(&found, activity, |_| true);
        Err(ApiError::unsupported(found.iter().map(|(_, path)| path)))
    }

    /// Records the rows for which `is_wanted` is true. `temperature` and `max_tokens` have a second
    /// row for their bounds, which is recorded in the same way.
    fn record_activity(
        &self,
        found: &[(SupportRow, String)],
        activity: &mut RequestActivity,
        is_wanted: impl Fn(SupportRow) -> bool,
    ) {
        for (row, _) in found {
            let bound = match row {
                SupportRow::Temperature => Some(SupportRow::TemperatureRange),
                SupportRow::MaxTokens => Some(SupportRow::MaxOutputTokens),
                _ => None,
            };
            for row in std::iter::once(*row).chain(bound).filter(|row| is_wanted(*row)) {
                activity.record(row.as_str());
            }
        }
    }

    fn generate_response(&self, prompt: &ModelPrompt, edits: Option<Value>, rng: &mut RequestRng) -> PipelineResponse {
        let earlier_responses = self.response_count.fetch_add(1, Ordering::Relaxed);
        let is_obedient = !rng.bernoulli(self.config.impairments.disobedience_after(earlier_responses));
        let output = model::respond(prompt, rng, is_obedient);
        let usage = self.cache.lookup_and_store(prompt, Instant::now());
        let mut draft = ResponseDraft::new(prompt, &output, &self.config.model, usage, &self.signer, rng);
        response::apply(&mut draft, prompt, &self.config);
        let mut message = draft.to_message();
        if let Some(edits) = edits {
            message["context_management"] = edits;
        }
        if prompt.stream { PipelineResponse::Stream(message) } else { PipelineResponse::Json(message) }
    }
}

fn parse_body(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::new(ApiErrorKind::InvalidRequest, "request body: expected an object")),
        Err(e) => Err(ApiError::new(ApiErrorKind::InvalidRequest, format!("request body: not valid JSON: {e}"))),
    }
}

#[cfg(test)]
mod tests;
