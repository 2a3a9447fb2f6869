pub mod credential;
mod list;
pub mod resolve;
