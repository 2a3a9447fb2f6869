//! [`FindingSummary`]: one kind of protocol fault, over all exchanges of a run.

use serde::{Deserialize, Serialize};

use crate::checks::CheckSeverity;

/// One kind of protocol fault, over all exchanges of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingSummary {
    /// The stable id of the check, such as `sse.message-stop-missing`.
    pub check: String,
    /// How severe the fault is for a client that follows the documents.
    pub severity: CheckSeverity,
    /// The number of responses with the fault.
    pub count: u64,
    /// The ids of the rows that use these responses.
    pub rows: Vec<String>,
    /// A short example of the fault.
    pub example: String,
}
