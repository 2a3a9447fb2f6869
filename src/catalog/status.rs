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
        /// The field is accepted and has no effect. This promises that sending it does no harm.
        Ignored = "ignored",
        /// Nothing is promised: the endpoint may reject the field or ignore it.
        Unsupported = "unsupported",
        /// Another value is used instead of the requested one (`field.model` only).
        Substituted = "substituted",
    }
}

string_enum! {
    /// What the endpoint did with a row.
    pub enum VerdictStatus {
        /// The field has its effect, or its value is checked.
        Supported = "supported",
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
            Self::Supported | Self::Ignored | Self::Rejected | Self::Substituted => true,
            Self::Inconclusive | Self::Skipped => false,
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
    /// Compares a verdict with a claim: the truth table of the project.
    pub fn compare(claim: Option<ClaimStatus>, verdict: VerdictStatus) -> Self {
        use ClaimStatus as C;
        use VerdictStatus as V;
        match (claim, verdict) {
            (None, _) => Self::Unclaimed,
            (Some(_), V::Inconclusive | V::Skipped) => Self::Undetermined,
            (Some(C::Supported), V::Supported) => Self::Conforms,
            (Some(C::Supported), V::Substituted | V::Ignored | V::Rejected) => Self::Contradicts,
            (Some(C::Substituted), V::Supported) => Self::Exceeds,
            (Some(C::Substituted), V::Substituted) => Self::Conforms,
            (Some(C::Substituted), V::Ignored | V::Rejected) => Self::Contradicts,
            (Some(C::Ignored), V::Supported | V::Substituted) => Self::Exceeds,
            (Some(C::Ignored), V::Ignored) => Self::Conforms,
            (Some(C::Ignored), V::Rejected) => Self::Contradicts,
            (Some(C::Unsupported), V::Supported | V::Substituted) => Self::Exceeds,
            (Some(C::Unsupported), V::Ignored | V::Rejected) => Self::Conforms,
        }
    }
}

/// True for the worse of the two ways not to support a field: the request is accepted and the field is
/// ignored without an error.
pub fn is_silent(claim: Option<ClaimStatus>, verdict: VerdictStatus) -> bool {
    claim == Some(ClaimStatus::Unsupported) && verdict == VerdictStatus::Ignored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_table_holds_cell_by_cell() {
        use ClaimStatus as C;
        use VerdictStatus as V;
        let verdicts = [V::Supported, V::Substituted, V::Ignored, V::Rejected, V::Inconclusive, V::Skipped];
        let table = [
            (Some(C::Supported), "conforms contradicts contradicts contradicts undetermined undetermined"),
            (Some(C::Substituted), "exceeds conforms contradicts contradicts undetermined undetermined"),
            (Some(C::Ignored), "exceeds exceeds conforms contradicts undetermined undetermined"),
            (Some(C::Unsupported), "exceeds exceeds conforms conforms undetermined undetermined"),
            (None, "unclaimed unclaimed unclaimed unclaimed unclaimed unclaimed"),
        ];
        for (claim, row) in table {
            let seen: Vec<&str> = verdicts.iter().map(|v| Outcome::compare(claim, *v).as_str()).collect();
            assert_eq!(seen.join(" "), row, "claim {claim:?}");
        }
    }

    #[test]
    fn only_an_unsupported_field_that_is_ignored_is_silent() {
        assert!(is_silent(Some(ClaimStatus::Unsupported), VerdictStatus::Ignored));
        assert!(!is_silent(Some(ClaimStatus::Unsupported), VerdictStatus::Rejected));
        assert!(!is_silent(Some(ClaimStatus::Ignored), VerdictStatus::Ignored));
        assert!(!is_silent(None, VerdictStatus::Ignored));
    }
}
