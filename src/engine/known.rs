//! What an earlier part of a run brought, so that nothing that was answered is sent again.
//!
//! An answer stands for the request that it was given to, byte for byte, and for no other one of the same name. This
//! module sends nothing and decides no row.

use std::collections::HashMap;
use std::sync::Arc;

use super::recording::Recording;
use super::run::{IS_THERE, is_no_answer};
use crate::wire::exchange::{Attempt, Exchange, Request};
use crate::wire::message::read;

/// The exchanges of an earlier part of a run, by id.
#[derive(Debug, Clone, Default)]
pub struct Known(HashMap<String, (Arc<Exchange>, bool)>);

impl Known {
    /// Those of a recording.
    pub fn of(recording: &Recording) -> Self {
        let known = recording.exchanges.iter().map(|e| (e.id.clone(), (Arc::new(e.clone()), is_answered(e))));
        Self(known.collect())
    }

    /// The exchange of this id, where it was of this request and was answered.
    pub(super) fn answered(&self, id: &str, request: &Request) -> Option<&Arc<Exchange>> {
        let (exchange, is_answered) = self.0.get(id)?;
        (*is_answered && exchange.request == *request).then_some(exchange)
    }

    /// The attempts that were made at this request and brought no answer.
    pub(super) fn attempts(&self, id: &str, request: &Request) -> &[Attempt] {
        match self.0.get(id) {
            Some((exchange, _)) if exchange.request == *request => &exchange.attempts,
            _ => &[],
        }
    }

    /// All of them.
    pub(super) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.0.values().map(|(exchange, _)| exchange.as_ref())
    }

    /// How many need not be sent again.
    pub fn answers(&self) -> usize {
        self.0.values().filter(|(_, is_answered)| *is_answered).count()
    }
}

/// True where an exchange brought an answer to what was asked: one that broke off is none, nor is one that turned the
/// request away. Whether the endpoint was there is a question of the moment, and asked anew.
fn is_answered(exchange: &Exchange) -> bool {
    !exchange.id.starts_with(IS_THERE) && !is_no_answer(&exchange.request, &read(exchange))
}
