//! [`AuthHeader`]: which credential a request carries, and in which header.
//!
//! Header values are marked as sensitive, so that `Debug` output does not show them.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::credential::source::check_credential_text;
use crate::client::error::ClientError;
use crate::wire::exchange::{AuthScheme, RequestCredential};

/// A wrong credential for rows about authentication. No provider issues credentials of this form.
const WRONG_CREDENTIAL: &str = "fieldtest-made-up-credential";

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
        let sent = match credential {
            RequestCredential::Target => vec![(self.header, valid)],
            RequestCredential::XApiKey => vec![(XApiKey, valid)],
            RequestCredential::Bearer => vec![(Bearer, valid)],
            RequestCredential::WrongXApiKey => vec![(XApiKey, WRONG_CREDENTIAL)],
            RequestCredential::WrongBearer => vec![(Bearer, WRONG_CREDENTIAL)],
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

#[cfg(test)]
mod tests {
    use super::*;

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
