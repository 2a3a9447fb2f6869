//! Replacing places of a body, and keeping the notes about its pieces true.

/// A place and what comes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteReplacement {
    pub start: usize,
    pub end: usize,
    pub replacement: Vec<u8>,
}

impl ByteReplacement {
    pub fn new(start: usize, end: usize, with: impl Into<Vec<u8>>) -> Self {
        Self { start, end, replacement: with.into() }
    }
}

/// The same edits in order, those that overlap made one. The first that was given names it.
pub fn merge_overlapping(mut edits: Vec<ByteReplacement>) -> Vec<ByteReplacement> {
    edits.sort_by_key(|edit| edit.start);
    let mut merged: Vec<ByteReplacement> = Vec::with_capacity(edits.len());
    for edit in edits {
        match merged.last_mut() {
            Some(last) if edit.start < last.end => {
                // The longer name is the credential's, which is the one to tell.
                if edit.replacement.len() > last.replacement.len() {
                    last.replacement = edit.replacement;
                }
                last.end = last.end.max(edit.end);
            }
            _ => merged.push(edit),
        }
    }
    merged
}

/// The bytes with the edits made.
pub fn replace_bytes(bytes: &[u8], edits: &[ByteReplacement]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(&bytes[from..edit.start]);
        out.extend_from_slice(&edit.replacement);
        from = edit.end;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// Makes the edits, and changes the sizes in `arrivals` so that they still add up to the body.
pub fn replace_in_body(body: Vec<u8>, edits: &[ByteReplacement], arrivals: &mut [(u64, u64)]) -> Vec<u8> {
    if edits.is_empty() {
        return body;
    }
    let (mut end, mut before) = (0, 0);
    for (_, size) in arrivals {
        end += *size as usize;
        let now = map_position(end, edits);
        *size = (now - before) as u64;
        before = now;
    }
    replace_bytes(&body, edits)
}

/// Where a position in the body stands afterwards. One inside a place stands inside what came into it.
fn map_position(position: usize, edits: &[ByteReplacement]) -> usize {
    let (mut removed, mut added) = (0, 0);
    for edit in edits.iter().take_while(|edit| edit.start < position) {
        let passed = edit.end.min(position) - edit.start;
        removed += passed;
        added += if edit.end <= position { edit.replacement.len() } else { passed.min(edit.replacement.len()) };
    }
    position - removed + added
}
