//! Replacing places of a body, and keeping the notes about its pieces true.

/// A place and what comes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub start: usize,
    pub end: usize,
    pub with: Vec<u8>,
}

impl Edit {
    pub fn new(start: usize, end: usize, with: impl Into<Vec<u8>>) -> Self {
        Self { start, end, with: with.into() }
    }
}

/// The same edits in order, those that overlap made one. The first that was given names it.
pub fn merged(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| edit.start);
    let mut merged: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match merged.last_mut() {
            Some(last) if edit.start < last.end => {
                // The longer name is the credential's, which is the one to tell.
                if edit.with.len() > last.with.len() {
                    last.with = edit.with;
                }
                last.end = last.end.max(edit.end);
            }
            _ => merged.push(edit),
        }
    }
    merged
}

/// The bytes with the edits made.
pub fn applied(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(&bytes[from..edit.start]);
        out.extend_from_slice(&edit.with);
        from = edit.end;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// Makes the edits, and changes the sizes in `arrivals` so that they still add up to the body.
pub fn apply(body: Vec<u8>, edits: &[Edit], arrivals: &mut [(u64, u64)]) -> Vec<u8> {
    if edits.is_empty() {
        return body;
    }
    let (mut end, mut before) = (0, 0);
    for (_, size) in arrivals {
        end += *size as usize;
        let now = position(end, edits);
        *size = (now - before) as u64;
        before = now;
    }
    applied(&body, edits)
}

/// Where a position in the body stands afterwards. One inside a place stands inside what came into it.
fn position(position: usize, edits: &[Edit]) -> usize {
    let (mut removed, mut added) = (0, 0);
    for edit in edits.iter().take_while(|edit| edit.start < position) {
        let passed = edit.end.min(position) - edit.start;
        removed += passed;
        added += if edit.end <= position { edit.with.len() } else { passed.min(edit.with.len()) };
    }
    position - removed + added
}
