//! Validation of requests: [`RequestValidator`] rejects what the reference server rejects, and
//! knows the row that each check belongs to.
//!
//! Each check runs on the request as it was sent. A check is off if its row is not supported,
//! whatever the status of other rows. Checks without a row (roles, types of blocks, unknown keys)
//! are always on. Only the first error is reported, as the reference does.

mod blocks;
pub(super) mod cache_control;
mod cross_field;
mod fields;
mod media;
mod messages;
mod other_fields;
pub(super) mod request_value;
mod server_blocks;
pub(super) mod thinking;
mod tool_pairing;
pub(super) mod tools;
mod validator;

pub(super) use crate::simulator::validate::validator::RequestValidator;
