//! [`ByteReplacement`]: replaces ranges of a body, and keeps the sizes of its chunks consistent.

/// A byte range and its replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteReplacement {
    pub start: usize,
    pub end: usize,
    pub replacement: Vec<u8>,
}

impl ByteReplacement {
    pub fn new(start: usize, end: usize, replacement: impl Into<Vec<u8>>) -> Self {
        Self { start, end, replacement: replacement.into() }
    }
}

/// Sorts replacements by position and merges those that overlap.
pub fn merge_overlapping(mut replacements: Vec<ByteReplacement>) -> Vec<ByteReplacement> {
    replacements.sort_by_key(|replacement| replacement.start);
    let mut merged: Vec<ByteReplacement> = Vec::with_capacity(replacements.len());
    for replacement in replacements {
        match merged.last_mut() {
            Some(last) if replacement.start < last.end => {
                // The longest marker is that of the credential, which says most.
                if replacement.replacement.len() > last.replacement.len() {
                    last.replacement = replacement.replacement;
                }
                last.end = last.end.max(replacement.end);
            }
            _ => merged.push(replacement),
        }
    }
    merged
}

/// Replaces ranges of bytes. The replacements are sorted and do not overlap.
pub fn replace_bytes(bytes: &[u8], replacements: &[ByteReplacement]) -> Vec<u8> {
    let mut output = Vec::with_capacity(bytes.len());
    let mut position = 0;
    for replacement in replacements {
        output.extend_from_slice(&bytes[position..replacement.start]);
        output.extend_from_slice(&replacement.replacement);
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
    resize_chunks(chunk_arrivals, |end| map_position(end, replacements));
    replace_bytes(&body, replacements)
}

/// Changes the sizes of chunks so that each chunk ends where `map_end` moves its end.
pub fn resize_chunks(chunk_arrivals: &mut [(u64, u64)], map_end: impl Fn(usize) -> usize) {
    let (mut old_end, mut new_end) = (0, 0);
    for (_, size) in chunk_arrivals {
        old_end += *size as usize;
        let next_end = map_end(old_end);
        *size = (next_end - new_end) as u64;
        new_end = next_end;
    }
}

/// The new position of a position in the body. A position inside a range moves into its
/// replacement.
fn map_position(position: usize, replacements: &[ByteReplacement]) -> usize {
    let (mut removed, mut added) = (0, 0);
    for replacement in replacements.iter().take_while(|replacement| replacement.start < position) {
        let passed = replacement.end.min(position) - replacement.start;
        let new_length = replacement.replacement.len();
        removed += passed;
        added += if replacement.end <= position { new_length } else { passed.min(new_length) };
    }
    position - removed + added
}
