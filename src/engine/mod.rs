//! Deciding rows: which requests an experiment needs, and what their answers prove.
//!
//! Pure but for `run`, which talks to an `Endpoint`. Knows cases, the wire and the client; of reports it knows the
//! results model alone, which it fills. It must not know what it talks to.

pub mod build;
mod decide;
mod draw;
mod effect;
mod effect_rule;
mod media;
mod meter;
pub mod recording;
mod sequential;
mod spread;
mod trial;
mod undecided;
mod validation;
