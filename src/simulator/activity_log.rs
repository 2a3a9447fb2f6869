//! Which rows the server acted on in which requests: [`ActivityLog`].
//!
//! A caller uses it to tell a server that treated a field as configured from one that never
//! received the field. The pipeline writes the log and must not read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// For each row, the ids of the requests (their `request-id` header) in which the server acted on
/// it. Rows whose fields were never sent are missing.
pub type FieldActivity = BTreeMap<String, BTreeSet<String>>;

/// The rows that the server acted on in one request.
#[derive(Debug, Default)]
pub(super) struct RequestActivity(BTreeSet<String>);

impl RequestActivity {
    /// Records that a stage acted on a row.
    pub fn record(&mut self, row: &str) {
        if !self.0.contains(row) {
            self.0.insert(row.to_owned());
        }
    }
}

/// The activity of all requests so far.
#[derive(Debug, Default)]
pub(super) struct ActivityLog(Mutex<FieldActivity>);

impl ActivityLog {
    /// Adds the activity of a request.
    pub fn append(&self, request_id: &str, activity: RequestActivity) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in activity.0 {
            log.entry(row).or_default().insert(request_id.to_owned());
        }
    }

    /// The activity so far.
    pub fn snapshot(&self) -> FieldActivity {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
