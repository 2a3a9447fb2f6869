//! The tokenizer of the simulated model: [`split_tokens`] splits a text into tokens of about four
//! characters.
//!
//! The tokens add up to the text, so a response can end after any token.

/// The largest number of letters or digits in a token.
const MAX_TOKEN_LETTERS: usize = 6;

/// The tokens of a text, in order.
pub(super) fn split_tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = rest.split_at(first_token_len(rest)?);
        rest = after;
        Some(token)
    })
}

/// The number of tokens in a text.
pub(super) fn count_tokens(text: &str) -> u64 {
    split_tokens(text).count() as u64
}

/// The first tokens of a text, at most `max_tokens`.
pub(super) fn take_tokens(text: &str, max_tokens: u64) -> &str {
    let max_tokens = usize::try_from(max_tokens).unwrap_or(usize::MAX);
    let end = split_tokens(text).take(max_tokens).map(str::len).sum();
    &text[..end]
}

/// The length of the first token: letters or digits with the space before them, several spaces, or
/// one other character. `None` at the end.
fn first_token_len(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    let (_, head) = *chars.peek()?;
    let mut letters = 0;
    if head.is_whitespace() {
        chars.next();
        match chars.peek() {
            Some((_, next)) if head == ' ' && next.is_alphanumeric() => {}
            _ => {
                let end = text.char_indices().take(8).take_while(|(_, c)| c.is_whitespace()).last();
                return end.map(|(at, c)| at + c.len_utf8());
            }
        }
    } else if !head.is_alphanumeric() {
        return Some(head.len_utf8());
    }
    let mut end = 0;
    while let Some((at, c)) = chars.next_if(|(_, c)| c.is_alphanumeric()) {
        letters += 1;
        // Scripts that write a word with one or two characters use one token for each.
        end = at + c.len_utf8();
        if letters == MAX_TOKEN_LETTERS || !c.is_ascii() {
            break;
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_numbers_and_punctuation_are_tokens() {
        assert_eq!(split_tokens("1 2 3").collect::<Vec<_>>(), ["1", " 2", " 3"]);
        assert_eq!(
            split_tokens("Hello,  my understanding\n").collect::<Vec<_>>(),
            ["Hello", ",", "  ", "my", " unders", "tandin", "g", "\n"]
        );
        assert_eq!(take_tokens("1 2 3 4", 2), "1 2");
        assert_eq!(count_tokens(""), 0);
    }

    proptest! {
        #[test]
        fn the_tokens_add_up_to_the_text(text in ".*") {
            prop_assert_eq!(split_tokens(&text).collect::<String>(), text.clone());
            prop_assert!(split_tokens(&text).all(|token| !token.is_empty()));
            prop_assert!(text.starts_with(take_tokens(&text, 3)));
        }
    }
}
