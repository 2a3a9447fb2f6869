//! The rule for rows with a visible effect: treatment, positive and negative control in a
//! sequential test. The usage meter is a second kind of evidence, and invalid values are used if
//! there is no positive control.
//!
//! The treatment goes first, because it is the most likely to decide. The positive control is sent
//! if the treatment shows no effect. The negative control is sent if the treatment shows an effect
//! that can appear without the field, or if it is rejected. [`rule`] holds the sequential test,
//! [`rejection`] decides requests without a message, and [`usage_signal`] decides when the usage
//! meter counts.

mod missing_model;
mod rejection;
mod rule;
mod usage_signal;

pub(crate) use crate::engine::rules::effect::rule::{MAX_NEGATIVE_TRIALS, MAX_TRIALS, next_step};
