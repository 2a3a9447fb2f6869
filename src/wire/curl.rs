//! Shows a request as a curl command: [`render_command`]. The command reads the secret from an
//! environment variable.

use std::fmt::Write as _;

use serde_json::Value;

use crate::wire::exchange::{AuthScheme, HttpMethod, Request, RequestCredential};

/// The environment variable with the credential.
pub const API_KEY_VARIABLE: &str = "API_KEY";
/// Longer strings in the body are shortened. They are filler or binary data, and only their length
/// matters.
const MAX_STRING_CHARS: usize = 1200;

/// Renders the command. `scheme` is the header from which the target reads its credential.
pub fn render_command(base_url: &str, scheme: AuthScheme, request: &Request) -> String {
    let base = base_url.trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let method = match request.method {
        HttpMethod::Post => "",
        HttpMethod::Get => " -X GET",
        HttpMethod::Head => " -I",
    };
    let mut line = format!("curl -sS{method} {}", shell_quote(&format!("{base}{}", request.path)));
    let key = format!("${API_KEY_VARIABLE}");
    let credential = match request.credential {
        RequestCredential::Target => vec![(scheme, key.as_str())],
        RequestCredential::XApiKey => vec![(AuthScheme::XApiKey, key.as_str())],
        RequestCredential::Bearer => vec![(AuthScheme::Bearer, key.as_str())],
        RequestCredential::WrongXApiKey => vec![(AuthScheme::XApiKey, "made-up")],
        RequestCredential::WrongBearer => vec![(AuthScheme::Bearer, "made-up")],
        RequestCredential::Both => vec![(AuthScheme::XApiKey, key.as_str()), (AuthScheme::Bearer, key.as_str())],
        RequestCredential::Missing => Vec::new(),
    };
    let credential = credential.into_iter().map(|(scheme, value)| {
        // The shell must expand the variable, so it stands in double quotes.
        let quote = if value.starts_with('$') { '"' } else { '\'' };
        match scheme {
            AuthScheme::XApiKey | AuthScheme::ApiKey => format!("{quote}{scheme}: {value}{quote}"),
            AuthScheme::Bearer => format!("{quote}authorization: Bearer {value}{quote}"),
        }
    });
    // Writing into a String does not fail.
    for header in credential.chain(request.headers.iter().map(|(n, v)| shell_quote(&format!("{n}: {v}")))) {
        let _ = write!(line, " -H {header}");
    }
    let body = match (&request.raw, request.method) {
        (Some(raw), _) => Some(raw.clone()),
        (None, HttpMethod::Post) => Some(shorten_strings(&request.body).to_string()),
        (None, HttpMethod::Get | HttpMethod::Head) => None,
    };
    if let Some(body) = body {
        let _ = write!(line, " -H 'content-type: application/json' -d {}", shell_quote(&body));
    }
    line
}

fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn shorten_strings(value: &Value) -> Value {
    match value {
        Value::String(text) => match (text.char_indices().nth(MAX_STRING_CHARS), text.char_indices().nth(60)) {
            (Some(_), Some((at, _))) => Value::from(format!("{}… ({} characters)", &text[..at], text.chars().count())),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(shorten_strings).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), shorten_strings(v))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_command_is_quoted_for_a_shell_and_hides_the_secret() {
        let request = Request {
            method: HttpMethod::Post,
            raw: None,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::from([("anthropic-version".to_owned(), "2023-06-01".to_owned())]),
            credential: RequestCredential::Target,
            body: json!({ "system": "Today's label" }),
        };
        assert_eq!(
            render_command("https://h/anthropic/", AuthScheme::Bearer, &request),
            "curl -sS 'https://h/anthropic/v1/messages' -H \"authorization: Bearer $API_KEY\" -H 'anthropic-version: 2023-06-01' \
             -H 'content-type: application/json' -d '{\"system\":\"Today'\\''s label\"}'"
        );
    }

    #[test]
    fn long_strings_are_shortened() {
        let short = shorten_strings(&json!(["x".repeat(5000)]));
        assert_eq!(short[0].as_str().unwrap(), format!("{}… (5000 characters)", "x".repeat(60)));
    }
}
