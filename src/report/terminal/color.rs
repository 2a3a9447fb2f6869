//! Colours that do not affect the layout of tables: [`colorize`] marks text, [`to_ansi`] colours the output.
//!
//! Escape codes in cells would be measured, wrapped and padded as text. So each coloured character is
//! followed by a tag character, which has no width and stays with its character. After the layout, tags are
//! replaced by escape codes or removed. Text from outside has no tags, since it is sanitized.

/// A colour or weight of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextColor {
    Bold,
    Dim,
    Red,
    Green,
    /// Green with less weight: it conforms, and no effect was observed.
    PaleGreen,
    Yellow,
    Magenta,
    Cyan,
}

impl TextColor {
    const ALL: [Self; 8] =
        [Self::Bold, Self::Dim, Self::Red, Self::Green, Self::PaleGreen, Self::Yellow, Self::Magenta, Self::Cyan];

    fn tag(self) -> char {
        match self {
            Self::Bold => '\u{e0061}',
            Self::Dim => '\u{e0062}',
            Self::Red => '\u{e0063}',
            Self::Green => '\u{e0064}',
            Self::Yellow => '\u{e0065}',
            Self::Magenta => '\u{e0066}',
            Self::Cyan => '\u{e0067}',
            Self::PaleGreen => '\u{e0068}',
        }
    }

    fn from_tag(c: char) -> Option<Self> {
        Self::ALL.into_iter().find(|color| color.tag() == c)
    }

    fn escape_code(self) -> &'static str {
        match self {
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Red => "\u{1b}[31m",
            Self::Green => "\u{1b}[32m",
            Self::PaleGreen => "\u{1b}[2;32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Magenta => "\u{1b}[35m",
            Self::Cyan => "\u{1b}[36m",
        }
    }
}

const RESET_ESCAPE: &str = "\u{1b}[0m";

/// A space that is never a line break. Text from outside has none, since it is sanitized.
const NO_BREAK_SPACE: &str = "\u{a0}";

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}')
}

/// Tags every character except spaces.
pub(super) fn colorize(color: TextColor, text: &str) -> String {
    // A tag would separate an emoji from the character that widens it, so the line would be too wide.
    if text.contains(['\u{200d}', '\u{fe0f}']) {
        return text.to_owned();
    }
    let mut tagged = String::with_capacity(text.len() * 5);
    for c in text.chars() {
        tagged.push(c);
        if !is_space(c) {
            tagged.push(color.tag());
        }
    }
    tagged
}

/// The text without places for line breaks.
pub(super) fn use_no_break_spaces(text: &str) -> String {
    text.replace(' ', NO_BREAK_SPACE)
}

/// Replaces tags by escape codes or removes them. No-break spaces become plain spaces.
pub(super) fn to_ansi(tagged: &str, colour: bool) -> String {
    let mut out = String::with_capacity(tagged.len());
    let mut current: Option<TextColor> = None;
    // Spaces are written when the colour of the next word is known.
    let mut spaces = 0;
    let mut chars = tagged.chars().peekable();
    while let Some(c) = chars.next() {
        if is_space(c) {
            spaces += 1;
            continue;
        }
        let color = chars.peek().and_then(|next| TextColor::from_tag(*next));
        if color.is_some() {
            chars.next();
        }
        let changes = colour && color != current;
        if changes && current.is_some() {
            out.push_str(RESET_ESCAPE);
        }
        out.extend(std::iter::repeat_n(' ', spaces));
        spaces = 0;
        if changes {
            out.push_str(color.map_or("", TextColor::escape_code));
            current = color;
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
    fn colour_has_no_width() {
        for color in TextColor::ALL {
            assert_eq!(colorize(color, "a b").width(), 3, "{color:?}");
        }
    }

    #[test]
    fn colours_become_escape_codes_or_are_removed() {
        let line = format!("{} and {}", colorize(TextColor::Red, "two words"), colorize(TextColor::Bold, "bold"));
        assert_eq!(to_ansi(&line, false), "two words and bold");
        assert_eq!(to_ansi(&line, true), "\u{1b}[31mtwo words\u{1b}[0m and \u{1b}[1mbold\u{1b}[0m");
    }

    #[test]
    fn colour_ends_at_the_end_of_the_line() {
        let lines = format!("{}\nplain", colorize(TextColor::Dim, "dim"));
        assert_eq!(to_ansi(&lines, true), "\u{1b}[2mdim\u{1b}[0m\nplain");
    }
}
