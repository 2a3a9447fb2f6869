//! [`combine_verdicts`]: one verdict from the verdicts of several variants.

use crate::catalog::{CombineRule, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::rules::step::inconclusive_verdict;
use crate::results::model::Verdict;
use crate::results::reason::{ReasonData, VariantReason, VariantReasons};

/// The first words of the qualifier that lists different verdicts of variants.
const VARIANTS_DISAGREE_PREFIX: &str = "the variants disagree: ";

/// True if the variants of a combined verdict have different verdicts.
pub(super) fn variants_disagree(verdict: &Verdict) -> bool {
    verdict.qualifiers.iter().any(|qualifier| qualifier.starts_with(VARIANTS_DISAGREE_PREFIX))
}

/// How bad a status is if every variant must be supported.
fn severity(status: VerdictStatus) -> u8 {
    match status {
        VerdictStatus::Supported => 0,
        VerdictStatus::Validated => 1,
        VerdictStatus::Accepted => 2,
        VerdictStatus::Substituted => 3,
        VerdictStatus::Ignored => 4,
        VerdictStatus::Inconclusive => 5,
        VerdictStatus::Skipped => 6,
        VerdictStatus::Rejected => 7,
    }
}

/// Combines the verdicts of variants, each with the name of its variant.
pub(super) fn combine_verdicts(rule: CombineRule, verdicts: Vec<(&str, Verdict)>) -> Verdict {
    let parts = verdicts.iter().map(|(name, verdict)| VariantReason {
        variant: (*name).to_owned(),
        status: verdict.status,
        because: verdict.because(),
    });
    let parts = VariantReasons(parts.collect());
    let any_undecided = verdicts.iter().any(|(_, v)| !v.status.is_decided());
    let agree = verdicts.windows(2).all(|pair| pair[0].1.status == pair[1].1.status);
    let chosen = match rule {
        CombineRule::All => verdicts.into_iter().max_by_key(|(_, v)| severity(v.status)),
        CombineRule::Any => verdicts.into_iter().min_by_key(|(_, v)| severity(v.status)),
    };
    let Some((name, mut verdict)) = chosen else {
        return inconclusive_verdict(InconclusiveReason::NotFinished, "no variant was tried");
    };
    if parts.0.len() == 1 {
        return verdict;
    }
    if rule == CombineRule::All && any_undecided && !agree && verdict.status != VerdictStatus::Inconclusive {
        return inconclusive_verdict(
            InconclusiveReason::VariantsDisagree,
            ReasonData::VariantsDisagree { variants: parts },
        );
    }
    if agree {
        // An undecided verdict keeps its next step.
        verdict.reason = format!("all variants (shown: {name}): {}", verdict.reason);
        let because = Box::new(verdict.because());
        verdict.because = Some(ReasonData::AllVariants { shown: name.to_owned(), because });
    } else {
        verdict.qualifiers.insert(0, format!("{VARIANTS_DISAGREE_PREFIX}{parts}"));
    }
    verdict
}
