//! The variables that case files may use: `{{label}}` and its kin. What they stand for is drawn by the engine.

/// A variable: its name in case files, and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name between the braces.
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
}

/// The cities among which `city` is drawn.
pub const CITIES: [&str; 6] = ["Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi"];

impl Variable {
    /// True when this is the variable of that name. A name that ends in a colon is a beginning.
    fn stands_for(&self, name: &str) -> bool {
        match self.name.strip_suffix(':') {
            None => name == self.name,
            Some("pick") => {
                name.strip_prefix(self.name).is_some_and(|words| words.split('|').filter(|w| !w.is_empty()).count() > 1)
            }
            Some(_) => name.strip_prefix(self.name).is_some_and(|city| CITIES.contains(&city)),
        }
    }
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
    Variable { name: "prefix", about: "some 2,100 fresh words, to pass caching minimums" },
    Variable { name: "600_characters", about: "a fresh text of 600 characters without spaces" },
    Variable { name: "colour", about: "one of eight colours" },
    Variable { name: "city", about: "one of six cities: Paris, Rome, Oslo, Lima, Cairo, Delhi" },
    Variable { name: "is_city:", about: "with a city after it: whether it is the one that was drawn (true or false)" },
    Variable {
        name: "label:",
        about: "with a city after it: a code word of its own, `label` for the city that was drawn",
    },
    Variable { name: "id:", about: "with a city after it: 24 fresh letters and digits of its own" },
    Variable { name: "pick:", about: "with two or more words after it, `a|b|c`: one of them" },
    Variable { name: "image", about: "a PNG of that colour, in base64" },
    Variable {
        name: "pdf",
        about: "a one-page PDF that says the label among thirty words that say nothing, in base64",
    },
    Variable { name: "version", about: "the target's anthropic-version" },
    Variable { name: "range.max", about: "the claimed upper bound of temperature, else 1" },
    Variable { name: "range.above", about: "a value just past it" },
    Variable { name: "step", about: "which request of a trial that repeats it: 1, 2, …" },
    Variable { name: "model", about: "the model that is asked for" },
    Variable { name: "overflow", about: "a text of more tokens than the claimed context has, for any tokenizer" },
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
        Piece::Variable(name) if !VARIABLES.iter().any(|v| v.stands_for(name)) => Some(name),
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
        assert_eq!(unknown_variable("{{pick:a|b}} {{label:Rome}} {{is_city:Oslo}} {{id:Lima}}"), None);
        for unknown in ["pick:a", "pick:|", "label:", "label:Berlin", "is_city:"] {
            assert_eq!(unknown_variable(&format!("{{{{{unknown}}}}}")), Some(unknown));
        }
    }
}
