//! Which credential a request carries, and in which header.
//!
//! Every request carries one credential header, unless it is about that. The header's value is marked sensitive, so that no `Debug`
//! shows it.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::config::{ClientError, CredentialHeader};
use crate::wire::exchange::RequestCredential;

/// What is sent as a made-up credential. It looks like none that any provider hands out.
const WRONG_CREDENTIAL: &str = "fieldtest-made-up-credential";

/// What is sent where a credential belongs and none is known: real clients always send one, and a server that needs
/// none does not look.
pub const PLACEHOLDER_CREDENTIAL: &str = "fieldtest-no-credential";

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// True for the headers that carry credentials.
pub(super) fn is_credential_header(name: &HeaderName) -> bool {
    *name == X_API_KEY || *name == AUTHORIZATION
}

/// The target's credential and the header it asks for.
#[derive(Debug)]
pub(super) struct AuthHeader {
    header: CredentialHeader,
    credential: Option<SecretString>,
}

impl AuthHeader {
    /// Checks once that the credential can stand in a header, so that sending cannot fail for it.
    pub(super) fn new(scheme: CredentialHeader, credential: Option<SecretString>) -> Result<Self, ClientError> {
        match credential.as_ref().map(|c| c.expose_secret()) {
            Some("") => Err(ClientError::Credential("it is empty")),
            Some(text) if !text.bytes().all(|b| b.is_ascii_graphic()) => Err(ClientError::Credential(
                "it holds a blank, a line break or another character that no credential has",
            )),
            _ => Ok(Self { header: scheme, credential }),
        }
    }

    /// The headers for this kind of credential.
    pub(super) fn headers(&self, credential: RequestCredential) -> Vec<(HeaderName, HeaderValue)> {
        let right = self.credential.as_ref().map_or(PLACEHOLDER_CREDENTIAL, |c| c.expose_secret());
        let sent = match credential {
            RequestCredential::Target => vec![(self.header, right)],
            RequestCredential::XApiKey => vec![(CredentialHeader::XApiKey, right)],
            RequestCredential::Bearer => vec![(CredentialHeader::Bearer, right)],
            RequestCredential::WrongXApiKey => vec![(CredentialHeader::XApiKey, WRONG_CREDENTIAL)],
            RequestCredential::WrongBearer => vec![(CredentialHeader::Bearer, WRONG_CREDENTIAL)],
            RequestCredential::Both => vec![(CredentialHeader::XApiKey, right), (CredentialHeader::Bearer, right)],
            RequestCredential::Missing => Vec::new(),
        };
        let header = |(scheme, text): (CredentialHeader, &str)| {
            let (name, value) = match scheme {
                CredentialHeader::XApiKey => (X_API_KEY, HeaderValue::from_str(text)),
                CredentialHeader::Bearer => (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {text}"))),
            };
            // `new` let only printable ASCII through, which every header can carry.
            let mut value = value.ok()?;
            value.set_sensitive(true);
            Some((name, value))
        };
        sent.into_iter().filter_map(header).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_no_header_can_carry_is_refused_without_showing_it() {
        for text in ["", "hunter 22", "hunter\n22", "hünter"] {
            let error = AuthHeader::new(CredentialHeader::XApiKey, Some(text.into())).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains("cannot be sent in a header"), "{said}");
            assert!(!said.contains("nter"), "{said}");
        }
    }

    #[test]
    fn debug_shows_no_header_value() {
        let auth = AuthHeader::new(CredentialHeader::Bearer, Some("sk-very-secret".into())).unwrap();
        let header = auth.headers(RequestCredential::Target).remove(0);
        assert_eq!(header.1.as_bytes(), b"Bearer sk-very-secret");
        assert!(!format!("{auth:?} {header:?}").contains("sk-very-secret"));
    }
}
