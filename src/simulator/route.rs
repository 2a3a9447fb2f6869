//! The route of a request: [`SimulatorRoute`], found by method, path and query. Any base path can
//! precede it.

use std::borrow::Cow;

use axum::http::{Method, Uri};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::error_path::truncate_text;
use crate::simulator::fault::BehaviourFault;
use crate::simulator::models::ModelPageQuery;

/// The endpoints that take the body of a message request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessagesRoute {
    Messages,
    CountTokens,
}

/// The route of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SimulatorRoute {
    Messages(MessagesRoute),
    Models(ModelPageQuery),
    Model(String),
    /// Any unknown path, on a server that returns 200 for them.
    Health,
}

impl SimulatorRoute {
    /// Finds the route. Unknown paths get 404, wrong methods 405.
    pub fn resolve(method: &Method, uri: &Uri, config: &SimulatorConfig) -> Result<Self, ApiError> {
        let not_found =
            || ApiError::new(ApiErrorKind::NotFound, format!("nothing is found at {}", truncate_text(uri.path())));
        let mut path = Cow::Borrowed(uri.path());
        if config.has_fault(BehaviourFault::QueryNotRouted) && uri.query().is_some() {
            return Err(not_found());
        }
        if config.has_fault(BehaviourFault::PathNoV1) {
            if path.contains("/v1/") {
                return Err(not_found());
            }
            path = Cow::Owned(format!("/v1{path}"));
        }
        let found = if path.ends_with("/v1/messages") {
            Some((Self::Messages(MessagesRoute::Messages), Method::POST))
        } else if path.ends_with("/v1/messages/count_tokens") {
            let route = (Self::Messages(MessagesRoute::CountTokens), Method::POST);
            Some(route).filter(|_| !config.has_fault(BehaviourFault::CountTokensMissing))
        } else if config.has_fault(BehaviourFault::ModelsMissing) {
            None
        } else if path.ends_with("/v1/models") {
            Some((Self::Models(ModelPageQuery::from_query(uri.query().unwrap_or_default())), Method::GET))
        } else if let Some((_, id)) = path.rsplit_once("/v1/models/").filter(|(_, id)| !id.is_empty()) {
            let route = (Self::Model(id.to_owned()), Method::GET);
            Some(route).filter(|_| !config.has_fault(BehaviourFault::ModelsIdMissing))
        } else {
            None
        };
        match found {
            Some((_, allowed)) if *method != allowed => Err(ApiError::new(
                ApiErrorKind::MethodNotAllowed,
                format!("{method} is not allowed here, use {allowed}"),
            )),
            Some((route, _)) => Ok(route),
            None if config.has_fault(BehaviourFault::ErrorsUnknownPath200) => Ok(Self::Health),
            None => Err(not_found()),
        }
    }
}
