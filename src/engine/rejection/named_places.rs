//! [`find_named_places`]: the places of a request that the text of an error names.
//!
//! Pure, and independent of the request: a place is only a guess until it is found there. The forms are
//! those of common frameworks: dotted paths with and without indices, JSON pointers, paths with arrows,
//! lists of `loc`, field names of Go structs, and names in quotes.

use std::iter;

/// How a text names a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PlaceSource {
    /// In a key for it, as the subject of a validation error, or before the colon that begins the text.
    Subject,
    /// As a path with several segments.
    Path,
    /// In quotes.
    Quoted,
    /// As a word that looks like a key: with an underscore, or like the name of a header.
    Word,
}

/// A place that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedPlace {
    /// The keys and indices, from the outside in.
    pub segments: Vec<String>,
    /// The same as the text has it.
    pub text: String,
    /// How the text names it.
    pub source: PlaceSource,
}

impl NamedPlace {
    fn parse(text: &str, source: PlaceSource) -> Option<Self> {
        let segments = split_path(text)?;
        Some(Self { segments, text: text.to_owned(), source })
    }
}

/// The places that an error names, in the order of their weight and of the text. `paths` are the places
/// in keys of the body (`param`, `loc`).
pub(super) fn find_named_places(paths: &[String], text: &str) -> Vec<NamedPlace> {
    let subjects = paths.iter().cloned().chain(find_loc_lists(text)).chain(find_subjects(text));
    let mut places: Vec<NamedPlace> =
        subjects.filter_map(|path| NamedPlace::parse(&path, PlaceSource::Subject)).collect();
    let text = text.replace(" -> ", ".");
    for (word, is_quoted) in split_words(&text) {
        let Some(mut place) = NamedPlace::parse(word, PlaceSource::Quoted) else { continue };
        place.source = match (place.segments.len(), is_quoted) {
            (2.., _) => PlaceSource::Path,
            (_, true) => PlaceSource::Quoted,
            (_, false) if is_key_like(word) => PlaceSource::Word,
            (_, false) => continue,
        };
        places.push(place);
    }
    places
}

/// True for a word that is hardly part of a sentence: `max_tokens`, `anthropic-beta`, `MaxTokens`.
fn is_key_like(word: &str) -> bool {
    let has_inner_capital = word.chars().skip(1).any(char::is_uppercase) && word.chars().any(char::is_lowercase);
    word.contains('_') || word.contains('-') || has_inner_capital
}

/// The paths in lists that frameworks print: `'loc': ('body', 'tools', 0)`, `"loc":["body","tools",0]`.
fn find_loc_lists(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for part in text.split("loc").skip(1) {
        let list = part.trim_start_matches(['\'', '"', ':', '=', ' ']);
        let Some(inner) = list.strip_prefix(['(', '[']) else { continue };
        let end = inner.find([')', ']']).unwrap_or(inner.len());
        let segments: Vec<&str> =
            inner[..end].split(',').map(|s| s.trim().trim_matches(['\'', '"'])).filter(|s| !s.is_empty()).collect();
        paths.push(segments.join("."));
    }
    paths
}

/// The subjects of a text: the path before the colon of each of its clauses, or the one after "validation
/// error for Request".
fn find_subjects(text: &str) -> Vec<String> {
    if let Some((_, rest)) = text.split_once("validation error") {
        let mut words = rest.split_whitespace().skip_while(|word| matches!(*word, "s" | "for"));
        return words
            .nth(1)
            .filter(|word| word.starts_with(char::is_alphabetic))
            .map(str::to_owned)
            .into_iter()
            .collect();
    }
    let text = text.replace(" -> ", ".");
    let clauses = text.split("; ").filter_map(|clause| clause.split_once(':'));
    let starts = clauses.map(|(start, _)| start.trim().trim_start_matches("header ").trim_matches(['`', '\'', '"']));
    starts.filter(|start| !start.is_empty() && !start.contains(char::is_whitespace)).map(str::to_owned).collect()
}

/// The words of a text, with whether a word is in quotes.
fn split_words(text: &str) -> Vec<(&str, bool)> {
    let is_inner = |c: char| c.is_alphanumeric() || "_-.[]$/#".contains(c);
    let mut words = Vec::new();
    let mut rest = text;
    let mut before = None;
    while let Some(start) = rest.find(|c: char| is_inner(c) || "'\"`".contains(c)) {
        before = rest[..start].chars().next_back().or(before.filter(|_| start == 0));
        rest = &rest[start..];
        let first = rest.chars().next().unwrap_or_default();
        if "'\"`".contains(first) {
            // An apostrophe inside a word opens no quote.
            let opens = !before.is_some_and(char::is_alphanumeric);
            let quoted = rest[1..].find(first).map(|end| &rest[1..=end]);
            match quoted.filter(|inner| opens && !inner.is_empty() && !inner.contains(char::is_whitespace)) {
                Some(inner) => {
                    words.push((inner, true));
                    rest = &rest[inner.len() + 2..];
                }
                None => rest = &rest[1..],
            }
            before = Some(first);
            continue;
        }
        let end = rest.find(|c: char| !is_inner(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        before = word.chars().next_back();
        // A name in brackets: `extraneous key [top_k]`.
        let bare = word.trim_end_matches(['.', '-', '/']).trim_start_matches(['-', '.']);
        let bare = bare.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(bare);
        words.push((bare, false));
        rest = &rest[end..];
    }
    words
}

/// The segments of a path: `messages.1.content[0].type`, `$.tools[0]`, `#/messages/0`, `body.tools.0`,
/// `Request.MaxTokens`. `None` if the text is no path.
fn split_path(text: &str) -> Option<Vec<String>> {
    let text = text.trim_start_matches(['$', '#']);
    let separated = text.replace(['[', '/'], ".").replace(']', "");
    let mut segments: Vec<String> = separated
        .split('.')
        .map(|segment| segment.trim_matches(['\'', '"', '`']))
        .filter(|segment| !segment.is_empty())
        .map(to_snake_case)
        .collect();
    // The path of a URL, as in errors about a missing route.
    if segments.first().is_some_and(|first| first == "v1") {
        return None;
    }
    let is_segment = |s: &String| s.chars().all(|c| c.is_alphanumeric() || "_-:{}(),|<> ".contains(c));
    if segments.is_empty() || segments.len() > 20 || !segments.iter().all(is_segment) {
        return None;
    }
    if segments.len() > 1 && matches!(segments[0].as_str(), "body" | "request" | "root" | "header" | "headers") {
        segments.remove(0);
    }
    Some(segments)
}

/// A field name of a Go struct in the form of JSON: `MaxTokens` is `max_tokens`. Other names are
/// unchanged.
fn to_snake_case(name: &str) -> String {
    if !name.starts_with(char::is_uppercase) || name.contains(['_', '-', '[', ' ']) {
        return name.to_owned();
    }
    let mut snake = String::new();
    for (previous, c) in iter::once(None).chain(name.chars().map(Some)).zip(name.chars()) {
        if c.is_uppercase() && previous.is_some_and(char::is_lowercase) {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> String {
        find_named_places(&[], text).first().map_or_else(String::new, |place| place.segments.join("."))
    }

    #[test]
    fn an_apostrophe_opens_no_quote() {
        let places = find_named_places(&[], "can't set 'top_k' and don't");
        assert_eq!(places.iter().map(|p| p.text.as_str()).collect::<Vec<_>>(), ["top_k"]);
    }

    #[test]
    fn words_of_a_sentence_are_no_places() {
        for text in [
            "upstream error",
            "this model does not support tools",
            "automatically rejected",
            "Input should be a valid string",
            "prompt is too long: 205000 tokens > 200000 maximum",
        ] {
            assert_eq!(find_named_places(&[], text), [], "{text}");
        }
    }

    #[test]
    fn every_form_of_a_path_is_read() {
        for (text, path) in [
            ("messages.1.content.0.text: must not be empty", "messages.1.content.0.text"),
            ("Invalid value at messages[1].content", "messages.1.content"),
            ("error in $.tools[0]", "tools.0"),
            ("body -> tools -> 0: extra fields not permitted", "tools.0"),
            ("ValidationException: #/messages/0: required key [type] not found", "validation_exception"),
            ("[{'type': 'missing', 'loc': ('body', 'messages', 1, 'role'), 'msg': 'no'}]", "messages.1.role"),
            ("2 validation errors for Request top_k Extra inputs are not permitted", "top_k"),
            ("Key: 'MessagesRequest.Messages[0].Role' Error:Field validation", "key"),
        ] {
            assert_eq!(first(text), path, "{text}");
        }
        assert_eq!(to_snake_case("MaxTokens"), "max_tokens");
        assert_eq!(to_snake_case("ID"), "id");
    }
}
