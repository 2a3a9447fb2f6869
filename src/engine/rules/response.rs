//! The rule for rows that are decided by what an answer is: a refusal that the documents promise, a count, a list.
//!
//! One answer decides, since such things are true of the server and not of the model; a refusal is asked for twice, and
//! proves something only where a request without the mistake is accepted afterwards; a server error, only where it comes
//! each time. What was
//! expected is `supported`; what was accepted without it, `ignored`; what was refused otherwise, `rejected`.

use crate::catalog::{AnswerTest, Experiment, VerdictStatus};
use crate::engine::inconclusive::Undecided;
use crate::engine::predicate::{answer_holds, why_not};
use crate::engine::request::arms;
use crate::engine::request::build::PATH;
use crate::engine::rules::{Facts, STEADY_TRIALS, Step, Try, decided, inconclusive, validation};
use crate::engine::trial::{ENDED_EARLY, Trial, spoken_error, void};
use crate::recording::run::ArmKind;
use crate::results::model::{Evidence, Verdict};
use crate::wire::message::{Reading, excerpt};
use crate::wire::response_body::Answer;

/// The most trials of an arm: one fewer answer than are ever needed, as many void trials as these allow, and one.
pub(crate) const MOST_TRIALS: u32 = 2 * (STEADY_TRIALS - 1) + VOID_LIMIT as u32 + 1;
/// Trials of one arm that say nothing after which it is given up.
const VOID_LIMIT: usize = 3;
/// Server errors in a row after which they are taken for the answer to this request.
const CRASH_LIMIT: usize = 3;

/// What comes next for one variant of a row (or for the row, where it has none).
pub(crate) fn next(
    experiment: &Experiment,
    expected: &AnswerTest,
    variant: Option<&str>,
    trials: &[Trial],
    facts: &Facts,
) -> Step {
    let tried: Vec<&Trial> =
        trials.iter().filter(|t| t.arm == ArmKind::Treatment && t.variant.as_deref() == variant).collect();
    let again = || Step::Try(Try { variant: variant.map(str::to_owned), arm: ArmKind::Treatment });
    let came: Vec<Came<'_>> = tried.iter().map(|t| came(experiment, expected, t)).collect();
    let told: Vec<&Came<'_>> = came.iter().filter(|c| !matches!(c, Came::Void(_))).collect();
    let Some(last) = told.last() else {
        return match came.last() {
            Some(Came::Void(why)) if came.len() >= VOID_LIMIT => {
                Step::Done(inconclusive(Undecided::VoidTrials, format!("so in each of {} trials: {why}", came.len())))
            }
            _ => again(),
        };
    };
    // A model that answers now and then only is given up, too.
    if came.len() - told.len() > VOID_LIMIT + told.len() {
        return Step::Done(inconclusive(
            Undecided::VoidTrials,
            format!("{} of {} trials say nothing", came.len() - told.len(), came.len()),
        ));
    }
    if let Some(Came::Nothing(why)) = told.iter().find(|c| matches!(c, Came::Nothing(_))) {
        return Step::Done(inconclusive(Undecided::TreatmentFailed, why.clone()));
    }
    if told.iter().any(|c| c.kind() != last.kind()) {
        return Step::Done(inconclusive(Undecided::Unsteady, "the same request was answered in different ways"));
    }
    // A refusal may have another reason than the request, so it is asked for twice, and then whether the server still
    // answers at all.
    let is_refusal =
        matches!(last.kind(), Kind::Crashed | Kind::Refused) || last.answer().is_some_and(|a| a.status >= 400);
    let needed = match last.kind() {
        Kind::Crashed => CRASH_LIMIT,
        _ if is_refusal => 2,
        _ => 1,
    };
    if told.len() < needed.max(facts.least(experiment.id()) as usize) {
        return again();
    }
    if is_refusal && let Some(step) = validation::control(experiment, trials, ArmKind::After) {
        return step;
    }
    Step::Done(verdict(experiment, expected, last, told.len()))
}

/// What came of a trial.
enum Came<'a> {
    /// What the documents say.
    Expected(&'a Answer),
    /// Another answer that the row knows.
    Otherwise(usize, &'a Answer),
    /// A success without what was to be in it; why.
    Accepted(&'a Answer, String),
    /// Another client error.
    Refused(&'a Answer),
    /// A server error.
    Crashed(&'a Answer),
    /// An answer that says nothing.
    Void(String),
    /// No answer, or one that has another reason.
    Nothing(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Expected,
    Otherwise(usize),
    Accepted,
    Refused,
    Crashed,
    Void,
    Nothing,
}

impl Came<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Expected(_) => Kind::Expected,
            Self::Otherwise(n, _) => Kind::Otherwise(*n),
            Self::Accepted(..) => Kind::Accepted,
            Self::Refused(_) => Kind::Refused,
            Self::Crashed(_) => Kind::Crashed,
            Self::Void(_) => Kind::Void,
            Self::Nothing(_) => Kind::Nothing,
        }
    }

    fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Expected(a) | Self::Otherwise(_, a) | Self::Accepted(a, _) | Self::Refused(a) | Self::Crashed(a) => {
                Some(a)
            }
            Self::Void(_) | Self::Nothing(_) => None,
        }
    }
}

fn came<'a>(experiment: &Experiment, expected: &AnswerTest, trial: &'a Trial) -> Came<'a> {
    if trial.ended_early(experiment) {
        return Came::Void(ENDED_EARLY.to_owned());
    }
    let steps = 1 + arms::then(&arms::layers(experiment, trial.variant.as_deref(), trial.arm)).len();
    let Some(answer) = &trial.answer else {
        let why = match trial.steps.last() {
            Some(Reading::Failed(why) | Reading::Broken(why)) => why.clone(),
            Some(Reading::Message(_) | Reading::Refused(_)) | None => "the answer did not come whole".to_owned(),
        };
        return Came::Nothing(why);
    };
    let message = trial.steps.last().and_then(|step| match step {
        Reading::Message(message) => Some(message),
        Reading::Refused(_) | Reading::Broken(_) | Reading::Failed(_) => None,
    });
    // A conversation that is refused at its first request never came to what the row is about.
    if trial.steps.len() == 1 && steps > 1 {
        return Came::Nothing(format!("the conversation did not begin: {}", told(answer)));
    }
    let holds = |test: &AnswerTest| answer_holds(test, answer, message, &trial.values);
    if holds(expected) {
        return Came::Expected(answer);
    }
    if let Some(n) = experiment.otherwise.iter().position(|o| holds(&o.when)) {
        return Came::Otherwise(n, answer);
    }
    if let Some(error) = message.and_then(spoken_error) {
        return Came::Nothing(error);
    }
    if let Some(why) = message.and_then(void) {
        return Came::Void(why);
    }
    match answer.status {
        // A rate limit is no answer to what was asked, nor is an outage that the server speaks of as one.
        429 => Came::Nothing(told(answer)),
        401 | 403 if !experiment.about_credentials => Came::Nothing(told(answer)),
        300..=399 => Came::Nothing(format!("a redirect: {}", told(answer))),
        500.. => Came::Crashed(answer),
        400..=499 => Came::Refused(answer),
        _ if answer.json["type"] == "error" => Came::Refused(answer),
        // What is no message was not accepted as a request for one.
        _ if message.is_none() && asks_for_message(experiment, trial) => {
            Came::Nothing(format!("an answer that is no message: {}", told(answer)))
        }
        _ => Came::Accepted(answer, why_not(expected, answer, message, &trial.values)),
    }
}

/// True of a request whose answer is a message, where it is accepted.
fn asks_for_message(experiment: &Experiment, trial: &Trial) -> bool {
    let layers = arms::layers(experiment, trial.variant.as_deref(), trial.arm);
    let path = layers.iter().rev().find_map(|arm| arm.path.as_deref()).unwrap_or(PATH);
    path.split('?').next() == Some(PATH)
}

/// An answer in a few words: what a message says is of no interest here.
fn told(answer: &Answer) -> String {
    if answer.status < 300 && (answer.json["type"] == "message" || answer.events.contains("message_start")) {
        format!("HTTP {} with a message", answer.status)
    } else if let (Some(kind), Some(text)) =
        (answer.json["error"]["type"].as_str(), answer.json["error"]["message"].as_str())
    {
        format!("HTTP {}, {kind}: {}", answer.status, excerpt(text, 300))
    } else {
        format!("HTTP {}: {}", answer.status, answer.text)
    }
}

fn verdict(experiment: &Experiment, expected: &AnswerTest, came: &Came<'_>, times: usize) -> Verdict {
    let decided = |status, reason| decided(status, Evidence::Reply, None, reason);
    match came {
        Came::Expected(answer) => {
            decided(VerdictStatus::Supported, format!("answered as documented ({})", told(answer)))
        }
        Came::Otherwise(n, answer) => {
            let otherwise = &experiment.otherwise[*n];
            if !otherwise.verdict.is_decided() {
                let why = if answer.status >= 400 { Undecided::RefusalUnclear } else { Undecided::ModelDoesNotShow };
                return inconclusive(why, format!("{}: {}", otherwise.note, told(answer)));
            }
            let mut verdict = decided(otherwise.verdict, told(answer));
            verdict.qualifiers.push(match otherwise.verdict {
                VerdictStatus::Supported => format!("altered: {}", otherwise.note),
                _ => otherwise.note.clone(),
            });
            verdict
        }
        Came::Accepted(answer, _) if expected.is_refusal() => {
            decided(VerdictStatus::Ignored, format!("accepted where the documents have it refused: {}", told(answer)))
        }
        Came::Accepted(answer, why) => decided(VerdictStatus::Ignored, format!("{why} ({})", told(answer))),
        Came::Refused(answer) if expected.is_refusal() => decided(
            VerdictStatus::Rejected,
            format!("refused, but not as documented: {} ({})", told(answer), wanted(expected)),
        ),
        Came::Refused(answer) => decided(VerdictStatus::Rejected, format!("refused with {}", told(answer))),
        Came::Crashed(answer) => decided(
            VerdictStatus::Rejected,
            format!("a server error, {times} times in a row, while other requests are answered: {}", told(answer)),
        ),
        Came::Void(why) => inconclusive(Undecided::VoidTrials, why.clone()),
        Came::Nothing(why) => inconclusive(Undecided::TreatmentFailed, why.clone()),
    }
}

/// What was expected of a refusal.
fn wanted(expected: &AnswerTest) -> String {
    let statuses: Vec<String> = expected.status.iter().map(u16::to_string).collect();
    match &expected.error {
        Some(kind) => format!("documented: HTTP {} with {kind}", statuses.join(" or ")),
        None => format!("documented: HTTP {}", statuses.join(" or ")),
    }
}
