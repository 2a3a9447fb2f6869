//! The runs of a command: from its jobs to the results. Must not write reports.

pub mod batch;
pub mod connection;
pub mod forecast;
pub mod jobs;
pub mod preflight;
pub mod replay;
pub mod rerun;
pub mod resume;
pub mod run;
pub mod shared;
