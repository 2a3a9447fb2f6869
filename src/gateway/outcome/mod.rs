//! What became of a field, a part of a response, or a behaviour. Pure.
//!
//! [`request`] and [`response`] observe one trial, each in its direction, with [`matcher`].
//! [`decide`] decides a row from several trials, and [`behaviour`] from all trials of a run.

pub mod behaviour;
pub mod decide;
pub mod matcher;
mod request;
mod response;
pub mod undetermined;
