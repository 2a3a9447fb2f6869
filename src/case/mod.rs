//! Case files: the rows of the support tables, how each is decided, and what each provider claims.

mod target;
mod vocabulary;

pub use target::{Auth, AuthScheme, Claim, Limits, Prices, Range, Source, Target};
pub use vocabulary::{ClaimStatus, Outcome, VerdictStatus, is_silent};
