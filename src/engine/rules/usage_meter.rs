//! [`UsageSignal`]: the token count as evidence. Content that reaches the model raises the token
//! count of the prompt.

use crate::wire::message::Message;

/// What the token count says about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSignal {
    /// The count rose by at least the expected tokens.
    Increased,
    /// The count did not rise.
    Unchanged,
    /// In between: no evidence.
    Unclear,
}

/// Compares the token counts of the arms. Content that arrives adds at least `expected` tokens.
/// `None` if the positive control does not raise the count.
pub fn read_usage_signal(
    expected: u64,
    negative: &Message,
    treatment: &Message,
    positive: &Message,
) -> Option<UsageSignal> {
    let base = negative.input_tokens().filter(|n| *n > 0)?;
    let rise = |m: &Message| Some(m.input_tokens()?.saturating_sub(base));
    if rise(positive)? < expected {
        return None;
    }
    Some(match rise(treatment)? {
        r if r >= expected => UsageSignal::Increased,
        r if r <= expected / 3 => UsageSignal::Unchanged,
        _ => UsageSignal::Unclear,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tokens: u64) -> Message {
        let usage = serde_json::json!({ "input_tokens": tokens });
        Message { usage: usage.as_object().unwrap().clone(), ..Message::default() }
    }

    #[test]
    fn the_token_count_is_evidence_only_if_the_control_raises_it() {
        let read = |n, t, p| read_usage_signal(25, &message(n), &message(t), &message(p));
        assert_eq!(read(20, 70, 72), Some(UsageSignal::Increased));
        assert_eq!(read(20, 24, 72), Some(UsageSignal::Unchanged));
        assert_eq!(read(20, 36, 72), Some(UsageSignal::Unclear));
        assert_eq!(read(20, 20, 20), None, "a constant count is no evidence");
        assert_eq!(read(0, 50, 50), None, "a count of zero is no evidence");
        assert_eq!(read_usage_signal(25, &Message::default(), &message(70), &message(70)), None);
    }
}
