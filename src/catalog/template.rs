//! Template variables of case files, for example `{{label}}`. `variables` generates their values.

/// The possible values of `city`.
pub const CITIES: [&str; 6] = ["Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi"];

/// Every variable that a case file may use, with its meaning. A name that ends with a colon is a prefix.
pub const VARIABLES: &[(&str, &str)] = &[
    ("label", "a new code word: two words and four digits"),
    ("label2", "another new code word"),
    ("label_as_name", "the label joined with underscores, valid as a tool name"),
    ("name", "a new name of lower-case words, digits and underscores"),
    ("name2", "another new name"),
    ("id", "24 random letters and digits, for ids and opaque values"),
    ("id2", "another 24 random letters and digits"),
    ("padding", "about thirty words without information, to move the usage meter"),
    ("prefix", "about 2,100 random words, more than every caching minimum"),
    ("600_characters", "a random text of 600 characters without spaces"),
    ("colour", "one of eight colours"),
    ("city", "one of six cities: Paris, Rome, Oslo, Lima, Cairo, Delhi"),
    ("is_city:", "followed by a city: true if it is the city of the trial, otherwise false"),
    ("label:", "followed by a city: a code word of this city; `label` for the city of the trial"),
    ("id:", "followed by a city: 24 random letters and digits of this city"),
    ("pick:", "followed by two or more words, `a|b|c`: one of them"),
    ("image", "a PNG of the colour `colour`, in base64"),
    ("pdf", "a one-page PDF with the label among thirty words without information, in base64"),
    ("version", "the target's anthropic-version"),
    ("range.max", "the claimed upper limit of temperature, otherwise 1"),
    ("range.above", "a value just above `range.max`"),
    ("step", "the number of the request in a trial with several requests: 1, 2, …"),
    ("model", "the requested model"),
    ("overflow", "a text with more tokens than the claimed context, for any tokenizer"),
    ("max_output_tokens", "the claimed maximum response, in tokens"),
    ("response.word", "a word in the middle of the response before it, in a `then` and in the tests of a response"),
    ("first.content", "the content of the first response of a trial in two steps"),
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

/// The names in braces, in order.
pub fn variable_names(text: &str) -> impl Iterator<Item = &str> {
    parse_template(text).into_iter().filter_map(|piece| match piece {
        TemplateSegment::Variable(name) => Some(name),
        TemplateSegment::Text(_) => None,
    })
}

/// True if experiments may use a variable of this name.
pub fn is_variable(name: &str) -> bool {
    VARIABLES.iter().any(|(known, _)| match (name.strip_prefix(known), *known) {
        (Some(words), "pick:") => words.split('|').filter(|word| !word.is_empty()).count() > 1,
        (Some(city), known) if known.ends_with(':') => CITIES.contains(&city),
        (rest, _) => rest == Some(""),
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
        let find_unknown_variable =
            |text: &str| variable_names(text).find(|name| !is_variable(name)).map(str::to_owned);
        assert_eq!(find_unknown_variable("{{label}} {{lable}}"), Some("lable".to_owned()));
        assert_eq!(find_unknown_variable("{{label}} {x}"), None);
        assert_eq!(find_unknown_variable("{{pick:a|b}} {{label:Rome}} {{is_city:Oslo}} {{id:Lima}}"), None);
        for unknown in ["pick:a", "pick:|", "label:", "label:Berlin", "is_city:"] {
            assert_eq!(find_unknown_variable(&format!("{{{{{unknown}}}}}")), Some(unknown.to_owned()));
        }
    }
}
