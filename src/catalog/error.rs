//! [`CaseError`]: a problem in a case file, with the file, the line, the column and the text of the line.
//!
//! Must not know what the files mean. Callers say what was expected.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Characters of a long line that are shown on each side of the location.
const CONTEXT_CHARS: usize = 60;

/// Errors that are shown. More would push the first ones off the screen.
const MAX_REPORTED_ERRORS: usize = 20;

/// One problem in one case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseError {
    /// The file, as the user named it.
    pub file: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// The location. `None` for the file as a whole.
    pub location: Option<SourceLocation>,
    /// What to do, if the message does not say it.
    pub help: Option<String>,
}

/// A location in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLocation {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text.
    pub text: String,
}

impl SourceLocation {
    /// The location at a line and column of a text. Locations after the end move to the end.
    pub fn new(text: &str, line: usize, column: usize) -> Self {
        let line = line.max(1);
        let shown = text.lines().nth(line - 1).unwrap_or_default();
        Self { line, column: column.max(1), text: shown.to_owned() }
    }
}

impl CaseError {
    /// A problem of a file as a whole.
    pub fn new(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), message: message.into(), location: None, help: None }
    }

    /// A problem at a location in a file.
    pub fn new_at_location(file: &str, place: SourceLocation, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), message: message.into(), location: Some(place), help: None }
    }

    /// Adds what to do.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let renderer = Renderer::plain();
        let Some(place) = &self.location else {
            write!(f, "error: {}: {}", self.file, self.message)?;
            return self.help.iter().try_for_each(|help| write!(f, "\n  = help: {help}"));
        };
        // A hostile file may consist of one very long line, so only a part of it is shown.
        let at = (place.column - 1).min(place.text.chars().count());
        let from = at.saturating_sub(CONTEXT_CHARS);
        let shown: String = place.text.chars().skip(from).take(2 * CONTEXT_CHARS).collect();
        let start: usize = shown.chars().take(at - from).map(char::len_utf8).sum();
        let end = shown[start..].chars().next().map_or(start, |c| start + c.len_utf8());
        let path = format!("{}:{}:{}", self.file, place.line, place.column);
        let snippet =
            Snippet::source(shown.as_str()).line_start(place.line).annotation(AnnotationKind::Primary.span(start..end));
        let mut group = Level::ERROR.primary_title(format!("{path}: {}", self.message)).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        write!(f, "{}", renderer.render(&[group]))
    }
}

impl std::error::Error for CaseError {}

/// All problems in a set of case files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseErrors(pub Vec<CaseError>);

impl fmt::Display for CaseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().take(MAX_REPORTED_ERRORS).enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{error}")?;
        }
        match self.0.len().saturating_sub(MAX_REPORTED_ERRORS) {
            0 => Ok(()),
            1 => write!(f, "\n\nand 1 more error"),
            more => write!(f, "\n\nand {more} more errors"),
        }
    }
}

impl std::error::Error for CaseErrors {}
