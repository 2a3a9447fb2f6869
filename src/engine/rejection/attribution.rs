//! [`attribute_rejection`]: whether a rejection is about the field of the row.

use std::collections::BTreeMap;
use std::{iter, ptr};

use crate::catalog::Experiment;
use crate::engine::rejection::named_places::{NamedPlace, PlaceSource, find_named_places};
use crate::engine::rejection::outline::{OutlinePath, PlaceLookup, RequestOutline};
use crate::engine::request::arms;
use crate::engine::request::sent::PlacedField;
use crate::engine::trial::CompletedTrial;
use crate::recording::run::ArmKind;
use crate::wire::message::{HttpError, InterpretedExchange};

/// What a rejection is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RejectionSubject {
    /// The field of the row.
    ThisField,
    /// Something else. The text says what.
    Elsewhere(String),
    /// The error names nothing that is in the request.
    Unnamed,
}

/// The keys at the top of a body. An error about one of them that the request does not have is about a
/// field that the endpoint added.
const TOP_LEVEL_KEYS: [&str; 18] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "stream",
    "metadata",
    "tools",
    "tool_choice",
    "thinking",
    "service_tier",
    "container",
    "mcp_servers",
    "context_management",
    "output_config",
];

/// Keys that are also words of sentences and values of other keys. In quotes, they name the field of the
/// row, but no other.
const COMMON_WORDS: [&str; 12] =
    ["model", "stream", "system", "thinking", "tools", "text", "name", "id", "input", "content", "role", "messages"];

/// Phrases of errors that miss something, or dislike the order of something.
const CONSEQUENCE_PHRASES: [&str; 9] = [
    "too short",
    "at least one",
    "at least 1",
    "required",
    "missing",
    "must alternate",
    "alternate between",
    "first message",
    "no tool_use",
];

/// Phrases about the order of turns, which need no place: the server lost or merged a turn.
const TURN_ORDER_PHRASES: [&str; 3] = ["must alternate", "alternate between", "first message must"];

/// Values of the trial shorter than this can be part of any text.
const MIN_VALUE_CHARS: usize = 6;

/// Finds out what a rejection is about. `error` is part of one of the trials.
pub(crate) fn attribute_rejection<'a>(
    experiment: &Experiment,
    trials: impl IntoIterator<Item = &'a CompletedTrial>,
    error: &HttpError,
) -> RejectionSubject {
    if experiment.about_credentials && matches!(error.status, 401 | 403) {
        return RejectionSubject::ThisField;
    }
    let expects_error = experiment.reply.as_ref().is_some_and(|reply| reply.expects_http_error());
    if !expects_error && names_mistake(&error.message, experiment.about_words.iter()) {
        return RejectionSubject::ThisField;
    }
    match RejectedRequest::find(experiment, trials, error) {
        Some(request) => request.attribute(error),
        None => RejectionSubject::Unnamed,
    }
}

/// The same for a documented error, which may also say in words what is wrong: in the words of `about`,
/// or with a key in which the request differs from the negative control.
pub(crate) fn attribute_documented_error(
    experiment: &Experiment,
    trials: &[CompletedTrial],
    error: &HttpError,
) -> RejectionSubject {
    let Some(request) = RejectedRequest::find(experiment, trials, error) else { return RejectionSubject::ThisField };
    // Nothing in the body or the headers differs: the path, the credential or a body that is not JSON.
    if experiment.about_credentials || request.subject.is_empty() {
        return RejectionSubject::ThisField;
    }
    let keys = request.subject.iter().filter_map(|path| path.iter().rfind(|key| key.parse::<usize>().is_err()));
    if names_mistake(&error.message, experiment.about_words.iter().chain(keys.filter(|key| *key != "messages"))) {
        return RejectionSubject::ThisField;
    }
    let text = error.message.to_lowercase();
    match request.attribute(error) {
        RejectionSubject::Unnamed if TURN_ORDER_PHRASES.iter().any(|phrase| text.contains(phrase)) => {
            RejectionSubject::Elsewhere("the order of the turns, which is correct in the request".to_owned())
        }
        subject => subject,
    }
}

/// True if a text contains one of the words that say what is wrong.
fn names_mistake<'a>(text: &str, mut words: impl Iterator<Item = &'a String>) -> bool {
    let text = text.to_lowercase();
    words.any(|word| contains_word(&text, &word.to_lowercase()))
}

/// True if a text contains a phrase that is not part of longer words.
fn contains_word(text: &str, phrase: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(phrase).any(|(start, _)| {
        !is_word(text[..start].chars().next_back()) && !is_word(text[start + phrase.len()..].chars().next())
    })
}

/// A rejected request, and the places in it that the row is about.
struct RejectedRequest<'a> {
    outline: RequestOutline,
    subject: Vec<OutlinePath>,
    values: &'a BTreeMap<String, String>,
    /// The places of the request that belong to rows.
    places: &'a [PlacedField],
    row: String,
    /// The row, and the rows to whose field it refers.
    about_rows: Vec<String>,
    is_challenge: bool,
}

/// What a named place is to a row.
enum PlaceMeaning {
    Subject,
    /// A part of the request around the subject.
    Around,
    Other,
    /// A field that the request does not have.
    Added,
    Nothing,
}

impl<'a> RejectedRequest<'a> {
    fn find(
        experiment: &Experiment,
        trials: impl IntoIterator<Item = &'a CompletedTrial>,
        error: &HttpError,
    ) -> Option<Self> {
        let is_error =
            |step: &InterpretedExchange| matches!(step, InterpretedExchange::HttpError(e) if ptr::eq(e, error));
        let trial = trials.into_iter().find(|trial| trial.responses.iter().any(is_error))?;
        let variant = trial.variant.as_deref();
        let outline = |arm: ArmKind| {
            let layers = match arm {
                ArmKind::Genuine => arms::own_block_layers(experiment)?[1].clone(),
                arm => arms::layers(experiment, variant, arm),
            };
            RequestOutline::new(experiment, &layers, &trial.values).filter(|_| !layers.is_empty())
        };
        let request = outline(trial.arm)?;
        let control = if trial.arm == ArmKind::NarrowWide { ArmKind::Wide } else { ArmKind::Negative };
        let mut subject = outline(control).map(|control| request.differences(&control)).unwrap_or_default();
        if matches!(trial.arm, ArmKind::Challenge(_))
            && let Some(treatment) = outline(ArmKind::Treatment)
        {
            subject.extend(request.differences(&treatment));
        }
        let is_challenge = matches!(trial.arm, ArmKind::Challenge(_));
        let places = trial.sent.last().map_or(&[][..], |sent| sent.places.as_slice());
        Some(Self {
            outline: request,
            subject,
            values: &trial.values,
            places,
            row: experiment.id().to_owned(),
            about_rows: iter::once(experiment.id())
                .chain(experiment.field.iter().flat_map(|field| field.at.rows()).map(String::as_str))
                .map(str::to_owned)
                .collect(),
            is_challenge,
        })
    }

    fn attribute(&self, error: &HttpError) -> RejectionSubject {
        let text = &error.message;
        let places = find_named_places(&error.paths, text);
        let misses_something = {
            let text = text.to_lowercase();
            CONSEQUENCE_PHRASES.iter().any(|phrase| text.contains(phrase))
        };
        let (named_subjects, named_in_text): (Vec<_>, Vec<_>) =
            places.iter().partition(|place| place.source == PlaceSource::Subject);
        for places in [named_subjects, named_in_text] {
            if let Some(subject) = self.attribute_places(&places, misses_something) {
                return subject;
            }
        }
        let is_repeated = |value: &&String| value.len() >= MIN_VALUE_CHARS && text.contains(value.as_str());
        let repeats_subject = self
            .values
            .values()
            .filter(is_repeated)
            .any(|value| self.is_in_subject(self.outline.find_text(value, false)));
        if repeats_subject { RejectionSubject::ThisField } else { RejectionSubject::Unnamed }
    }

    /// The subject of a rejection by these places. `None` if none of them is in the request.
    fn attribute_places(&self, places: &[&NamedPlace], misses_something: bool) -> Option<RejectionSubject> {
        let meanings: Vec<(PlaceMeaning, &str)> =
            places.iter().map(|place| (self.classify(place), place.text.as_str())).collect();
        let find = |is_wanted: fn(&PlaceMeaning) -> bool| meanings.iter().position(|(meaning, _)| is_wanted(meaning));
        let subject = find(|meaning| matches!(meaning, PlaceMeaning::Subject));
        let added = find(|meaning| matches!(meaning, PlaceMeaning::Added));
        let elsewhere =
            |index: usize, what: &str| Some(RejectionSubject::Elsewhere(format!("`{}`{what}", meanings[index].1)));
        match (added, subject) {
            (Some(added), subject) if subject.is_none_or(|subject| added < subject) => {
                return elsewhere(added, ", which the request does not contain");
            }
            (_, Some(_)) => return Some(RejectionSubject::ThisField),
            (_, None) => {}
        }
        if let Some(other) = find(|meaning| matches!(meaning, PlaceMeaning::Other)) {
            return elsewhere(other, "");
        }
        let around = find(|meaning| matches!(meaning, PlaceMeaning::Around)).filter(|_| misses_something)?;
        elsewhere(around, ", which is complete in the request")
    }

    fn classify(&self, place: &NamedPlace) -> PlaceMeaning {
        let first = place.segments.first().map_or("", String::as_str);
        let is_path = place.source <= PlaceSource::Path;
        let is_top_level = TOP_LEVEL_KEYS.contains(&first);
        let found = match self.outline.look_up(&place.segments) {
            PlaceLookup::Found(path) => vec![path],
            PlaceLookup::Missing(path) => {
                // A key that is missing in the subject is part of it.
                if self.is_in_subject(vec![path.clone()]) {
                    return PlaceMeaning::Subject;
                }
                let is_added = path.len() <= 2 && is_top_level && (is_path || !COMMON_WORDS.contains(&first));
                match (path.len() <= 2, is_added, self.outline.has_follow_ups) {
                    (true, true, _) => return PlaceMeaning::Added,
                    (true, false, _) => self.outline.look_up_anywhere(&place.segments),
                    // Later messages of a conversation are not in the outline.
                    (false, _, true) if first == "messages" => return PlaceMeaning::Subject,
                    (false, ..) => vec![path],
                }
            }
            PlaceLookup::Unknown => self.outline.look_up_anywhere(&place.segments),
        };
        if found.is_empty() {
            let repeats_subject = !is_path && self.is_in_subject(self.outline.find_text(&place.text, true));
            return if repeats_subject { PlaceMeaning::Subject } else { PlaceMeaning::Nothing };
        }
        if found.iter().all(|path| self.belongs_to_other_row(path)) {
            return PlaceMeaning::Other;
        }
        if self.is_in_subject(found.clone()) {
            return PlaceMeaning::Subject;
        }
        let is_around = |path: &OutlinePath| self.subject.iter().any(|subject| subject.starts_with(path));
        if found.iter().any(is_around) {
            return PlaceMeaning::Around;
        }
        // A single word names another field only if it can hardly mean anything else.
        let is_distinct = is_path || is_top_level && !COMMON_WORDS.contains(&first);
        if is_distinct { PlaceMeaning::Other } else { PlaceMeaning::Nothing }
    }

    /// True if a place belongs to another row, although the negative control does not have it either: a
    /// row about a tool result also sends the call. Invalid values may be in the field of another row.
    fn belongs_to_other_row(&self, path: &[String]) -> bool {
        if let [part, name] = path
            && part == "headers"
        {
            return self.is_header_of_other_row(name);
        }
        let Some(("body", keys)) = path.split_first().map(|(first, keys)| (first.as_str(), keys)) else { return false };
        let pointer = format!("/{}", keys.join("/"));
        let contains = |field: &PlacedField| {
            pointer.strip_prefix(&field.place.pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_own = |field: &&PlacedField| field.place.row == self.row;
        let (own, others): (Vec<_>, Vec<_>) = self.places.iter().filter(|field| field.place.is_field).partition(is_own);
        !self.is_challenge && !own.is_empty() && !own.into_iter().any(contains) && others.into_iter().any(contains)
    }

    /// True if a header has a row of its own, and this row only sends it to be allowed to use something
    /// else.
    fn is_header_of_other_row(&self, name: &str) -> bool {
        let row = format!("header.{name}");
        let has_row = self.places.iter().any(|field| field.place.row == row);
        !self.is_challenge && has_row && !self.about_rows.contains(&row)
    }

    /// True if one of the places is in the subject of the row.
    fn is_in_subject(&self, places: Vec<OutlinePath>) -> bool {
        !places.is_empty() && places.iter().any(|place| self.subject.iter().any(|subject| place.starts_with(subject)))
    }
}

#[cfg(test)]
mod tests;
