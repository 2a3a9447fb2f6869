//! Labels, the code words of questions: two lower-case words and four digits, joined by spaces,
//! underscores or hyphens, as in `amber falcon 4821`.

/// Words before a year or an amount in plain prose. A label contains none of them.
const PROSE_WORDS: &[&str] = &[
    "the", "and", "for", "with", "from", "about", "than", "over", "under", "until", "since", "before", "after", "near",
    "into", "between", "exactly", "least", "most", "only", "nearly", "almost", "roughly", "some", "year", "number",
];

/// The length of a word in a label.
const WORD_LENGTH_CHARS: std::ops::RangeInclusive<usize> = 3..=20;

/// The labels in a text, in order, written with spaces.
pub(super) fn find_all(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut labels = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        labels.extend(parse_at(text, at, end));
        at = end;
    }
    labels
}

/// The last label in a text.
pub(super) fn find_last(text: &str) -> Option<String> {
    find_all(text).pop()
}

/// The label that ends with these digits.
fn parse_at(text: &str, start: usize, end: usize) -> Option<String> {
    let is_free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    if end - start != 4 || !is_free(text[end..].chars().next()) {
        return None;
    }
    let (second, at) = previous_word(text, start)?;
    let (first, at) = previous_word(text, at)?;
    // A longer word or a capitalized name would continue to the left.
    let is_plain = PROSE_WORDS.contains(&first) || PROSE_WORDS.contains(&second);
    (is_free(text[..at].chars().next_back()) && !is_plain).then(|| format!("{first} {second} {}", &text[start..end]))
}

/// The lower-case word before a separator, and its start.
fn previous_word(text: &str, at: usize) -> Option<(&str, usize)> {
    let head = text[..at].strip_suffix([' ', '_', '-'])?;
    let length = head.bytes().rev().take(*WORD_LENGTH_CHARS.end() + 1).take_while(u8::is_ascii_lowercase).count();
    let start = head.len() - length;
    WORD_LENGTH_CHARS.contains(&length).then(|| (&head[start..], start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_are_found_with_any_separator() {
        let text = "Today's label is amber falcon 4821. use_quiet_river_0007 {\"x\":\"tall-cedar-9999\"}";
        assert_eq!(find_all(text), ["amber falcon 4821", "quiet river 0007", "tall cedar 9999"]);
    }

    #[test]
    fn years_amounts_and_longer_numbers_are_not_labels() {
        for text in [
            "in the year 2024",
            "more than 4096 tokens",
            "amber falcon 48210",
            "amber falcon 482",
            "amber falcon 4821b",
            "Amber Falcon 4821",
            "falcon 4821",
            "xAmber falcon 4821 and 2000",
        ] {
            assert!(find_all(text).is_empty(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_searched(text in ".*[a-zé]{0,4}[ _-]?[a-z]{0,24}[ _-][0-9]{3,5}.*") {
            find_all(&text);
        }
    }
}
