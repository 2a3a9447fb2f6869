//! Why a row is not decided: a closed set, one word each, for tools that read results.

/// Why a row is inconclusive or skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InconclusiveReason {
    /// The request without the field was refused: nothing can be attributed to the field.
    NegativeRejected,
    /// The request without the field brought no answer.
    NegativeFailed,
    /// The request with the field brought no answer, or an error that says nothing about it.
    TreatmentFailed,
    /// The request at an impossible value brought no answer, or an error that says nothing about it.
    ChallengeFailed,
    /// An answer came that is no message.
    MalformedResponse,
    /// The effect shows without the field as well.
    DoesNotDiscriminate,
    /// What the field asks for comes unasked.
    AlwaysOn,
    /// This model does not show the effect, even where it could.
    ModelDoesNotShow,
    /// Answers do not vary enough to see the field narrow them.
    NoVariation,
    /// Two kinds of evidence say opposite things.
    EvidenceDisagrees,
    /// The value is checked, and yet no effect shows.
    ValidatedWithoutEffect,
    /// Impossible values were partly accepted and partly refused, in a way that proves neither.
    ChallengesDisagree,
    /// A far too large value was accepted: clamped or unbounded cannot be told apart.
    BoundNotSeen,
    /// An impossible value was refused, in words that do not say whether for the field or for the value.
    RejectionUnclear,
    /// What was seen amounts to a verdict that this row cannot have.
    ImpossibleVerdict,
    /// Equal requests were treated unequally.
    Inconsistent,
    /// Answers were empty, refused by the model, or spent on thinking.
    UnusableTrials,
    /// The evidence was still open at the row's trial limit.
    TrialLimit,
    /// Some variants of the row were decided and others not.
    VariantsDisagree,
    /// The row works through another one, which is not honoured.
    DependsOn,
    /// Answers came too fast to see how they come.
    TooFast,
    /// The run ended before the row was decided.
    NotFinished,
}

impl InconclusiveReason {
    /// All of them, for documents and tests.
    pub const ALL: [Self; 22] = [
        Self::NegativeRejected,
        Self::NegativeFailed,
        Self::TreatmentFailed,
        Self::ChallengeFailed,
        Self::MalformedResponse,
        Self::DoesNotDiscriminate,
        Self::AlwaysOn,
        Self::ModelDoesNotShow,
        Self::NoVariation,
        Self::EvidenceDisagrees,
        Self::ValidatedWithoutEffect,
        Self::ChallengesDisagree,
        Self::BoundNotSeen,
        Self::RejectionUnclear,
        Self::ImpossibleVerdict,
        Self::Inconsistent,
        Self::UnusableTrials,
        Self::TrialLimit,
        Self::VariantsDisagree,
        Self::DependsOn,
        Self::TooFast,
        Self::NotFinished,
    ];

    /// The word used in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NegativeRejected => "negative-refused",
            Self::NegativeFailed => "negative-failed",
            Self::TreatmentFailed => "treatment-failed",
            Self::ChallengeFailed => "challenge-failed",
            Self::MalformedResponse => "broken-answer",
            Self::DoesNotDiscriminate => "does-not-discriminate",
            Self::AlwaysOn => "always-on",
            Self::ModelDoesNotShow => "model-does-not-show",
            Self::NoVariation => "no-variation",
            Self::EvidenceDisagrees => "evidence-disagrees",
            Self::ValidatedWithoutEffect => "validated-without-effect",
            Self::ChallengesDisagree => "challenges-disagree",
            Self::BoundNotSeen => "bound-not-seen",
            Self::RejectionUnclear => "refusal-unclear",
            Self::ImpossibleVerdict => "no-verdict",
            Self::Inconsistent => "unsteady",
            Self::UnusableTrials => "void-trials",
            Self::TrialLimit => "trial-limit",
            Self::VariantsDisagree => "variants-disagree",
            Self::DependsOn => "rests-on",
            Self::TooFast => "too-fast",
            Self::NotFinished => "not-finished",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::InconclusiveReason;

    #[test]
    fn every_word_is_its_own() {
        let words: HashSet<&str> = InconclusiveReason::ALL.iter().map(|u| u.as_str()).collect();
        assert_eq!(words.len(), InconclusiveReason::ALL.len());
    }
}
