pub mod files;
pub mod logging;
pub mod stderr;
pub mod stdout;
