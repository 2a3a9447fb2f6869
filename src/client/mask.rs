//! Taking the credential out of whatever a server sends back, before anything is kept.
//!
//! A server may echo a credential in a header, a body or an error text. It is replaced byte for byte, also where it
//! stands as JSON escapes it, and also where a body was cut in the middle of it.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// What stands in the credential's place.
const MASK: &str = "<credential>";

/// Shorter credentials are not masked. They are what local servers are given (`test`, `ollama`, `sk-1234`): words that
/// protect nothing, and whose removal would falsify the answers that hold them by chance.
const SHORTEST: usize = 8;

/// This much of a credential, left over at the end of a cut body, is taken out as well.
const SHORTEST_REST: usize = 4;

/// The credential, as something to be removed.
pub(super) struct Mask(Option<SecretString>);

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    pub(super) fn new(credential: Option<&SecretString>) -> Self {
        Self(credential.filter(|c| c.expose_secret().len() >= SHORTEST).cloned())
    }

    /// The text without the credential.
    pub(super) fn text(&self, text: String) -> String {
        match self.places(text.as_bytes(), false).as_slice() {
            [] => text,
            // Both the credential and its mask are ASCII, so what remains is as much UTF-8 as it was.
            places => String::from_utf8_lossy(&replaced(text.as_bytes(), places)).into_owned(),
        }
    }

    /// The body without the credential. The sizes in `arrivals` are changed so that they still add up to the body.
    /// `cut` tells that the body may end in the middle of the credential.
    pub(super) fn body(&self, body: Vec<u8>, arrivals: &mut [(u64, u64)], cut: bool) -> Vec<u8> {
        let places = self.places(&body, cut);
        if places.is_empty() {
            return body;
        }
        let (mut end, mut masked_before) = (0, 0);
        for (_, size) in arrivals {
            end += *size as usize;
            let masked_end = masked_position(end, &places);
            *size = (masked_end - masked_before) as u64;
            masked_before = masked_end;
        }
        replaced(&body, &places)
    }

    /// Where the credential stands: start and end of each place, in order, none overlapping another.
    fn places(&self, bytes: &[u8], cut: bool) -> Vec<(usize, usize)> {
        let Some(credential) = &self.0 else { return Vec::new() };
        let plain = credential.expose_secret();
        // The slash and the quote are the printable characters that JSON writers escape.
        let escaped = [plain.replace('\\', "\\\\").replace('"', "\\\""), plain.replace('/', "\\/")];
        let forms: Vec<&[u8]> = std::iter::once(plain)
            .chain(escaped.iter().map(String::as_str).filter(|e| *e != plain))
            .map(str::as_bytes)
            .collect();
        let mut places = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let whole = forms.iter().find(|f| rest.starts_with(f)).map(|f| f.len());
            let partial = cut && rest.len() >= SHORTEST_REST && forms.iter().any(|f| f.starts_with(rest));
            match whole.or(partial.then_some(rest.len())) {
                Some(length) => {
                    places.push((at, at + length));
                    at += length;
                }
                None => at += 1,
            }
        }
        places
    }
}

fn replaced(bytes: &[u8], places: &[(usize, usize)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for &(start, end) in places {
        out.extend_from_slice(&bytes[from..start]);
        out.extend_from_slice(MASK.as_bytes());
        from = end;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// Where a position in the body stands after masking. One inside the credential stands inside the mask.
fn masked_position(position: usize, places: &[(usize, usize)]) -> usize {
    let (mut removed, mut added) = (0, 0);
    for &(start, end) in places.iter().take_while(|(start, _)| *start < position) {
        removed += end.min(position) - start;
        added += if end <= position { MASK.len() } else { (position - start).min(MASK.len()) };
    }
    position - removed + added
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(credential: &str) -> Mask {
        Mask::new(Some(&credential.into()))
    }

    #[test]
    fn the_credential_is_replaced_wherever_it_stands() {
        let mask = mask("sk-12345678");
        assert_eq!(mask.text("bad key sk-12345678 (sk-12345678)".into()), "bad key <credential> (<credential>)");
        assert_eq!(mask.text("bad key sk-1234567".into()), "bad key sk-1234567");
        assert_eq!(mask.body(b"\xff sk-12345678\xfe".to_vec(), &mut [], false), b"\xff <credential>\xfe");
    }

    #[test]
    fn the_credential_is_found_as_json_escapes_it() {
        assert_eq!(mask(r#"sk/1"23456"#).text(r#"{"k":"sk/1\"23456"}"#.into()), r#"{"k":"<credential>"}"#);
        assert_eq!(mask("sk/1234567").text(r#"{"k":"sk\/1234567"}"#.into()), r#"{"k":"<credential>"}"#);
    }

    #[test]
    fn only_a_cut_body_loses_the_beginning_of_a_credential() {
        let mask = mask("sk-12345678");
        assert_eq!(mask.body(b"key sk-1234".to_vec(), &mut [], true), b"key <credential>");
        assert_eq!(mask.body(b"key sk-1234".to_vec(), &mut [], false), b"key sk-1234");
        assert_eq!(mask.body(b"key sk-".to_vec(), &mut [], true), b"key sk-");
    }

    #[test]
    fn the_pieces_still_add_up_to_the_masked_body() {
        let body = b"ab sk-12345678 cd sk-12345678";
        for pieces in [vec![29], vec![3, 11, 15], vec![5, 5, 5, 14], vec![1; 29]] {
            let mut arrivals: Vec<(u64, u64)> = pieces.iter().map(|p| (0, *p)).collect();
            let masked = mask("sk-12345678").body(body.to_vec(), &mut arrivals, false);
            assert_eq!(masked, b"ab <credential> cd <credential>");
            assert_eq!(arrivals.iter().map(|a| a.1).sum::<u64>(), masked.len() as u64, "{pieces:?}: {arrivals:?}");
        }
        let mut arrivals = [(0, 3), (1, 12), (2, 14)];
        mask("sk-12345678").body(body.to_vec(), &mut arrivals, false);
        assert_eq!(arrivals, [(0, 3), (1, 13), (2, 15)], "a piece that ends between two credentials keeps its end");
    }

    #[test]
    fn words_that_protect_nothing_are_left_in_the_answers() {
        assert_eq!(mask("test").text("this is a test".into()), "this is a test");
        assert_eq!(Mask::new(None).text("this is a test".into()), "this is a test");
    }
}
