//! The upstream of the gateway: a scripted server without a model.
//!
//! [`script`] builds responses, [`sse`] encodes them as streams, [`server`] sends them, and
//! [`credentials`] finds the credential that the gateway presents.

pub mod credentials;
pub mod script;
pub mod server;
pub mod sse;
