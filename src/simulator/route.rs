//! Where a request leads, by its method, its path and its query, below whatever base path.

use std::borrow::Cow;

use axum::http::{Method, Uri};

use crate::simulator::api_error::{Kind, Refusal};
use crate::simulator::config::Behaviour;
use crate::simulator::error_path::clip;
use crate::simulator::fault::ConductFault;
use crate::simulator::models::Page;
use crate::simulator::validate::Endpoint;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Messages(Endpoint),
    Models(Page),
    Model(String),
    /// Nothing, and the server does not say so.
    Nothing,
}

impl Route {
    /// Where a request leads; a path that leads nowhere is a 404, a wrong method a 405.
    pub fn of(method: &Method, uri: &Uri, behaviour: &Behaviour) -> Result<Self, Refusal> {
        let nowhere = || Refusal::new(Kind::NotFound, format!("nothing is found at {}", clip(uri.path())));
        let mut path = Cow::Borrowed(uri.path());
        if behaviour.commits(ConductFault::QueryNotRouted) && uri.query().is_some() {
            return Err(nowhere());
        }
        if behaviour.commits(ConductFault::PathNoV1) {
            if path.contains("/v1/") {
                return Err(nowhere());
            }
            path = Cow::Owned(format!("/v1{path}"));
        }
        let found = if path.ends_with("/v1/messages") {
            Some((Self::Messages(Endpoint::Messages), Method::POST))
        } else if path.ends_with("/v1/messages/count_tokens") {
            let route = (Self::Messages(Endpoint::CountTokens), Method::POST);
            Some(route).filter(|_| !behaviour.commits(ConductFault::CountTokensMissing))
        } else if behaviour.commits(ConductFault::ModelsMissing) {
            None
        } else if path.ends_with("/v1/models") {
            Some((Self::Models(Page::of(uri.query().unwrap_or_default())), Method::GET))
        } else if let Some((_, id)) = path.rsplit_once("/v1/models/").filter(|(_, id)| !id.is_empty()) {
            let route = (Self::Model(id.to_owned()), Method::GET);
            Some(route).filter(|_| !behaviour.commits(ConductFault::ModelsIdMissing))
        } else {
            None
        };
        match found {
            Some((_, allowed)) if *method != allowed => {
                Err(Refusal::new(Kind::Method, format!("{method} is not allowed here, use {allowed}")))
            }
            Some((route, _)) => Ok(route),
            None if behaviour.commits(ConductFault::ErrorsUnknownPath200) => Ok(Self::Nothing),
            None => Err(nowhere()),
        }
    }
}
