//! The variables that case files may use: `{{label}}` and its kin. What they stand for is drawn by the engine.

/// A variable: its name in case files, and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateVariable {
    /// The name between the braces.
    pub name: &'static str,
    /// What it stands for.
    pub description: &'static str,
}

/// The cities among which `city` is drawn.
pub const CITIES: [&str; 6] = ["Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi"];

impl TemplateVariable {
    /// True when this is the variable of that name. A name that ends in a colon is a beginning.
    fn matches_name(&self, name: &str) -> bool {
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
pub const VARIABLES: &[TemplateVariable] = &[
    TemplateVariable { name: "label", description: "a fresh code word: two words and four digits" },
    TemplateVariable { name: "label2", description: "another fresh code word" },
    TemplateVariable { name: "label_as_name", description: "the label joined with underscores, fit for a tool's name" },
    TemplateVariable { name: "name", description: "a fresh name of lower-case words, digits and underscores" },
    TemplateVariable { name: "name2", description: "another fresh name" },
    TemplateVariable { name: "id", description: "24 fresh letters and digits, for ids and opaque values" },
    TemplateVariable { name: "id2", description: "another 24" },
    TemplateVariable { name: "padding", description: "some thirty words that say nothing, to move the usage meter" },
    TemplateVariable { name: "prefix", description: "some 2,100 fresh words, to pass caching minimums" },
    TemplateVariable { name: "600_characters", description: "a fresh text of 600 characters without spaces" },
    TemplateVariable { name: "colour", description: "one of eight colours" },
    TemplateVariable { name: "city", description: "one of six cities: Paris, Rome, Oslo, Lima, Cairo, Delhi" },
    TemplateVariable {
        name: "is_city:",
        description: "with a city after it: whether it is the one that was drawn (true or false)",
    },
    TemplateVariable {
        name: "label:",
        description: "with a city after it: a code word of its own, `label` for the city that was drawn",
    },
    TemplateVariable { name: "id:", description: "with a city after it: 24 fresh letters and digits of its own" },
    TemplateVariable { name: "pick:", description: "with two or more words after it, `a|b|c`: one of them" },
    TemplateVariable { name: "image", description: "a PNG of that colour, in base64" },
    TemplateVariable {
        name: "pdf",
        description: "a one-page PDF that says the label among thirty words that say nothing, in base64",
    },
    TemplateVariable { name: "version", description: "the target's anthropic-version" },
    TemplateVariable { name: "range.max", description: "the claimed upper bound of temperature, else 1" },
    TemplateVariable { name: "range.above", description: "a value just past it" },
    TemplateVariable { name: "step", description: "which request of a trial that repeats it: 1, 2, …" },
    TemplateVariable { name: "model", description: "the model that is asked for" },
    TemplateVariable {
        name: "overflow",
        description: "a text of more tokens than the claimed context has, for any tokenizer",
    },
    TemplateVariable { name: "max_output_tokens", description: "the claimed longest answer" },
    TemplateVariable { name: "first.content", description: "the content of the first answer of a trial in two steps" },
];

/// The pieces of a text with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSegment<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// A variable's name.
    Variable(&'a str),
}

/// Splits a text at its variables. Braces that are not closed are text.
pub fn parse_template(text: &str) -> Vec<TemplateSegment<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let Some(close) = rest[open..].find("}}") else { break };
        if open > 0 {
            pieces.push(TemplateSegment::Text(&rest[..open]));
        }
        pieces.push(TemplateSegment::Variable(rest[open + 2..open + close].trim()));
        rest = &rest[open + close + 2..];
    }
    if !rest.is_empty() {
        pieces.push(TemplateSegment::Text(rest));
    }
    pieces
}

/// The first name between braces that is no variable.
pub fn find_unknown_variable(text: &str) -> Option<&str> {
    parse_template(text).into_iter().find_map(|piece| match piece {
        TemplateSegment::Variable(name) if !VARIABLES.iter().any(|v| v.matches_name(name)) => Some(name),
        TemplateSegment::Variable(_) | TemplateSegment::Text(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_split_at_their_variables() {
        assert_eq!(
            parse_template("a {{ label }}{{name}} b {{open"),
            [
                TemplateSegment::Text("a "),
                TemplateSegment::Variable("label"),
                TemplateSegment::Variable("name"),
                TemplateSegment::Text(" b {{open")
            ]
        );
        assert_eq!(parse_template(""), []);
        assert_eq!(find_unknown_variable("{{label}} {{lable}}"), Some("lable"));
        assert_eq!(find_unknown_variable("{{label}} {x}"), None);
        assert_eq!(find_unknown_variable("{{pick:a|b}} {{label:Rome}} {{is_city:Oslo}} {{id:Lima}}"), None);
        for unknown in ["pick:a", "pick:|", "label:", "label:Berlin", "is_city:"] {
            assert_eq!(find_unknown_variable(&format!("{{{{{unknown}}}}}")), Some(unknown));
        }
    }
}
