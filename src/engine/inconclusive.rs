//! Why a row is not decided: a closed set, one word each, for tools that read results.

use crate::string_enum::string_enum;

string_enum! {
    /// Why a row is inconclusive or skipped.
    pub enum InconclusiveReason {
        /// The request without the field was refused: nothing can be attributed to the field.
        NegativeRejected = "negative-refused",
        /// The request without the field brought no answer.
        NegativeFailed = "negative-failed",
        /// The request with the field brought no answer, or an error that says nothing about it.
        TreatmentFailed = "treatment-failed",
        /// The request at an impossible value brought no answer, or an error that says nothing about it.
        ChallengeFailed = "challenge-failed",
        /// An answer came that is no message.
        MalformedResponse = "broken-answer",
        /// The effect shows without the field as well.
        DoesNotDiscriminate = "does-not-discriminate",
        /// What the field asks for comes unasked.
        AlwaysOn = "always-on",
        /// This model does not show the effect, even where it could.
        ModelDoesNotShow = "model-does-not-show",
        /// Answers do not vary enough to see the field narrow them.
        NoVariation = "no-variation",
        /// Two kinds of evidence say opposite things.
        EvidenceDisagrees = "evidence-disagrees",
        /// The value is checked, and yet no effect shows.
        ValidatedWithoutEffect = "validated-without-effect",
        /// Impossible values were partly accepted and partly refused, in a way that proves neither.
        ChallengesDisagree = "challenges-disagree",
        /// A far too large value was accepted: clamped or unbounded cannot be told apart.
        BoundNotSeen = "bound-not-seen",
        /// An impossible value was refused, in words that do not say whether for the field or for the value.
        RejectionUnclear = "refusal-unclear",
        /// What was seen amounts to a verdict that this row cannot have.
        ImpossibleVerdict = "no-verdict",
        /// Equal requests were treated unequally.
        Inconsistent = "unsteady",
        /// Answers were empty, refused by the model, or spent on thinking.
        UnusableTrials = "void-trials",
        /// The evidence was still open at the row's trial limit.
        TrialLimit = "trial-limit",
        /// Some variants of the row were decided and others not.
        VariantsDisagree = "variants-disagree",
        /// The row works through another one, which is not honoured.
        DependsOn = "rests-on",
        /// Answers came too fast to see how they come.
        TooFast = "too-fast",
        /// The run ended before the row was decided.
        NotFinished = "not-finished",
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
