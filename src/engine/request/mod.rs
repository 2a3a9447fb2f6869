//! Builds the requests of an experiment: the layers of an arm, the first request, and the requests
//! that follow it. Finds the rows that a request carries.

pub(super) mod arms;
pub(super) mod build;
pub(super) mod follow_up;
pub(super) mod places;
pub(super) mod sent;
