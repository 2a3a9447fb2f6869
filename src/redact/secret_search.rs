//! [`SecretSearch`]: one search for all secrets in a body or a text.
//!
//! The search reads the whole body, and then the strings of its events that a reader may join.

use std::ops::Range;
use std::slice;

use crate::redact::key_patterns;
use crate::redact::known_secrets::KnownSecrets;
use crate::redact::normalized_text::NormalizedText;
use crate::redact::replacement::{ByteReplacement, merge_overlapping};
use crate::redact::stream_strings::for_each_sequence;
use crate::wire::exchange::SECRET_PLACEHOLDER;

/// Shorter secrets are not removed. They are dummies for local servers (`test`, `ollama`,
/// `sk-1234`): they protect nothing, and removing them would falsify responses that contain them by
/// chance.
pub(super) const MIN_SECRET_BYTES: usize = 8;

/// What happens to text that looks like a key and is no known secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyPatterns {
    Find,
    Keep,
}

/// One search for all secrets in a body or text.
pub(super) struct SecretSearch<'a> {
    known_secrets: &'a KnownSecrets,
    body: &'a [u8],
    /// True if the body may end in the middle of a secret.
    is_truncated: bool,
    /// The bytes that were read and written. The time is proportional to it.
    pub steps: u64,
    found: Vec<ByteReplacement>,
}

impl<'a> SecretSearch<'a> {
    pub fn new(known_secrets: &'a KnownSecrets, body: &'a [u8], is_truncated: bool) -> Self {
        Self { known_secrets, body, is_truncated, steps: 0, found: Vec::new() }
    }

    /// The secrets in one text, sorted and without overlaps.
    pub fn find_in_text(mut self, key_patterns: KeyPatterns) -> Vec<ByteReplacement> {
        self.search_parts(slice::from_ref(&(0..self.body.len())), key_patterns);
        merge_overlapping(self.found)
    }

    /// The secrets in a body: in the whole of it, and split over the events of a stream.
    pub fn find_in_body(mut self, key_patterns: KeyPatterns) -> Vec<ByteReplacement> {
        self.search_body(key_patterns);
        merge_overlapping(self.found)
    }

    pub fn search_body(&mut self, key_patterns: KeyPatterns) {
        self.search_parts(slice::from_ref(&(0..self.body.len())), key_patterns);
        for_each_sequence(self.body, self.is_truncated, |parts, is_prose| {
            self.search_parts(parts, if is_prose { key_patterns } else { KeyPatterns::Keep });
        });
    }

    /// Searches the joined parts of the body.
    fn search_parts(&mut self, parts: &[Range<usize>], key_patterns: KeyPatterns) {
        let length: usize = parts.iter().map(Range::len).sum();
        if length < MIN_SECRET_BYTES && !self.is_truncated {
            return;
        }
        let text = NormalizedText::decode(self.body, parts);
        self.steps += text.steps;
        let known_secrets = self.known_secrets;
        let mut found = Vec::new();
        if !known_secrets.is_empty() {
            found = known_secrets.find_encoded(&text, self.is_truncated, &mut self.steps);
            if text.has_changes {
                found.extend(known_secrets.find_plain(self.body, parts, self.is_truncated, &mut self.steps));
            }
        }
        if key_patterns == KeyPatterns::Find {
            self.steps += length as u64;
            found.extend(key_patterns::find(&text.bytes).into_iter().map(|(start, end)| {
                let (start, end) = (text.original_range(start).0, text.original_range(end - 1).1);
                ByteReplacement::new(start as usize, end as usize, SECRET_PLACEHOLDER)
            }));
        }
        let has_changes = text.has_changes;
        drop(text);
        if let ([part], KeyPatterns::Find, true) = (parts, key_patterns, has_changes) {
            let keys = key_patterns::find(&self.body[part.clone()]).into_iter();
            let to_replacement =
                |(start, end)| ByteReplacement::new(part.start + start, part.start + end, SECRET_PLACEHOLDER);
            found.extend(keys.map(to_replacement));
        }
        for secret in found {
            self.add_to_parts(secret, parts);
        }
    }

    /// Replaces a secret in all parts that contain it. The first one gets the marker.
    fn add_to_parts(&mut self, secret: ByteReplacement, parts: &[Range<usize>]) {
        let first = parts.partition_point(|part| part.end <= secret.start);
        for part in parts[first..].iter().take_while(|part| part.start < secret.end) {
            let marker = if secret.start >= part.start { secret.replacement } else { "" };
            self.found.push(ByteReplacement::new(secret.start.max(part.start), secret.end.min(part.end), marker));
        }
    }
}
