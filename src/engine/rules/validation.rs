//! The rule for rows without a visible effect: is the value looked at? A valid one must be accepted, and impossible
//! ones tell a server that honours the field from one that passes over it.

use crate::catalog::{AcceptedMeans, Combine, Experiment, VerdictStatus};
use crate::engine::inconclusive::Undecided;
use crate::engine::predicate::holds;
use crate::engine::request::arms;
use crate::engine::rules::{Facts, Step, Try, combine, decided, inconclusive, rejected};
use crate::engine::trial::{Seen, Trial};
use crate::recording::run::ArmKind;
use crate::results::model::{Evidence, Verdict};
use crate::wire::message::Refusal;

/// Words with which servers say that they do not know a field, as against its value.
const UNKNOWN: [&str; 16] = [
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
pub(crate) fn next(experiment: &Experiment, trials: &[Trial], facts: &Facts) -> Step {
    match treatments(experiment, trials, facts) {
        Some(step) => step,
        None => challenges(experiment, trials, facts),
    }
}

/// The request without the field, where a refusal needs it: `None` once it is known to be accepted. `arm` says which:
/// the one that rows share, or one that is asked afterwards for this row alone.
pub(crate) fn control(experiment: &Experiment, trials: &[Trial], arm: ArmKind) -> Option<Step> {
    let Some(negative) = trials.iter().find(|t| t.arm == arm) else {
        return Some(Step::Try(Try { variant: None, arm }));
    };
    Some(Step::Done(match negative.seen(experiment) {
        Seen::Refused(r) => inconclusive(
            Undecided::NegativeRefused,
            format!("without the field the request is refused as well (HTTP {}: {})", r.status, r.message),
        ),
        Seen::Failed(why) => {
            inconclusive(Undecided::NegativeFailed, format!("without the field no answer came: {why}"))
        }
        Seen::Broken(why) => inconclusive(Undecided::BrokenAnswer, format!("without the field: {why}")),
        Seen::Shows { .. } | Seen::Absent | Seen::Silent | Seen::Void(_) => return None,
    }))
}

/// True where an error's text says that the thing is not known, as against its value.
pub(crate) fn says_unknown(text: &str) -> bool {
    let text = text.to_lowercase();
    UNKNOWN.iter().any(|words| text.contains(words))
}

/// True when a trial brought a message.
fn accepted(experiment: &Experiment, trial: &Trial) -> bool {
    matches!(trial.seen(experiment), Seen::Shows { .. } | Seen::Absent | Seen::Silent | Seen::Void(_))
}

/// The treatments: `None` when all are accepted.
fn treatments(experiment: &Experiment, trials: &[Trial], facts: &Facts) -> Option<Step> {
    let screen = experiment.screen_arms.as_ref().and_then(|s| s.treatment.as_ref());
    if screen.is_some() {
        match trials.iter().find(|t| t.arm == ArmKind::Screen) {
            None => return Some(Step::Try(Try { variant: None, arm: ArmKind::Screen })),
            Some(trial) if accepted(experiment, trial) && !facts.unsteady => return None,
            Some(_) => {}
        }
    }
    let names: Vec<Option<&str>> = match (&experiment.treatment, experiment.variants.is_empty()) {
        (None, true) => return None,
        (Some(_), _) => vec![None],
        (None, false) => experiment.variants.keys().map(|k| Some(k.as_str())).collect(),
    };
    let wanted = facts.least(experiment.id()) as usize;
    let mut verdicts = Vec::new();
    for name in names {
        let tried: Vec<&Trial> =
            trials.iter().filter(|t| t.arm == ArmKind::Treatment && t.variant.as_deref() == name).collect();
        let again = || Some(Step::Try(Try { variant: name.map(str::to_owned), arm: ArmKind::Treatment }));
        let refused = tried.iter().find_map(|t| match t.seen(experiment) {
            Seen::Refused(refusal) => Some(refusal),
            _ => None,
        });
        let verdict = match (tried.last().map(|t| t.seen(experiment)), refused) {
            (None, _) => return again(),
            (Some(Seen::Failed(why)), _) => {
                inconclusive(Undecided::TreatmentFailed, format!("with the field no answer came: {why}"))
            }
            (Some(Seen::Broken(why)), _) => inconclusive(Undecided::BrokenAnswer, format!("with the field: {why}")),
            (Some(_), Some(refusal)) if tried.iter().any(|t| accepted(experiment, t)) => inconclusive(
                Undecided::Unsteady,
                format!("the same request was refused and accepted (HTTP {}: {})", refusal.status, refusal.message),
            ),
            (Some(_), Some(refusal)) => {
                let named = crate::engine::rules::names(&refusal.message, experiment.id())
                    || (experiment.about_credentials && refusal.status == 401);
                if !(named && arms::negative_is_plain(experiment, name))
                    && let Some(step) = control(experiment, trials, ArmKind::Negative)
                {
                    return Some(step);
                }
                // A refusal that does not say what it is about is asked for twice.
                if tried.len() < wanted.max(1 + usize::from(!named)) {
                    return again();
                }
                rejected(experiment.id(), refusal, facts)
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
    let mut verdict = combine(Combine::All, verdicts);
    if few {
        verdict.qualifiers.push(format!("only the variant {told}; the others are accepted"));
    }
    Some(Step::Done(verdict))
}

/// How a challenge ended.
enum Challenged<'a> {
    /// Refused for its value: the field is looked at.
    Refused(&'a Refusal),
    /// Refused in words that are not about the value.
    RefusedOtherwise(&'a Refusal),
    /// Accepted like any other.
    Accepted(&'a Trial),
    /// No answer that says anything.
    Failed(String),
}

fn challenged<'a>(experiment: &Experiment, index: usize, trial: &'a Trial) -> Challenged<'a> {
    let because = &experiment.challenge[index].because;
    match trial.seen(experiment) {
        Seen::Refused(refusal) if because.is_empty() => Challenged::Refused(refusal),
        Seen::Refused(refusal) => {
            let text = refusal.message.to_lowercase();
            let about_value = because.iter().any(|words| text.contains(&words.to_lowercase()));
            if about_value && !says_unknown(&text) {
                Challenged::Refused(refusal)
            } else {
                Challenged::RefusedOtherwise(refusal)
            }
        }
        Seen::Failed(why) | Seen::Broken(why) => Challenged::Failed(why),
        Seen::Shows { .. } | Seen::Absent | Seen::Silent | Seen::Void(_) => Challenged::Accepted(trial),
    }
}

/// What comes next for a row's challenges, and what they say: supported where an impossible value is refused.
pub(crate) fn challenges(experiment: &Experiment, trials: &[Trial], facts: &Facts) -> Step {
    let screen = experiment.screen_arms.as_ref().and_then(|s| s.challenge.as_ref());
    if screen.is_some() {
        match trials.iter().find(|t| t.arm == ArmKind::ScreenChallenge) {
            None => return Step::Try(Try { variant: None, arm: ArmKind::ScreenChallenge }),
            Some(trial) if accepted(experiment, trial) && !facts.unsteady => {
                return Step::Done(all_accepted(experiment, trials, &[(0, trial)]));
            }
            Some(_) => {}
        }
    }
    let mut taken: Vec<(usize, &Trial)> = Vec::new();
    let mut failed = None;
    let outcomes = |index: usize| {
        let arm = ArmKind::Challenge(index as u8);
        trials.iter().filter(move |t| t.arm == arm).map(move |t| challenged(experiment, index, t))
    };
    let all = || (0..experiment.challenge.len()).flat_map(outcomes);
    // Values of which one is taken and another refused may be two kinds of answer to one question: they are asked again.
    let disagree =
        all().any(|c| matches!(c, Challenged::Accepted(_))) && all().any(|c| matches!(c, Challenged::Refused(_)));
    let wanted = if disagree { facts.surer() } else { facts.clone() }.least(experiment.id()) as usize;
    for index in 0..experiment.challenge.len() {
        let arm = ArmKind::Challenge(index as u8);
        let tried: Vec<&Trial> = trials.iter().filter(|t| t.arm == arm).collect();
        let ended: Vec<Challenged<'_>> = outcomes(index).collect();
        let refused = ended.iter().any(|c| matches!(c, Challenged::Refused(_) | Challenged::RefusedOtherwise(_)));
        if refused && ended.iter().any(|c| matches!(c, Challenged::Accepted(_))) {
            return Step::Done(inconclusive(Undecided::Unsteady, "the same impossible value was refused and accepted"));
        }
        if tried.len() < wanted {
            return Step::Try(Try { variant: None, arm });
        }
        let attributed = experiment.treatment.is_some() || !experiment.variants.is_empty();
        for outcome in ended {
            let told = match &outcome {
                Challenged::Refused(refusal) | Challenged::RefusedOtherwise(refusal) => {
                    let named = crate::engine::rules::names(&refusal.message, experiment.id());
                    // A treatment that was accepted is all the control that a refused value needs.
                    if !(attributed || named && arms::negative_is_plain(experiment, None))
                        && let Some(step) = control(experiment, trials, ArmKind::Negative)
                    {
                        return step;
                    }
                    format!("an impossible value is refused (HTTP {}: {})", refusal.status, refusal.message)
                }
                Challenged::Accepted(_) | Challenged::Failed(_) => String::new(),
            };
            match outcome {
                // A refusal that does not say what it is about is asked for twice, here too.
                Challenged::Refused(refusal)
                    if tried.len() < 2
                        && refusal.status != 401
                        && !crate::engine::rules::names(&refusal.message, experiment.id()) =>
                {
                    return Step::Try(Try { variant: None, arm });
                }
                Challenged::Refused(_) => {
                    if experiment.about_credentials && !taken.is_empty() {
                        return Step::Done(inconclusive(
                            Undecided::ChallengesDisagree,
                            "a made-up credential is accepted and a missing one refused: it must be there, but is not \
                             checked",
                        ));
                    }
                    let mut verdict = decided(VerdictStatus::Supported, Evidence::Validated, None, told);
                    if !taken.is_empty() {
                        verdict.qualifiers.push(format!("another impossible value is accepted ({})", names_of(&taken)));
                    }
                    return Step::Done(verdict);
                }
                Challenged::RefusedOtherwise(refusal) => {
                    let text = &refusal.message;
                    return Step::Done(if crate::engine::rules::names(text, experiment.id()) || says_unknown(text) {
                        rejected(experiment.id(), refusal, facts)
                    } else {
                        inconclusive(
                            Undecided::RefusalUnclear,
                            format!(
                                "refused with HTTP {}, in words that tell neither that the field is unknown nor that its \
                                 value is wrong: {text}",
                                refusal.status
                            ),
                        )
                    });
                }
                Challenged::Accepted(trial) => {
                    taken.push((index, trial));
                    break;
                }
                Challenged::Failed(why) => failed = Some(why),
            }
        }
    }
    if let Some(why) = failed {
        return Step::Done(inconclusive(
            Undecided::ChallengeFailed,
            format!("an impossible value brought no answer: {why}"),
        ));
    }
    Step::Done(all_accepted(experiment, trials, &taken))
}

fn names_of(accepted: &[(usize, &Trial)]) -> String {
    accepted.iter().map(|(i, _)| ArmKind::Challenge(*i as u8).to_string()).collect::<Vec<_>>().join(", ")
}

fn all_accepted(experiment: &Experiment, trials: &[Trial], accepted: &[(usize, &Trial)]) -> Verdict {
    if let Some(trace) = &experiment.trace {
        let shows = |t: &Trial| t.message().is_some_and(|m| holds(trace, m, &t.values));
        let treated = trials.iter().any(|t| t.arm == ArmKind::Treatment && shows(t));
        if !treated {
            return inconclusive(
                Undecided::ModelDoesNotShow,
                "impossible values are accepted, and what the field governs shows at a valid one neither",
            );
        }
        if !accepted.iter().any(|(_, t)| shows(t)) {
            return decided(
                VerdictStatus::Supported,
                Evidence::Effect,
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
        AcceptedMeans::Ignored => decided(VerdictStatus::Ignored, Evidence::Validated, None, told),
        AcceptedMeans::Inconclusive => inconclusive(
            Undecided::BoundNotSeen,
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
            decided(VerdictStatus::Substituted, Evidence::Validated, None, told)
        }
    }
}
