//! Files, standard output and standard error.

pub mod files;
pub mod logging;
pub mod report_files;
pub mod stderr;
pub mod stdout;
pub mod table;
