pub mod credentials;
pub mod script;
pub mod server;
pub mod sse;
