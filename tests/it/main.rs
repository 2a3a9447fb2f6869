//! The integration tests, in one binary: each module tests one part of the program through its public face.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

mod common;
mod proxy;
mod sandwich;

mod adversaries;
mod architecture;
mod baseline;
mod binary;
mod canned;
mod cases;
mod causes;
mod check;
mod checks;
mod client;
mod compare;
mod dependencies;
mod diff;
mod documents;
mod failures;
mod flips;
mod formats;
mod fuzz_corpus;
mod gateway;
mod gateway_rows;
mod hostile;
mod hostile_size;
mod input_files;
mod interruptions;
mod limits;
mod mutants;
mod noise;
mod plan;
mod preconditions;
mod redaction;
mod replay;
mod reports;
mod scale;
mod scheduling;
mod schemas;
mod secrets;
mod seeds;
mod shards;
mod signals;
mod simulator;
mod test_command;
mod transport;
mod trouble;
mod watch;
mod words;
mod workflows;
