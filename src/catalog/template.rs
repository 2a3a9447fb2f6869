//! Template variables of case files, for example `{{label}}`. `variables` generates their values.

/// A variable: its name in case files, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateVariable {
    /// The name between the braces.
    pub name: &'static str,
    /// Its value.
    pub description: &'static str,
}

/// The possible values of `city`.
pub const CITIES: [&str; 6] = ["Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi"];

impl TemplateVariable {
    /// True if this variable has that name. A name that ends with a colon is a prefix.
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
    TemplateVariable { name: "label", description: "a new code word: two words and four digits" },
    TemplateVariable { name: "label2", description: "another new code word" },
    TemplateVariable { name: "label_as_name", description: "the label joined with underscores, valid as a tool name" },
    TemplateVariable { name: "name", description: "a new name of lower-case words, digits and underscores" },
    TemplateVariable { name: "name2", description: "another new name" },
    TemplateVariable { name: "id", description: "24 random letters and digits, for ids and opaque values" },
    TemplateVariable { name: "id2", description: "another 24 random letters and digits" },
    TemplateVariable {
        name: "padding",
        description: "about thirty words without information, to move the usage meter",
    },
    TemplateVariable { name: "prefix", description: "about 2,100 random words, more than every caching minimum" },
    TemplateVariable { name: "600_characters", description: "a random text of 600 characters without spaces" },
    TemplateVariable { name: "colour", description: "one of eight colours" },
    TemplateVariable { name: "city", description: "one of six cities: Paris, Rome, Oslo, Lima, Cairo, Delhi" },
    TemplateVariable {
        name: "is_city:",
        description: "followed by a city: true if it is the city of the trial, otherwise false",
    },
    TemplateVariable {
        name: "label:",
        description: "followed by a city: a code word of this city; `label` for the city of the trial",
    },
    TemplateVariable { name: "id:", description: "followed by a city: 24 random letters and digits of this city" },
    TemplateVariable { name: "pick:", description: "followed by two or more words, `a|b|c`: one of them" },
    TemplateVariable { name: "image", description: "a PNG of the colour `colour`, in base64" },
    TemplateVariable {
        name: "pdf",
        description: "a one-page PDF with the label among thirty words without information, in base64",
    },
    TemplateVariable { name: "version", description: "the target's anthropic-version" },
    TemplateVariable { name: "range.max", description: "the claimed upper limit of temperature, otherwise 1" },
    TemplateVariable { name: "range.above", description: "a value just above `range.max`" },
    TemplateVariable {
        name: "step",
        description: "the number of the request in a trial with several requests: 1, 2, …",
    },
    TemplateVariable { name: "model", description: "the requested model" },
    TemplateVariable {
        name: "overflow",
        description: "a text with more tokens than the claimed context, for any tokenizer",
    },
    TemplateVariable { name: "max_output_tokens", description: "the claimed maximum response, in tokens" },
    TemplateVariable {
        name: "first.content",
        description: "the content of the first response of a trial in two steps",
    },
];

/// A part of a text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSegment<'a> {
    /// Literal text.
    Text(&'a str),
    /// A variable's name.
    Variable(&'a str),
}

/// Splits a text at its variables. Unclosed braces are literal text.
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

/// The first name in braces that is not a variable.
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
    fn a_text_is_split_at_its_variables() {
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
