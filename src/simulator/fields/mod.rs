//! The places of a request that rows of a support table own: [`visit`] knows them all, [`find`] and
//! [`remove`] are built on it.

pub mod find;
pub mod lookup;
pub mod remove;
pub mod row;
mod visit;
