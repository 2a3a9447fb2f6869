//! What a rejection is about: [`attribute_rejection`].
//!
//! An endpoint can reject a request for a reason that has nothing to do with the row: it adds a field
//! of its own, or it drops a turn and then misses it. So the places that an error names are looked up
//! in the request. An error that names nothing is no evidence against the row by itself; the rules then
//! compare it with the request without the field.

mod attribution;
mod named_places;
mod outline;

pub(crate) use crate::engine::rejection::attribution::{
    RejectionSubject, attribute_documented_error, attribute_rejection,
};
