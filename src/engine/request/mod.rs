//! Builds the requests of an experiment: the layers of an arm, the first request, and the requests
//! that follow it.

pub(crate) mod arms;
pub(crate) mod build;
pub(crate) mod follow_up;
