//! The words of a matrix: what a table claims ([`ClaimStatus`]), the verdict ([`VerdictStatus`]), and how
//! the two compare ([`Outcome`]).
//!
//! YAML, JSON, code and help use these enums, so that all use the same words. This module must not know
//! how a verdict is reached, or how it is shown.

use crate::string_enum::string_enum;

string_enum! {
    /// What a published table says about a row.
    pub enum ClaimStatus {
        /// The field has its effect.
        Supported = "supported",
        /// The field works in part: it is accepted, and some of it may have no effect.
        Partial = "partial",
        /// The field is accepted. No effect is promised.
        Accepted = "accepted",
        /// The field is accepted and has no effect. This promises that sending it does no harm.
        Ignored = "ignored",
        /// Nothing is promised: the endpoint may reject the field or ignore it.
        Unsupported = "unsupported",
        /// Another value is used instead of the requested one (`field.model` only).
        Substituted = "substituted",
    }
}

string_enum! {
    /// What was observed about a row.
    pub enum VerdictStatus {
        /// The endpoint did something that it does not do unless it supports the field: the effect
        /// appeared, or a well-formed value was rejected that is wrong only against the state of the
        /// server or against the limit that the row is about.
        Supported = "supported",
        /// A valid value is accepted and an impossible one is rejected. No effect was looked for.
        Validated = "validated",
        /// The request is accepted. Nothing else was looked for.
        Accepted = "accepted",
        /// The field is accepted and has no effect.
        Ignored = "ignored",
        /// The field causes a client error.
        Rejected = "rejected",
        /// Another value was used instead of the requested one (`field.model` only).
        Substituted = "substituted",
        /// The evidence does not decide. The verdict has the reason.
        Inconclusive = "inconclusive",
        /// The row was not run, or not completely (budget spent, interrupted).
        Skipped = "skipped",
    }
}

impl VerdictStatus {
    /// True if the evidence decides the row.
    pub fn is_decided(self) -> bool {
        match self {
            Self::Supported | Self::Validated | Self::Accepted | Self::Ignored | Self::Rejected | Self::Substituted => {
                true
            }
            Self::Inconclusive | Self::Skipped => false,
        }
    }

    /// True if nothing was observed that speaks against the field: it is supported, validated or
    /// accepted.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Supported | Self::Validated | Self::Accepted)
    }

    /// True if both verdicts are the same, or if both are positive.
    pub fn is_same_kind(self, other: Self) -> bool {
        self == other || (self.is_positive() && other.is_positive())
    }

    /// How much a verdict shows, from 1 (`accepted`) to 3 (`supported`); 0 for verdicts that are not
    /// positive.
    pub fn strength(self) -> u8 {
        match self {
            Self::Supported => 3,
            Self::Validated => 2,
            Self::Accepted => 1,
            Self::Ignored | Self::Rejected | Self::Substituted | Self::Inconclusive | Self::Skipped => 0,
        }
    }
}

string_enum! {
    /// The verdict compared with the claim.
    pub enum Outcome {
        /// The endpoint does what the table says.
        Conforms = "conforms",
        /// The endpoint does more than the table says.
        Exceeds = "exceeds",
        /// The endpoint does not do what the table says.
        Contradicts = "contradicts",
        /// There is a claim, and the row is not decided.
        Undetermined = "undetermined",
        /// The table says nothing about this row.
        Unclaimed = "unclaimed",
    }
}

impl Outcome {
    /// Compares a verdict with a claim: the truth table of the project. `strongest` is the strongest
    /// verdict that the row can reach: it meets a claim of `supported`, and a weaker one does not
    /// decide about it.
    pub fn compare(claim: Option<ClaimStatus>, verdict: VerdictStatus, strongest: VerdictStatus) -> Self {
        use ClaimStatus as C;
        use VerdictStatus as V;
        let Some(claim) = claim else { return Self::Unclaimed };
        match (claim, verdict) {
            (_, V::Inconclusive | V::Skipped) => Self::Undetermined,
            (C::Supported, V::Supported | V::Validated | V::Accepted) => {
                if verdict.strength() >= strongest.strength() {
                    Self::Conforms
                } else {
                    Self::Undetermined
                }
            }
            (C::Supported, V::Substituted | V::Ignored | V::Rejected) => Self::Contradicts,
            (C::Partial, V::Supported | V::Validated | V::Accepted | V::Substituted) => Self::Conforms,
            (C::Partial, V::Ignored | V::Rejected) => Self::Contradicts,
            (C::Accepted | C::Ignored | C::Substituted | C::Unsupported, V::Supported | V::Validated) => Self::Exceeds,
            (C::Accepted, V::Accepted | V::Substituted | V::Ignored) => Self::Conforms,
            (C::Ignored, V::Accepted | V::Ignored) => Self::Conforms,
            (C::Substituted, V::Accepted | V::Substituted) => Self::Conforms,
            (C::Unsupported, V::Accepted | V::Ignored | V::Rejected) => Self::Conforms,
            (C::Ignored | C::Unsupported, V::Substituted) => Self::Exceeds,
            (C::Substituted, V::Ignored | V::Rejected) => Self::Contradicts,
            (C::Accepted | C::Ignored, V::Rejected) => Self::Contradicts,
        }
    }
}

/// True for the worse of the two ways not to support a field: the request is accepted, and the client
/// is not told that the field is not supported.
pub fn is_silent(claim: Option<ClaimStatus>, verdict: VerdictStatus) -> bool {
    claim == Some(ClaimStatus::Unsupported) && matches!(verdict, VerdictStatus::Ignored | VerdictStatus::Accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_table_holds_cell_by_cell() {
        use ClaimStatus as C;
        use VerdictStatus as V;
        let verdicts = [V::Supported, V::Validated, V::Accepted, V::Substituted, V::Ignored, V::Rejected];
        let (con, exc, bad, und, unc) = ("conforms", "exceeds", "contradicts", "undetermined", "unclaimed");
        let any = [V::Supported, V::Validated, V::Accepted];
        let table: [(_, &[V], [&str; 6]); 9] = [
            (Some(C::Supported), &[V::Supported], [con, und, und, bad, bad, bad]),
            (Some(C::Supported), &[V::Validated], [con, con, und, bad, bad, bad]),
            (Some(C::Supported), &[V::Accepted], [con, con, con, bad, bad, bad]),
            (Some(C::Partial), &any, [con, con, con, con, bad, bad]),
            (Some(C::Accepted), &any, [exc, exc, con, con, con, bad]),
            (Some(C::Ignored), &any, [exc, exc, con, exc, con, bad]),
            (Some(C::Unsupported), &any, [exc, exc, con, exc, con, con]),
            (Some(C::Substituted), &any, [exc, exc, con, con, bad, bad]),
            (None, &any, [unc; 6]),
        ];
        for (claim, strongest, outcomes) in table {
            for strongest in strongest {
                let seen = verdicts.map(|verdict| Outcome::compare(claim, verdict, *strongest).as_str());
                assert_eq!(seen, outcomes, "claim {claim:?}, strongest {strongest}");
                for open in [V::Inconclusive, V::Skipped] {
                    let outcome = if claim.is_some() { Outcome::Undetermined } else { Outcome::Unclaimed };
                    assert_eq!(Outcome::compare(claim, open, *strongest), outcome);
                }
            }
        }
        let claims: Vec<C> = table.iter().filter_map(|row| row.0).collect();
        assert!(C::ALL.iter().all(|claim| claims.contains(claim)));
    }

    #[test]
    fn only_an_unsupported_field_that_is_accepted_or_ignored_is_silent() {
        let silent = |claim| V::ALL.into_iter().filter(|v| is_silent(claim, *v)).collect::<Vec<_>>();
        use VerdictStatus as V;
        assert_eq!(silent(Some(ClaimStatus::Unsupported)), [V::Accepted, V::Ignored]);
        assert!(
            ClaimStatus::ALL.into_iter().filter(|c| *c != ClaimStatus::Unsupported).all(|c| silent(Some(c)).is_empty())
        );
        assert!(silent(None).is_empty());
    }
}
