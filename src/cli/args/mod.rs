//! The options of all commands. Options that several commands share have one struct, and one help text.
//!
//! Must not hold state of a run, and must not send anything.

pub mod baseline;
pub mod budget;
pub mod cases;
pub mod endpoint;
pub mod output;
pub mod parse;
pub mod run;
pub mod select;
pub mod send;
pub mod shard;
pub mod simulator;
pub mod transport;
