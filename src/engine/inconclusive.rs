//! [`InconclusiveReason`]: the codes that say why a row is not decided. The set of codes is closed,
//! for tools that read results.

use crate::string_enum::string_enum;

string_enum! {
    /// Why a row is inconclusive or skipped.
    pub enum InconclusiveReason {
        /// The request without the field is rejected too, so the rejection says nothing about the
        /// field.
        NegativeRejected = "negative-refused",
        /// The request without the field failed.
        NegativeFailed = "negative-failed",
        /// The request with the field failed.
        TreatmentFailed = "treatment-failed",
        /// The request with an invalid value failed.
        ChallengeFailed = "challenge-failed",
        /// The response is not a message.
        MalformedResponse = "broken-answer",
        /// The effect also appears without the field.
        DoesNotDiscriminate = "does-not-discriminate",
        /// The endpoint always behaves as if the field were sent.
        AlwaysOn = "always-on",
        /// This model does not show the effect, not even in the positive control.
        ModelDoesNotShow = "model-does-not-show",
        /// Only a model can show the effect, and the endpoint follows no instruction.
        NeedsModel = "needs-a-model",
        /// Responses vary so little that a sampling field cannot narrow them further.
        NoVariation = "no-variation",
        /// Two kinds of evidence contradict each other.
        EvidenceDisagrees = "evidence-disagrees",
        /// The value is checked, but there is no effect.
        ValidatedWithoutEffect = "validated-without-effect",
        /// Some invalid values are accepted and some rejected, in a way that proves neither.
        ChallengesDisagree = "challenges-disagree",
        /// A value far too large is accepted. The endpoint may clamp it or have no limit.
        BoundNotSeen = "bound-not-seen",
        /// An invalid value is rejected, and the error does not say whether the field is unknown or
        /// the value is wrong.
        RejectionUnclear = "refusal-unclear",
        /// The request is rejected because of another field, or because of something that the endpoint
        /// itself changed.
        RejectedElsewhere = "refusal-elsewhere",
        /// The evidence points to a verdict that this row cannot have.
        ImpossibleVerdict = "no-verdict",
        /// Equal requests are treated differently.
        Inconsistent = "unsteady",
        /// Responses are empty, refused by the model, used up by thinking, or truncated.
        UnusableTrials = "void-trials",
        /// The row is undecided at its trial limit.
        TrialLimit = "trial-limit",
        /// Some variants of the row are decided and others are not.
        VariantsDisagree = "variants-disagree",
        /// Other rows prevent a decision: this row depends on them, and they are not known to work.
        Blocked = "blocked",
        /// Responses arrive so fast that streaming cannot be measured.
        TooFast = "too-fast",
        /// The run ended before the row was decided.
        NotFinished = "not-finished",
    }
}

/// The next step after a failed request.
pub(super) const AFTER_FAILURE: &str = "Check the endpoint, then test the row again with --rerun";

impl InconclusiveReason {
    /// What the user can do to get a verdict. `None` if the reason itself says it, or if nothing
    /// helps.
    pub(super) fn next_step(self) -> Option<&'static str> {
        match self {
            Self::NegativeRejected | Self::RejectedElsewhere => Some("Fix that error first: it is not about the field"),
            Self::NegativeFailed | Self::TreatmentFailed | Self::ChallengeFailed => Some(AFTER_FAILURE),
            Self::MalformedResponse => Some("Fix the response format, then test the row again with --rerun"),
            Self::ModelDoesNotShow | Self::ValidatedWithoutEffect => Some("Try a stronger --model"),
            Self::DoesNotDiscriminate | Self::NoVariation => Some("Try another --model"),
            Self::EvidenceDisagrees | Self::ChallengesDisagree | Self::ImpossibleVerdict => {
                Some("Compare the responses in the recording")
            }
            Self::RejectionUnclear => Some("Check the log of the endpoint for the cause"),
            Self::Inconsistent => Some("If several servers share this address, test each of them alone"),
            Self::UnusableTrials => Some("Raise --default-max-tokens, or try another --model"),
            Self::TrialLimit => Some("Try a stronger --model, or test the row again with --rerun"),
            Self::VariantsDisagree => Some("Test the row again with --rerun"),
            Self::TooFast => Some("Try a --model that generates more slowly"),
            Self::NeedsModel | Self::AlwaysOn | Self::BoundNotSeen | Self::Blocked | Self::NotFinished => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::InconclusiveReason;

    #[test]
    fn every_code_is_unique() {
        let codes: HashSet<&str> = InconclusiveReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), InconclusiveReason::ALL.len());
    }
}
