//! Executes the runs of a command: turns its jobs into results. This folder must not write reports.

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
