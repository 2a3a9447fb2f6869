//! Dotted paths to places in a request, as error messages name them: `messages.0.content.1.text.cache_control`.

use std::fmt;

/// A place in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorPath(String);

impl ErrorPath {
    /// A key of the request itself.
    pub fn root(key: &str) -> Self {
        Self(truncate_text(key).to_owned())
    }

    /// A key, or the tag of a union, below this place.
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}.{}", self.0, truncate_text(key)))
    }

    /// An entry of the array at this place.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}.{index}", self.0))
    }
}

impl fmt::Display for ErrorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The start of a text that came from a request, short enough for an error message.
pub(super) fn truncate_text(text: &str) -> &str {
    match text.char_indices().nth(80) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
