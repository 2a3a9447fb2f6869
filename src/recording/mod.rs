pub mod answered;
pub mod durable_file;
pub mod gateway;
pub mod in_memory;
pub mod run;
pub mod scope;
mod upsert;
pub mod writer;
