//! Finds the credentials that a gateway sends to its upstream: in headers of any scheme
//! ([`find_in_header`]) and in queries ([`find_in_query`]).
//!
//! [`UpstreamCredentials`] remembers them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use secrecy::{ExposeSecret as _, SecretString};

use crate::client::transport::percent_decode;
use crate::redact::SecretRedactor;

/// The maximum number of credentials that are remembered. Some gateways sign each request, so the
/// last ones count.
const MAX_CREDENTIALS: usize = 32;

/// The last credentials that a gateway sent to its upstream.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpstreamCredentials {
    secrets: Vec<SecretString>,
    redactor: Option<Arc<SecretRedactor>>,
}

impl UpstreamCredentials {
    /// True if none is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Adds a credential.
    pub(crate) fn learn(&mut self, credential: String) {
        if self.secrets.iter().any(|known| known.expose_secret() == credential) {
            return;
        }
        if self.secrets.len() == MAX_CREDENTIALS {
            self.secrets.remove(0);
        }
        self.secrets.push(credential.into());
        self.redactor = None;
    }

    /// Finds the credentials in every encoding.
    pub(crate) fn redactor(&mut self) -> Arc<SecretRedactor> {
        let new = || Arc::new(SecretRedactor::new(None, &self.secrets));
        Arc::clone(self.redactor.get_or_insert_with(new))
    }

    /// The text with a marker for each credential.
    pub(crate) fn replace_in(&self, text: String, marker: &str) -> String {
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.expose_secret(), marker))
    }
}

/// Parts of the names of headers and query parameters that contain credentials.
const SECRET_NAME_PARTS: [&str; 6] = ["key", "token", "auth", "secret", "cookie", "password"];

/// Whether a header or query parameter of this name contains a credential.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAME_PARTS.iter().any(|part| name.contains(part))
}

/// The credentials in a header, without scheme and parameter names.
pub(crate) fn find_in_header(name: &str, value: &str) -> Vec<String> {
    if !is_secret_name(name) {
        return Vec::new();
    }
    if name.eq_ignore_ascii_case("cookie") {
        let parts = value.split(';').map(|part| part.split_once('=').map_or(part, |(_, value)| value));
        return parts.map(|part| part.trim().to_owned()).collect();
    }
    match value.trim().split_once(char::is_whitespace) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => vec![decode_basic(rest.trim())],
        Some((_, rest)) => vec![rest.trim().to_owned()],
        None => vec![value.trim().to_owned()],
    }
}

/// The password of `Basic`, or the user name if there is no password. Text that is not base64 is
/// returned unchanged.
fn decode_basic(encoded: &str) -> String {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(encoded);
    let Some(pair) = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()) else { return encoded.to_owned() };
    match pair.split_once(':') {
        Some((user, "")) => user.to_owned(),
        Some((_, password)) => password.to_owned(),
        None => pair,
    }
}

/// The credentials in the query of a path.
pub(crate) fn find_in_query(path: &str) -> Vec<String> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|part| part.split_once('='));
    pairs.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| percent_decode(value)).collect()
}

/// A path without the credentials of its query.
pub(crate) fn redact_query(path: &str) -> String {
    let Some((base, query)) = path.split_once('?') else { return path.to_owned() };
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((name, _)) if is_secret_name(name) => format!("{name}=<credential>"),
            _ => part.to_owned(),
        })
        .collect();
    format!("{base}?{}", parts.join("&"))
}
