//! The text of a simple PDF: the strings that its uncompressed content streams show.
//!
//! Not a PDF reader: no compression, no fonts, no encodings. It finds the strings before `Tj` and `TJ`, which is how
//! a hand-made one-page document writes its words.

/// True when the bytes claim to be a PDF.
pub(crate) fn is_pdf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"%PDF-")
}

/// The words that the document shows, in order, a line per string.
pub(crate) fn extract_text(bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    // Strings since the last operator: they are shown when `Tj` or `TJ` follows.
    let mut pending = String::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'(' => {
                let (string, end) = read_literal(bytes, at + 1);
                pending.push_str(&string);
                at = end;
            }
            b'T' if matches!(bytes.get(at + 1), Some(b'j' | b'J')) => {
                if !pending.is_empty() {
                    lines.push(std::mem::take(&mut pending));
                }
                at += 2;
            }
            // Numbers and brackets stand between the strings of one `TJ`; anything else ends the operands.
            b'0'..=b'9' | b'-' | b'.' | b'[' | b']' | b' ' | b'\r' | b'\n' | b'\t' => at += 1,
            _ => {
                pending.clear();
                at += 1;
            }
        }
    }
    lines.join("\n")
}

/// Reads a `(…)` string from behind its opening bracket; also gives the place behind its end.
fn read_literal(bytes: &[u8], start: usize) -> (String, usize) {
    let mut text = Vec::new();
    let mut depth = 1;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => {
                match bytes.get(at) {
                    Some(b'n' | b'r' | b't') => text.push(b' '),
                    Some(other) => text.push(*other),
                    None => {}
                }
                at += 1;
            }
            b'(' => {
                depth += 1;
                text.push(byte);
            }
            b')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
                text.push(byte);
            }
            _ => text.push(byte),
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_strings_are_read_and_others_are_not() {
        let pdf =
            b"%PDF-1.4\n1 0 obj << /Title (not shown) >> endobj\nstream\nBT /F1 12 Tf (Hello \\(big\\) world) Tj\n\
            [(am) -20 (ber)] TJ ET\nendstream";
        assert!(is_pdf(pdf));
        assert_eq!(extract_text(pdf), "Hello (big) world\namber");
        assert_eq!(extract_text(b"(never closed"), "");
    }
}
