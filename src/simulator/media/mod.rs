//! Decoders of the media that the simulated model can see.

pub mod image;
pub mod pdf;
