//! The rule for rows without a visible effect: is the value looked at? A valid one must be accepted, and impossible
//! ones tell a server that honours the field from one that passes over it.

use crate::catalog::{AcceptedMeans, CombineRule, Experiment, VerdictStatus};
use crate::engine::inconclusive::InconclusiveReason;
use crate::engine::predicate::matches;
use crate::engine::request::arms;
use crate::engine::rules::{
    RunFacts, Step, TrialSpec, combine_verdicts, decided_verdict, inconclusive_verdict, rejected_verdict,
};
use crate::engine::trial::{CompletedTrial, TrialOutcome};
use crate::recording::run::ArmKind;
use crate::results::model::{EvidenceKind, Verdict};
use crate::wire::message::HttpError;

/// Words with which servers say that they do not know a field, as against its value.
const UNKNOWN_FIELD_PHRASES: [&str; 16] = [
    "not supported",
    "unsupported",
    "unknown field",
    "unknown key",
    "unknown parameter",
    "unknown variant",
    "extra inputs",
    "not permitted",
    "unrecognized",
    "unexpected keyword",
    "additional properties",
    "does not match any",
    "not enabled",
    "not available",
    "field required",
    "input should be",
];

/// What comes next for a row that is decided by validation.
pub(crate) fn next_step(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    match next_treatment_step(experiment, trials, facts) {
        Some(step) => step,
        None => invalid_values(experiment, trials, facts),
    }
}

/// The request without the field, where a refusal needs it: `None` once it is known to be accepted. `arm` says which:
/// the one that rows share, or one that is asked afterwards for this row alone.
pub(crate) fn negative_control(experiment: &Experiment, trials: &[CompletedTrial], arm: ArmKind) -> Option<Step> {
    let Some(negative) = trials.iter().find(|t| t.arm == arm) else {
        return Some(Step::Run(TrialSpec { variant: None, arm }));
    };
    Some(Step::Decided(match negative.outcome(experiment) {
        TrialOutcome::Rejected(r) => inconclusive_verdict(
            InconclusiveReason::NegativeRejected,
            format!("without the field the request is refused as well (HTTP {}: {})", r.status, r.message),
        ),
        TrialOutcome::Failed(why) => {
            inconclusive_verdict(InconclusiveReason::NegativeFailed, format!("without the field no answer came: {why}"))
        }
        TrialOutcome::Malformed(why) => {
            inconclusive_verdict(InconclusiveReason::MalformedResponse, format!("without the field: {why}"))
        }
        TrialOutcome::EffectPresent { .. }
        | TrialOutcome::EffectAbsent
        | TrialOutcome::NoSignal
        | TrialOutcome::Unusable(_) => return None,
    }))
}

/// True where an error's text says that the thing is not known, as against its value.
pub(crate) fn reports_unknown_field(text: &str) -> bool {
    let text = text.to_lowercase();
    UNKNOWN_FIELD_PHRASES.iter().any(|words| text.contains(words))
}

/// True when a trial brought a message.
fn is_accepted(experiment: &Experiment, trial: &CompletedTrial) -> bool {
    matches!(
        trial.outcome(experiment),
        TrialOutcome::EffectPresent { .. }
            | TrialOutcome::EffectAbsent
            | TrialOutcome::NoSignal
            | TrialOutcome::Unusable(_)
    )
}

/// The treatments: `None` when all are accepted.
fn next_treatment_step(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Option<Step> {
    let screen = experiment.screen_arms.as_ref().and_then(|s| s.treatment.as_ref());
    if screen.is_some() {
        match trials.iter().find(|t| t.arm == ArmKind::Screen) {
            None => return Some(Step::Run(TrialSpec { variant: None, arm: ArmKind::Screen })),
            Some(trial) if is_accepted(experiment, trial) && !facts.is_inconsistent => return None,
            Some(_) => {}
        }
    }
    let names: Vec<Option<&str>> = match (&experiment.treatment, experiment.variants.is_empty()) {
        (None, true) => return None,
        (Some(_), _) => vec![None],
        (None, false) => experiment.variants.keys().map(|k| Some(k.as_str())).collect(),
    };
    let wanted = facts.min_trials(experiment.id()) as usize;
    let mut verdicts = Vec::new();
    for name in names {
        let tried: Vec<&CompletedTrial> =
            trials.iter().filter(|t| t.arm == ArmKind::Treatment && t.variant.as_deref() == name).collect();
        let again = || Some(Step::Run(TrialSpec { variant: name.map(str::to_owned), arm: ArmKind::Treatment }));
        let refused = tried.iter().find_map(|t| match t.outcome(experiment) {
            TrialOutcome::Rejected(refusal) => Some(refusal),
            _ => None,
        });
        let verdict = match (tried.last().map(|t| t.outcome(experiment)), refused) {
            (None, _) => return again(),
            (Some(TrialOutcome::Failed(why)), _) => inconclusive_verdict(
                InconclusiveReason::TreatmentFailed,
                format!("with the field no answer came: {why}"),
            ),
            (Some(TrialOutcome::Malformed(why)), _) => {
                inconclusive_verdict(InconclusiveReason::MalformedResponse, format!("with the field: {why}"))
            }
            (Some(_), Some(refusal)) if tried.iter().any(|t| is_accepted(experiment, t)) => inconclusive_verdict(
                InconclusiveReason::Inconsistent,
                format!("the same request was refused and accepted (HTTP {}: {})", refusal.status, refusal.message),
            ),
            (Some(_), Some(refusal)) => {
                let named = crate::engine::rules::names_field(&refusal.message, experiment.id())
                    || (experiment.about_credentials && refusal.status == 401);
                if !(named && arms::is_negative_plain(experiment, name))
                    && let Some(step) = negative_control(experiment, trials, ArmKind::Negative)
                {
                    return Some(step);
                }
                // A refusal that does not say what it is about is asked for twice.
                if tried.len() < wanted.max(1 + usize::from(!named)) {
                    return again();
                }
                rejected_verdict(experiment.id(), refusal, facts)
            }
            (Some(_), None) if tried.len() < wanted => return again(),
            (Some(_), None) => continue,
        };
        verdicts.push((name.unwrap_or_default(), verdict));
    }
    if verdicts.is_empty() {
        return None;
    }
    let of_all = experiment.variants.len().max(1);
    let few = verdicts.len() < of_all;
    let told = verdicts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut verdict = combine_verdicts(CombineRule::All, verdicts);
    if few {
        verdict.qualifiers.push(format!("only the variant {told}; the others are accepted"));
    }
    Some(Step::Decided(verdict))
}

/// How a challenge ended.
enum ChallengeOutcome<'a> {
    /// Refused for its value: the field is looked at.
    Rejected(&'a HttpError),
    /// Refused in words that are not about the value.
    RejectedForOtherReason(&'a HttpError),
    /// Accepted like any other.
    Accepted(&'a CompletedTrial),
    /// No answer that says anything.
    Failed(String),
}

fn classify_challenge<'a>(experiment: &Experiment, index: usize, trial: &'a CompletedTrial) -> ChallengeOutcome<'a> {
    let because = &experiment.challenge[index].because;
    match trial.outcome(experiment) {
        TrialOutcome::Rejected(refusal) if because.is_empty() => ChallengeOutcome::Rejected(refusal),
        TrialOutcome::Rejected(refusal) => {
            let text = refusal.message.to_lowercase();
            let about_value = because.iter().any(|words| text.contains(&words.to_lowercase()));
            if about_value && !reports_unknown_field(&text) {
                ChallengeOutcome::Rejected(refusal)
            } else {
                ChallengeOutcome::RejectedForOtherReason(refusal)
            }
        }
        TrialOutcome::Failed(why) | TrialOutcome::Malformed(why) => ChallengeOutcome::Failed(why),
        TrialOutcome::EffectPresent { .. }
        | TrialOutcome::EffectAbsent
        | TrialOutcome::NoSignal
        | TrialOutcome::Unusable(_) => ChallengeOutcome::Accepted(trial),
    }
}

/// What comes next for a row's challenges, and what they say: supported where an impossible value is refused.
pub(crate) fn invalid_values(experiment: &Experiment, trials: &[CompletedTrial], facts: &RunFacts) -> Step {
    let screen = experiment.screen_arms.as_ref().and_then(|s| s.challenge.as_ref());
    if screen.is_some() {
        match trials.iter().find(|t| t.arm == ArmKind::ScreenChallenge) {
            None => return Step::Run(TrialSpec { variant: None, arm: ArmKind::ScreenChallenge }),
            Some(trial) if is_accepted(experiment, trial) && !facts.is_inconsistent => {
                return Step::Decided(accepted_values_verdict(experiment, trials, &[(0, trial)]));
            }
            Some(_) => {}
        }
    }
    let mut taken: Vec<(usize, &CompletedTrial)> = Vec::new();
    let mut failed = None;
    let outcomes = |index: usize| {
        let arm = ArmKind::Challenge(index as u8);
        trials.iter().filter(move |t| t.arm == arm).map(move |t| classify_challenge(experiment, index, t))
    };
    let all = || (0..experiment.challenge.len()).flat_map(outcomes);
    // Values of which one is taken and another refused may be two kinds of answer to one question: they are asked again.
    let disagree = all().any(|c| matches!(c, ChallengeOutcome::Accepted(_)))
        && all().any(|c| matches!(c, ChallengeOutcome::Rejected(_)));
    let wanted = if disagree { facts.with_min_trials() } else { facts.clone() }.min_trials(experiment.id()) as usize;
    for index in 0..experiment.challenge.len() {
        let arm = ArmKind::Challenge(index as u8);
        let tried: Vec<&CompletedTrial> = trials.iter().filter(|t| t.arm == arm).collect();
        let ended: Vec<ChallengeOutcome<'_>> = outcomes(index).collect();
        let refused = ended
            .iter()
            .any(|c| matches!(c, ChallengeOutcome::Rejected(_) | ChallengeOutcome::RejectedForOtherReason(_)));
        if refused && ended.iter().any(|c| matches!(c, ChallengeOutcome::Accepted(_))) {
            return Step::Decided(inconclusive_verdict(
                InconclusiveReason::Inconsistent,
                "the same impossible value was refused and accepted",
            ));
        }
        if tried.len() < wanted {
            return Step::Run(TrialSpec { variant: None, arm });
        }
        let attributed = experiment.treatment.is_some() || !experiment.variants.is_empty();
        for outcome in ended {
            let told = match &outcome {
                ChallengeOutcome::Rejected(refusal) | ChallengeOutcome::RejectedForOtherReason(refusal) => {
                    let named = crate::engine::rules::names_field(&refusal.message, experiment.id());
                    // A treatment that was accepted is all the control that a refused value needs.
                    if !(attributed || named && arms::is_negative_plain(experiment, None))
                        && let Some(step) = negative_control(experiment, trials, ArmKind::Negative)
                    {
                        return step;
                    }
                    format!("an impossible value is refused (HTTP {}: {})", refusal.status, refusal.message)
                }
                ChallengeOutcome::Accepted(_) | ChallengeOutcome::Failed(_) => String::new(),
            };
            match outcome {
                // A refusal that does not say what it is about is asked for twice, here too.
                ChallengeOutcome::Rejected(refusal)
                    if tried.len() < 2
                        && refusal.status != 401
                        && !crate::engine::rules::names_field(&refusal.message, experiment.id()) =>
                {
                    return Step::Run(TrialSpec { variant: None, arm });
                }
                ChallengeOutcome::Rejected(_) => {
                    if experiment.about_credentials && !taken.is_empty() {
                        return Step::Decided(inconclusive_verdict(
                            InconclusiveReason::ChallengesDisagree,
                            "a made-up credential is accepted and a missing one refused: it must be there, but is not \
                             checked",
                        ));
                    }
                    let mut verdict = decided_verdict(VerdictStatus::Supported, EvidenceKind::Validated, None, told);
                    if !taken.is_empty() {
                        verdict
                            .qualifiers
                            .push(format!("another impossible value is accepted ({})", join_challenge_names(&taken)));
                    }
                    return Step::Decided(verdict);
                }
                ChallengeOutcome::RejectedForOtherReason(refusal) => {
                    let text = &refusal.message;
                    return Step::Decided(
                        if crate::engine::rules::names_field(text, experiment.id()) || reports_unknown_field(text) {
                            rejected_verdict(experiment.id(), refusal, facts)
                        } else {
                            inconclusive_verdict(
                                InconclusiveReason::RejectionUnclear,
                                format!(
                                    "refused with HTTP {}, in words that tell neither that the field is unknown nor that its \
                                 value is wrong: {text}",
                                    refusal.status
                                ),
                            )
                        },
                    );
                }
                ChallengeOutcome::Accepted(trial) => {
                    taken.push((index, trial));
                    break;
                }
                ChallengeOutcome::Failed(why) => failed = Some(why),
            }
        }
    }
    if let Some(why) = failed {
        return Step::Decided(inconclusive_verdict(
            InconclusiveReason::ChallengeFailed,
            format!("an impossible value brought no answer: {why}"),
        ));
    }
    Step::Decided(accepted_values_verdict(experiment, trials, &taken))
}

fn join_challenge_names(accepted: &[(usize, &CompletedTrial)]) -> String {
    accepted.iter().map(|(i, _)| ArmKind::Challenge(*i as u8).to_string()).collect::<Vec<_>>().join(", ")
}

fn accepted_values_verdict(
    experiment: &Experiment,
    trials: &[CompletedTrial],
    accepted: &[(usize, &CompletedTrial)],
) -> Verdict {
    if let Some(trace) = &experiment.trace {
        let shows = |t: &CompletedTrial| t.message().is_some_and(|m| matches(trace, m, &t.values));
        let treated = trials.iter().any(|t| t.arm == ArmKind::Treatment && shows(t));
        if !treated {
            return inconclusive_verdict(
                InconclusiveReason::ModelDoesNotShow,
                "impossible values are accepted, and what the field governs shows at a valid one neither",
            );
        }
        if !accepted.iter().any(|(_, t)| shows(t)) {
            return decided_verdict(
                VerdictStatus::Supported,
                EvidenceKind::Effect,
                None,
                "an impossible value is accepted, and takes away what shows at a valid one: it is obeyed".to_owned(),
            );
        }
    }
    let several = accepted.len() > 1;
    let told = if several {
        format!("{} impossible values are accepted like any other", accepted.len())
    } else {
        "an impossible value is accepted like any other".to_owned()
    };
    match experiment.accepted_means {
        AcceptedMeans::Ignored => decided_verdict(VerdictStatus::Ignored, EvidenceKind::Validated, None, told),
        AcceptedMeans::Inconclusive => inconclusive_verdict(
            InconclusiveReason::BoundNotSeen,
            "the claimed bound is accepted, and so is a value far above it: clamped or unbounded cannot be told apart",
        ),
        AcceptedMeans::Substituted => {
            let served = accepted.first().and_then(|(_, t)| t.message()).and_then(|m| m.model.as_deref());
            let told = match served {
                // The answer that only says the asked name back hides what served it.
                Some(model) if accepted.iter().any(|(_, t)| t.values.values().any(|v| model.contains(v.as_str()))) => {
                    "a value that cannot exist is accepted, and the answer says it back as if it existed".to_owned()
                }
                Some(model) => format!("a value that cannot exist is accepted; the answer says it came from `{model}`"),
                None => "a value that cannot exist is accepted; the answer does not say what served it".to_owned(),
            };
            decided_verdict(VerdictStatus::Substituted, EvidenceKind::Validated, None, told)
        }
    }
}
