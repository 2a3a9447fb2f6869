//! Recordings: every request and response of a run, in memory and on disk.
//!
//! The judge needs only a recording. This folder must not decide rows, and must not know the engine
//! or the command line.

pub mod answered;
pub mod durable_file;
pub mod event;
pub mod gateway;
pub mod in_memory;
pub mod jsonl;
mod positions;
pub mod reader;
pub mod request_settings;
pub mod run;
pub mod scope;
pub mod writer;
