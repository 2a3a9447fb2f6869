//! Which requests each row's status was brought to bear on: how a caller knows that a server really did what it was
//! told to do, instead of never having met the field.
//!
//! The stages of the pipeline note what they act on; nothing reads it back while a request is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The ids of requests (their `request-id` header) that the filter acted on, by row. A row whose field no request
/// carried is absent.
pub type FieldActivity = BTreeMap<String, BTreeSet<String>>;

/// What one request's stages acted on.
#[derive(Debug, Default)]
pub(super) struct RequestActivity(BTreeSet<String>);

impl RequestActivity {
    /// A stage treated a row by its status.
    pub fn record(&mut self, row: &str) {
        if !self.0.contains(row) {
            self.0.insert(row.to_owned());
        }
    }
}

/// The acts of all requests so far.
#[derive(Debug, Default)]
pub(super) struct ActivityLog(Mutex<FieldActivity>);

impl ActivityLog {
    /// Writes a request's acts down.
    pub fn append(&self, request_id: &str, acts: RequestActivity) {
        let mut acted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in acts.0 {
            acted.entry(row).or_default().insert(request_id.to_owned());
        }
    }

    /// What was written down so far.
    pub fn snapshot(&self) -> FieldActivity {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
