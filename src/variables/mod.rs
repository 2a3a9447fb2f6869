//! Random values for templates: code words, ids, colours, images and text without meaning.
//!
//! A value depends on the seed of the run and on its purpose only. The order of the requests does
//! not change it, so a run can be repeated. This folder must not know the engine or the gateway.

pub(crate) mod correlation_values;
pub(crate) mod fill;
mod media;
mod random;
mod trial_values;

pub(crate) use crate::variables::random::hash;
pub(crate) use crate::variables::trial_values::TrialValues;
