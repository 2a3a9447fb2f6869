//! [`ByteReplacement`]: replaces ranges of a body, and keeps the sizes of its chunks consistent.

use std::cmp::Reverse;

/// A byte range and its replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteReplacement {
    pub start: usize,
    pub end: usize,
    pub replacement: &'static str,
}

impl ByteReplacement {
    pub fn new(start: usize, end: usize, replacement: &'static str) -> Self {
        Self { start, end, replacement }
    }
}

/// Sorts replacements by position and merges those that overlap.
pub fn merge_overlapping(mut replacements: Vec<ByteReplacement>) -> Vec<ByteReplacement> {
    // One secret may be a prefix of another, so the longest one at a position is the first.
    replacements.sort_unstable_by_key(|found| (found.start, Reverse(found.end), Reverse(found.replacement.len())));
    replacements.dedup_by(|next, last| {
        let overlaps = next.start < last.end;
        if overlaps {
            // The longest marker is that of the credential, which says most.
            if next.start > last.start && next.replacement.len() > last.replacement.len() {
                last.replacement = next.replacement;
            }
            last.end = last.end.max(next.end);
        }
        overlaps
    });
    replacements
}

/// Replaces ranges of bytes. The replacements are sorted and do not overlap.
pub fn replace_bytes(bytes: &[u8], replacements: &[ByteReplacement]) -> Vec<u8> {
    let mut output = Vec::with_capacity(bytes.len());
    let mut position = 0;
    for replacement in replacements {
        output.extend_from_slice(&bytes[position..replacement.start]);
        output.extend_from_slice(replacement.replacement.as_bytes());
        position = replacement.end;
    }
    output.extend_from_slice(&bytes[position..]);
    output
}

/// Replaces ranges of a text.
pub fn replace_text(text: String, replacements: &[ByteReplacement]) -> String {
    if replacements.is_empty() {
        return text;
    }
    String::from_utf8_lossy(&replace_bytes(text.as_bytes(), replacements)).into_owned()
}

/// Replaces ranges of a body, and adapts the sizes of its chunks.
pub fn replace_in_body(body: Vec<u8>, replacements: &[ByteReplacement], chunk_arrivals: &mut [(u64, u64)]) -> Vec<u8> {
    if replacements.is_empty() {
        return body;
    }
    let mut shift = PositionShift { replacements, removed: 0, added: 0 };
    resize_chunks(chunk_arrivals, |end| shift.map_position(end));
    replace_bytes(&body, replacements)
}

/// Changes the sizes of chunks so that each chunk ends where `map_end` moves its end.
pub fn resize_chunks(chunk_arrivals: &mut [(u64, u64)], mut map_end: impl FnMut(usize) -> usize) {
    let (mut old_end, mut new_end) = (0, 0);
    for (_, size) in chunk_arrivals {
        old_end += *size as usize;
        let next_end = map_end(old_end);
        *size = (next_end - new_end) as u64;
        new_end = next_end;
    }
}

/// Maps increasing positions in a body to positions in the new body.
struct PositionShift<'a> {
    /// The replacements that end after the last position.
    replacements: &'a [ByteReplacement],
    removed: usize,
    added: usize,
}

impl PositionShift<'_> {
    /// The new position. A position inside a range moves into its replacement.
    fn map_position(&mut self, position: usize) -> usize {
        while let [first, rest @ ..] = self.replacements
            && first.end <= position
        {
            self.removed += first.end - first.start;
            self.added += first.replacement.len();
            self.replacements = rest;
        }
        let passed = self.replacements.first().map_or(0, |first| position.saturating_sub(first.start));
        let moved = self.replacements.first().map_or(0, |first| passed.min(first.replacement.len()));
        position - self.removed - passed + self.added + moved
    }
}
