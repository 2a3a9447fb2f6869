//! The text of a simple PDF: [`extract_text`] finds the strings in its uncompressed content
//! streams.
//!
//! It is not a PDF reader: no compression, no fonts, no encodings. It finds the strings before `Tj`
//! and `TJ`, which hand-made documents use.

/// Whether the bytes start like a PDF.
pub(crate) fn is_pdf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"%PDF-")
}

/// The text of the document, in order, with one line for each shown string.
pub(crate) fn extract_text(bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    // Strings since the last operator. `Tj` or `TJ` shows them.
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
            // Numbers and brackets can stand between the strings of one `TJ`. Anything else ends
            // the operands.
            b'0'..=b'9' | b'-' | b'.' | b'[' | b']' | b' ' | b'\r' | b'\n' | b'\t' => at += 1,
            _ => {
                pending.clear();
                at += 1;
            }
        }
    }
    lines.join("\n")
}

/// Reads a `(…)` string after its opening bracket. Also returns the index after its end.
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
    fn only_shown_strings_are_extracted() {
        let pdf =
            b"%PDF-1.4\n1 0 obj << /Title (not shown) >> endobj\nstream\nBT /F1 12 Tf (Hello \\(big\\) world) Tj\n\
            [(am) -20 (ber)] TJ ET\nendstream";
        assert!(is_pdf(pdf));
        assert_eq!(extract_text(pdf), "Hello (big) world\namber");
        assert_eq!(extract_text(b"(never closed"), "");
    }
}
