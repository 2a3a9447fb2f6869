//! The Messages API as it is on the wire. Knows nothing of cases, engines or reports.

pub mod exchange;
