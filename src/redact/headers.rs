//! Removes secrets from the headers of a response: [`SecretRedactor::redact_headers`].

use crate::redact::redactor::SecretRedactor;
use crate::wire::exchange::SECRET_PLACEHOLDER;

/// A name and a value.
type ResponseHeader = (String, String);

/// Headers whose values are always removed.
const PRIVATE_HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "cookie",
    "set-cookie",
];

impl SecretRedactor {
    /// Removes secrets from headers, also from their names.
    pub(crate) fn redact_headers(&self, mut headers: Vec<ResponseHeader>) -> Vec<ResponseHeader> {
        for (name, value) in &mut headers {
            if PRIVATE_HEADERS.contains(&name.as_str()) {
                SECRET_PLACEHOLDER.clone_into(value);
            }
        }
        // Most responses have no secret, and one search in all headers shows it. A secret in the joined
        // text may come from two headers. Then each text is searched by itself.
        let mut joined = Vec::with_capacity(headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
        for (name, value) in &headers {
            for text in [name, value] {
                joined.extend_from_slice(text.as_bytes());
                joined.push(b'\n');
            }
        }
        if !self.has_secret(&joined) {
            return headers;
        }
        headers.into_iter().map(|(name, value)| (self.redact_text(name), self.redact_text(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redact_header(redactor: &SecretRedactor, name: &str, value: &str) -> ResponseHeader {
        redactor.redact_headers(vec![(name.to_owned(), value.to_owned())]).remove(0)
    }

    #[test]
    fn values_of_private_headers_are_removed() {
        let redactor = SecretRedactor::new(None, &[]);
        for name in PRIVATE_HEADERS {
            assert_eq!(redact_header(&redactor, name, "session=abc").1, SECRET_PLACEHOLDER);
        }
        let plain = ("content-type".to_owned(), "application/json".to_owned());
        assert_eq!(redact_header(&redactor, &plain.0, &plain.1), plain);
        let redactor = SecretRedactor::new(Some(&"sk-12345678".into()), &[]);
        assert_eq!(redact_header(&redactor, "x-sk-12345678", "a").0, "x-<credential>");
    }

    #[test]
    fn a_secret_in_two_headers_is_none() {
        let redactor = SecretRedactor::new(Some(&"sk-12345678".into()), &[]);
        let headers = ["c2stMTIzN", "DU2Nzg="].map(|half| ("x-half".to_owned(), half.to_owned())).to_vec();
        assert_eq!(redactor.redact_headers(headers.clone()), headers);
    }

    /// Texts with secrets, with parts of them, and with the beginnings of escapes.
    fn header_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("sk-12345678".to_owned()),
            Just("736b2d31323334353637 38".to_owned()),
            Just("c2stMTIzNDU2Nzg=".to_owned()),
            Just("sk\\u002d12345678".to_owned()),
            Just("Bearer abcdefgh12345678".to_owned()),
            "sk-1234|5678|[a-z]{0,9}|\\\\|%|&#|%2|\\\\u00|&#x|1|2",
        ];
        prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn one_search_in_all_headers_misses_no_secret(texts in prop::collection::vec((header_text(), header_text()), 0..5)) {
            let redactor = SecretRedactor::new(Some(&"sk-12345678".into()), &[]);
            let each = |(name, value): ResponseHeader| (redactor.redact_text(name), redactor.redact_text(value));
            let expected: Vec<ResponseHeader> = texts.clone().into_iter().map(each).collect();
            prop_assert_eq!(redactor.redact_headers(texts), expected);
        }
    }
}
