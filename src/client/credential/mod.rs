//! Where a credential comes from: an environment variable or a file ([`source`]), or a command
//! ([`command`]). Never the command line, because other users can read that.

pub mod command;
pub mod source;
