pub mod command;
pub mod source;
