//! The words a matrix is written in: what a document claims, what was observed, and how the two compare.
//!
//! Every other module uses these enums, so that YAML, JSON, code and help say the same thing. This module must not
//! know how a status is decided (that is the engine's work) nor how it is shown (the reports').

use crate::string_enum::string_enum;

string_enum! {
    /// What a target's documentation says of a row.
    pub enum ClaimStatus {
        /// The field is honoured.
        Supported = "supported",
        /// The field is accepted and has no effect: sending it promises to do no harm.
        Ignored = "ignored",
        /// Nothing is promised: the endpoint may refuse the field or pass over it.
        Unsupported = "unsupported",
        /// Another value than the requested one is used (`field.model` only).
        Substituted = "substituted",
    }
}

string_enum! {
    /// What was observed of a row.
    pub enum VerdictStatus {
        /// The field was shown to be honoured.
        Supported = "supported",
        /// The field was accepted and shown to have no effect.
        Ignored = "ignored",
        /// The request was refused because of the field.
        Rejected = "rejected",
        /// Another value than the requested one was used (`field.model` only).
        Substituted = "substituted",
        /// The evidence does not decide; the verdict carries the reason.
        Inconclusive = "inconclusive",
        /// The row was not tried, or not to the end (budget spent, interrupted).
        Skipped = "skipped",
    }
}

impl VerdictStatus {
    /// True when the evidence decided the row.
    pub fn is_decided(self) -> bool {
        match self {
            Self::Supported | Self::Ignored | Self::Rejected | Self::Substituted => true,
            Self::Inconclusive | Self::Skipped => false,
        }
    }
}

string_enum! {
    /// The claim held against the verdict.
    pub enum Outcome {
        /// The endpoint does what its document says.
        Conforms = "conforms",
        /// The endpoint does more than its document says.
        Exceeds = "exceeds",
        /// The endpoint does not do what its document says.
        Contradicts = "contradicts",
        /// There is a claim, and the row could not be decided.
        Undetermined = "undetermined",
        /// The document says nothing of this row.
        Unclaimed = "unclaimed",
    }
}

impl Outcome {
    /// Holds a claim against a verdict: the truth table of the project, cell by cell.
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

/// True for the worse of the two ways to leave a field unsupported: the request is accepted and the field is passed
/// over without a word.
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
    fn only_an_unsupported_field_that_is_passed_over_is_silent() {
        assert!(is_silent(Some(ClaimStatus::Unsupported), VerdictStatus::Ignored));
        assert!(!is_silent(Some(ClaimStatus::Unsupported), VerdictStatus::Rejected));
        assert!(!is_silent(Some(ClaimStatus::Ignored), VerdictStatus::Ignored));
        assert!(!is_silent(None, VerdictStatus::Ignored));
    }
}
