//! [`AuthHeader`]: which credential a request carries, and in which header.
//!
//! Header values are marked as sensitive, so that `Debug` output does not show them.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::credential::source::check_credential_text;
use crate::client::error::ClientError;
use crate::wire::exchange::{AuthScheme, RequestCredential};

/// The longest prefix that a wrong credential has in common with the right one: `sk-ant-api03-`.
const MAX_SHARED_PREFIX: usize = 16;

/// Sent if the target has no credential. Real clients always send one, and a server that needs none
/// does not look at it.
pub const PLACEHOLDER_CREDENTIAL: &str = "fieldtest-no-credential";

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// True for the headers that carry credentials.
pub(super) fn is_credential_header(name: &HeaderName) -> bool {
    [X_API_KEY, API_KEY, AUTHORIZATION].contains(name)
}

/// The credential of the target and its header.
pub(super) struct AuthHeader {
    header: AuthScheme,
    credential: SecretString,
}

impl AuthHeader {
    /// Checks that a header can carry the credential, so that building a request cannot fail.
    pub(super) fn new(header: AuthScheme, credential: Option<SecretString>) -> Result<Self, ClientError> {
        if let Some(credential) = &credential {
            check_credential_text(credential.expose_secret()).map_err(ClientError::Credential)?;
        }
        Ok(Self { header, credential: credential.unwrap_or_else(|| PLACEHOLDER_CREDENTIAL.into()) })
    }

    /// The headers for this kind of credential.
    pub(super) fn headers(&self, credential: RequestCredential) -> Vec<(HeaderName, HeaderValue)> {
        use AuthScheme::{ApiKey, Bearer, XApiKey};
        let valid = self.credential.expose_secret();
        let wrong = make_wrong_credential(valid);
        let sent = match credential {
            RequestCredential::Target => vec![(self.header, valid)],
            RequestCredential::XApiKey => vec![(XApiKey, valid)],
            RequestCredential::Bearer => vec![(Bearer, valid)],
            RequestCredential::WrongXApiKey => vec![(XApiKey, wrong.as_str())],
            RequestCredential::WrongBearer => vec![(Bearer, wrong.as_str())],
            RequestCredential::Both => vec![(XApiKey, valid), (Bearer, valid)],
            RequestCredential::Missing => Vec::new(),
        };
        let to_header = |(header, text): (AuthScheme, &str)| {
            let (name, value) = match header {
                XApiKey => (X_API_KEY, HeaderValue::from_str(text)),
                ApiKey => (API_KEY, HeaderValue::from_str(text)),
                Bearer => (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {text}"))),
            };
            // `new` accepts only printable ASCII, which is always a valid header value.
            let mut value = value.ok()?;
            value.set_sensitive(true);
            Some((name, value))
        };
        sent.into_iter().filter_map(to_header).collect()
    }
}

/// A credential that was never issued, for rows about authentication. It has the length of the right one
/// and its prefix, so only a server that knows its credentials rejects it. A server may echo it, so the
/// other characters say nothing about the right one.
fn make_wrong_credential(valid: &str) -> String {
    let prefix = valid.rfind('-').map_or(0, |end| end + 1).min(MAX_SHARED_PREFIX);
    let (prefix, rest) = valid.split_at_checked(prefix).unwrap_or(("", valid));
    let is_hexadecimal = rest.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    let alphabet: &[u8] =
        if is_hexadecimal { b"0123456789abcdef" } else { b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789" };
    let mut state: u64 = 0x2545_f491_4f6c_dd1d;
    let mut next_char = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(alphabet[(state >> 33) as usize % alphabet.len()])
    };
    let wrong: String = prefix.chars().chain(rest.chars().map(|_| next_char())).collect();
    if wrong == valid { format!("{wrong}0") } else { wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_credential_has_the_form_of_the_right_one() {
        for valid in
            ["sk-ant-api03-Ab9xZZ_q-fF", "0123456789abcdef0123456789abcdef", "fieldtest-no-credential", "x", "--"]
        {
            let wrong = make_wrong_credential(valid);
            assert_ne!(wrong, valid);
            if valid.chars().any(char::is_alphanumeric) {
                assert_eq!(wrong.len(), valid.len(), "{wrong}");
            }
        }
        let wrong = make_wrong_credential("sk-ant-api03-Ab9xZZ_qfF");
        assert!(wrong.starts_with("sk-ant-api03-"), "{wrong}");
        assert!(make_wrong_credential("0123abcd").chars().all(|c| c.is_ascii_hexdigit()));
    }

    #[test]
    fn an_invalid_credential_is_rejected_and_not_shown() {
        for text in ["", "hunter 22", "hunter\n22", "hünter"] {
            let error = AuthHeader::new(AuthScheme::XApiKey, Some(text.into())).err().unwrap();
            let message = format!("{error} {error:?}");
            assert!(message.contains("cannot be sent in a header"), "{message}");
            assert!(!message.contains("nter"), "{message}");
        }
    }

    #[test]
    fn debug_output_shows_no_header_value() {
        let auth = AuthHeader::new(AuthScheme::Bearer, Some("sk-very-secret".into())).unwrap();
        let header = auth.headers(RequestCredential::Target).remove(0);
        assert_eq!(header.1.as_bytes(), b"Bearer sk-very-secret");
        assert!(!format!("{header:?}").contains("sk-very-secret"));
    }
}
