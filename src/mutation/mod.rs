//! Proves by mutation that every experiment can fail: whichever verdict a row can have, a simulated server that
//! deserves it must get it, and no other row may follow that has nothing to do with it.
//!
//! Works on the simulator alone, which is what lets it know the truth. It may know both the experiments and the
//! simulator; neither of them may know it, nor each other through it.
//!
//! The rules of an honest proof, each a file or a part of one: the unmutated run passes first (`ground`), a canary dies
//! and an inverted control survives (`sentinel`), a mutant counts as killed only if its row was named with the expected
//! verdict (`fate`), and one whose field no request carried is void (`fate`).
//!
//! Mutants that share a run could in theory hide one another: a row that fails to notice its own might change because of
//! another's. Only unrelated rows share one, and a run for each mutant can be asked for.

mod controls;
#[cfg(test)]
mod fixtures;
mod insensitive_arms;
mod mutant;
mod observation;
mod outcome;
mod report_builder;
mod run;
mod subject;

pub use crate::mutation::mutant::{ImpossibleMutant, RowMutant};
pub use crate::mutation::run::{MutationError, MutationEvent, MutationOptions, prove};
