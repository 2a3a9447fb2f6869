pub mod batch;
pub mod connection;
pub mod forecast;
pub mod jobs;
pub mod preflight;
pub mod replay;
pub mod resume;
pub mod run;
