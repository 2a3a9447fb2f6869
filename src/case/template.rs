//! The variables that case files may use: `{{label}}` and its kin. What they stand for is drawn by the engine.

/// A variable: its name in case files, and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name between the braces.
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
}

/// Every variable that a case file may use.
pub const VARIABLES: &[Variable] = &[
    Variable { name: "label", about: "a fresh code word: two words and four digits" },
    Variable { name: "label2", about: "another fresh code word" },
    Variable { name: "label_as_name", about: "the label joined with underscores, fit for a tool's name" },
    Variable { name: "name", about: "a fresh name of lower-case words, digits and underscores" },
    Variable { name: "name2", about: "another fresh name" },
    Variable { name: "id", about: "24 fresh letters and digits, for ids and opaque values" },
    Variable { name: "id2", about: "another 24" },
    Variable { name: "padding", about: "some thirty words that say nothing, to move the usage meter" },
    Variable { name: "prefix", about: "some 2,500 fresh words, to pass caching minimums" },
    Variable { name: "600_characters", about: "a fresh text of 600 characters without spaces" },
    Variable { name: "colour", about: "one of eight colours" },
    Variable { name: "image", about: "a PNG of that colour, in base64" },
    Variable {
        name: "pdf",
        about: "a one-page PDF that says the label among thirty words that say nothing, in base64",
    },
    Variable { name: "version", about: "the target's anthropic-version" },
    Variable { name: "range.max", about: "the claimed upper bound of temperature, else 1" },
    Variable { name: "range.above", about: "a value just past it" },
    Variable { name: "max_output_tokens", about: "the claimed longest answer" },
    Variable { name: "first.content", about: "the content of the first answer of a trial in two steps" },
];

/// The pieces of a text with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// A variable's name.
    Variable(&'a str),
}

/// Splits a text at its variables. Braces that are not closed are text.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let Some(close) = rest[open..].find("}}") else { break };
        if open > 0 {
            pieces.push(Piece::Text(&rest[..open]));
        }
        pieces.push(Piece::Variable(rest[open + 2..open + close].trim()));
        rest = &rest[open + close + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// The first name between braces that is no variable.
pub fn unknown_variable(text: &str) -> Option<&str> {
    pieces(text).into_iter().find_map(|piece| match piece {
        Piece::Variable(name) if !VARIABLES.iter().any(|v| v.name == name) => Some(name),
        Piece::Variable(_) | Piece::Text(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_split_at_their_variables() {
        assert_eq!(
            pieces("a {{ label }}{{name}} b {{open"),
            [Piece::Text("a "), Piece::Variable("label"), Piece::Variable("name"), Piece::Text(" b {{open")]
        );
        assert_eq!(pieces(""), []);
        assert_eq!(unknown_variable("{{label}} {{lable}}"), Some("lable"));
        assert_eq!(unknown_variable("{{label}} {x}"), None);
    }
}
