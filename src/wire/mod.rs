//! The Messages API as it is on the wire: exchanges, event streams, messages. Knows nothing of cases, engines or
//! reports.

pub mod answer;
pub mod check;
pub mod curl;
pub mod delta;
pub mod exchange;
pub mod message;
pub mod sse;
