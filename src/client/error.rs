//! [`ClientError`] and [`TransportError`]: why no client can be built from a configuration.

use std::error::Error;
use std::path::PathBuf;

use crate::client::credential::source::InvalidCredential;

/// Why no client can be built from a configuration.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum ClientError {
    /// The base URL is not usable.
    #[error(
        "invalid base URL `{redacted_url}`: {problem} (expected http:// or https://, a host, and an \
         optional path: https://api.example.com/anthropic)"
    )]
    BaseUrl { redacted_url: String, problem: String },
    /// A header cannot carry the credential.
    #[error("the credential cannot be sent in a header: it {0}")]
    Credential(InvalidCredential),
    /// The credential would travel unencrypted.
    #[error(
        "refusing to send the credential to {0} over plain HTTP. Use https://, or --allow-http on a \
         trusted network"
    )]
    PlainHttp(String),
    /// The proxy or a certificate is not usable.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// A limit of zero allows no request.
    #[error("{0} must be greater than 0")]
    ZeroLimit(&'static str),
    /// The HTTP library did not start.
    #[error(
        "the HTTP client did not start: {0}. For https, check that the CA certificates of the system \
         are installed"
    )]
    Setup(String),
}

/// Why a part of the transport is not usable.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum TransportError {
    /// A file has the wrong content.
    #[error("{option} {}: {problem}", .file.display())]
    File { option: &'static str, file: PathBuf, problem: String },
    /// The address of the proxy is not usable.
    #[error("invalid proxy `{redacted_url}`: {problem} (expected http://host:port or https://host:port)")]
    Proxy { redacted_url: String, problem: String },
}

/// The text of the innermost cause, which says what happened.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source()).last().map_or_else(String::new, ToString::to_string)
}
