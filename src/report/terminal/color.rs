//! Colour that takes no room while a table is laid out.
//!
//! Escape codes inside cells would be measured, wrapped and padded as text. So words are painted in invisible ink
//! first: each character is followed by a tag character, which has no width and which the layout never parts from it.
//! When the lines stand, the ink is developed into escape codes or washed out. Text from outside cannot carry tags:
//! `clean` spells them out.

/// What a word can be painted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextColor {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Magenta,
    Cyan,
}

impl TextColor {
    const ALL: [Self; 7] = [Self::Bold, Self::Dim, Self::Red, Self::Green, Self::Yellow, Self::Magenta, Self::Cyan];

    fn tag(self) -> char {
        match self {
            Self::Bold => '\u{e0061}',
            Self::Dim => '\u{e0062}',
            Self::Red => '\u{e0063}',
            Self::Green => '\u{e0064}',
            Self::Yellow => '\u{e0065}',
            Self::Magenta => '\u{e0066}',
            Self::Cyan => '\u{e0067}',
        }
    }

    fn from_tag(c: char) -> Option<Self> {
        Self::ALL.into_iter().find(|ink| ink.tag() == c)
    }

    fn escape_code(self) -> &'static str {
        match self {
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Red => "\u{1b}[31m",
            Self::Green => "\u{1b}[32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Magenta => "\u{1b}[35m",
            Self::Cyan => "\u{1b}[36m",
        }
    }
}

const RESET_ESCAPE: &str = "\u{1b}[0m";

/// A space at which no line is broken. Text from outside has none: `clean` makes plain spaces of all kinds.
const NO_BREAK_SPACE: &str = "\u{a0}";

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}')
}

/// Paints every character but spaces.
pub(super) fn colorize(ink: TextColor, text: &str) -> String {
    // A tag would part an emoji from what widens it, and the line would be measured too short.
    if text.contains(['\u{200d}', '\u{fe0f}']) {
        return text.to_owned();
    }
    let mut painted = String::with_capacity(text.len() * 5);
    for c in text.chars() {
        painted.push(c);
        if !is_space(c) {
            painted.push(ink.tag());
        }
    }
    painted
}

/// Makes a text that no line break parts, if it fits in a line at all.
pub(super) fn use_no_break_spaces(text: &str) -> String {
    text.replace(' ', NO_BREAK_SPACE)
}

/// Turns ink into escape codes, or washes it out; unbroken spaces become plain ones.
pub(super) fn to_ansi(painted: &str, colour: bool) -> String {
    let mut out = String::with_capacity(painted.len());
    let mut current: Option<TextColor> = None;
    // Spaces wait until it is known whether the next word has the same ink.
    let mut spaces = 0;
    let mut chars = painted.chars().peekable();
    while let Some(c) = chars.next() {
        if is_space(c) {
            spaces += 1;
            continue;
        }
        let ink = chars.peek().and_then(|next| TextColor::from_tag(*next));
        if ink.is_some() {
            chars.next();
        }
        let changes = colour && ink != current;
        if changes && current.is_some() {
            out.push_str(RESET_ESCAPE);
        }
        out.extend(std::iter::repeat_n(' ', spaces));
        spaces = 0;
        if changes {
            out.push_str(ink.map_or("", TextColor::escape_code));
            current = ink;
        }
        out.push(c);
    }
    if current.is_some() {
        out.push_str(RESET_ESCAPE);
    }
    out.extend(std::iter::repeat_n(' ', spaces));
    out
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn ink_has_no_width() {
        for ink in TextColor::ALL {
            assert_eq!(colorize(ink, "a b").width(), 3, "{ink:?}");
        }
    }

    #[test]
    fn ink_is_washed_out_or_developed() {
        let line = format!("{} and {}", colorize(TextColor::Red, "two words"), colorize(TextColor::Bold, "bold"));
        assert_eq!(to_ansi(&line, false), "two words and bold");
        assert_eq!(to_ansi(&line, true), "\u{1b}[31mtwo words\u{1b}[0m and \u{1b}[1mbold\u{1b}[0m");
    }

    #[test]
    fn ink_ends_with_its_line() {
        let lines = format!("{}\nplain", colorize(TextColor::Dim, "dim"));
        assert_eq!(to_ansi(&lines, true), "\u{1b}[2mdim\u{1b}[0m\nplain");
    }
}
