//! The commands, one file for each. Commands do not import each other.

pub mod baseline;
pub mod check;
pub mod compare;
pub mod diff;
pub mod gateway;
pub mod judge;
pub mod merge;
pub mod plan;
pub mod report;
pub mod rows;
pub mod run;
pub mod simulate;
pub mod targets;
pub mod test;
