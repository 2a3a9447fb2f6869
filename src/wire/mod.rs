//! The Messages API on the wire: exchanges, event streams, messages.
//!
//! It must not know cases, engines or reports.

pub mod assemble;
pub mod bounded_json;
pub mod curl;
pub mod exchange;
pub mod message;
pub mod message_events;
pub mod parsed_exchange;
pub mod sse;
