//! Dotted paths in error messages: an [`ErrorPath`] such as
//! `messages.0.content.1.text.cache_control`.

use std::fmt;

/// A place in a request. The default is the body as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ErrorPath(String);

impl ErrorPath {
    /// A top-level key of the request.
    pub fn root(key: &str) -> Self {
        Self(truncate_text(key).to_owned())
    }

    /// A key below this place, or the tag of a union.
    pub fn key(&self, key: &str) -> Self {
        if self.0.is_empty() { Self::root(key) } else { Self(format!("{}.{}", self.0, truncate_text(key))) }
    }

    /// An item of the array at this place.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}.{index}", self.0))
    }
}

impl fmt::Display for ErrorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 80 characters of a text from a request, for error messages.
pub(super) fn truncate_text(text: &str) -> &str {
    match text.char_indices().nth(80) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
