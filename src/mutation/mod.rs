//! Mutation testing of the experiments: [`prove`] shows that every row can reach each of its
//! verdicts. A simulated server that must get a verdict gets it, and no other row gets a wrong one.
//!
//! Only the simulator is tested, because its true behaviour is known. This folder may know the
//! experiments and the simulator. Neither of them may know this folder, or the other.
//!
//! The rules: the unmutated run passes first (`subject`), a canary is detected and a control
//! changes nothing (`controls`), a mutant is killed only if its own row gets the expected verdict
//! (`outcome`), a mutant whose field no request had is void (`outcome`), and every other row must
//! have a verdict that is right without its field (`expectation`). For that, the engine has no say:
//! the simulator answers the same requests without the field (`stripped_responses`).
//!
//! Mutants that share a run could hide each other: a row that misses its own mutant could change
//! because of another. So mutants share a run only if no row sends the fields of both, and an option
//! gives each mutant its own.

mod controls;
mod error;
mod expectation;
#[cfg(test)]
mod fixtures;
mod insensitive_arms;
mod mutant;
mod observation;
mod outcome;
mod report_builder;
mod run;
mod stripped_responses;
mod subject;

pub use crate::mutation::error::MutationError;
pub use crate::mutation::mutant::{ImpossibleMutant, RowMutant};
pub use crate::mutation::run::{MutationEvent, MutationOptions, prove};
