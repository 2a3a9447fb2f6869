//! Tests what happens if requests fail for reasons that have nothing to do with the tested rows, and
//! if a server fails each time.

mod server_errors;
mod stretches;
