pub mod find;
pub mod remove;
pub mod row;
