//! The Messages API as it is on the wire: exchanges, event streams, messages. Knows nothing of cases, engines or
//! reports.

pub mod curl;
pub mod exchange;
pub mod fast_delta;
pub mod message;
pub mod message_events;
pub mod response_body;
pub mod sse;
