//! The usage meter as a witness: content that reaches the model raises the prompt's token count.

use crate::wire::message::Message;

/// What the meter says of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSignal {
    /// The prompt grew by at least the expected tokens.
    Increased,
    /// The prompt did not grow.
    Unchanged,
    /// Something in between: the meter says nothing.
    Unclear,
}

/// Reads the meter: `least` tokens are expected of content that arrives. `None` where it was not shown, by the
/// positive arm, to move at all.
pub fn read_usage_signal(
    least: u64,
    negative: &Message,
    treatment: &Message,
    positive: &Message,
) -> Option<UsageSignal> {
    let base = negative.input_tokens().filter(|n| *n > 0)?;
    let rise = |m: &Message| Some(m.input_tokens()?.saturating_sub(base));
    if rise(positive)? < least {
        return None;
    }
    Some(match rise(treatment)? {
        r if r >= least => UsageSignal::Increased,
        r if r <= least / 3 => UsageSignal::Unchanged,
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
    fn the_meter_speaks_only_where_it_is_seen_to_move() {
        let read = |n, t, p| read_usage_signal(25, &message(n), &message(t), &message(p));
        assert_eq!(read(20, 70, 72), Some(UsageSignal::Increased));
        assert_eq!(read(20, 24, 72), Some(UsageSignal::Unchanged));
        assert_eq!(read(20, 36, 72), Some(UsageSignal::Unclear));
        assert_eq!(read(20, 20, 20), None, "a dead meter says nothing");
        assert_eq!(read(0, 50, 50), None, "a meter at zero says nothing");
        assert_eq!(read_usage_signal(25, &Message::default(), &message(70), &message(70)), None);
    }
}
