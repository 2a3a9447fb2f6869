//! [`TransportConfig`]: trusted certificate authorities, the client certificate and the proxy.
//!
//! Pure: the caller reads the files. Messages name the file and the problem, and never show
//! content.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Identity, Proxy, Url};
use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::base_url::{BaseUrl, host_and_port, is_loopback, redact_url};
use crate::client::error::{ClientError, TransportError, root_cause};

/// How requests travel to the endpoint.
#[derive(Debug, Clone, Default)]
pub struct TransportConfig {
    /// True if the credential may go over plain HTTP to another machine.
    pub allow_http: bool,
    /// Trusted certificate authorities, in addition to those of the system.
    pub authorities: Vec<Certificate>,
    /// The client certificate, for servers that require one.
    pub identity: Option<Identity>,
    /// The proxy.
    pub proxy: ProxyChoice,
}

/// The choice of the proxy.
#[derive(Debug, Clone, Default)]
pub enum ProxyChoice {
    /// The proxy in the environment variables, if any. Not used for loopback addresses.
    #[default]
    System,
    /// No proxy, even if the environment names one.
    Never,
    /// This proxy, for every request.
    Explicit(ProxyUrl),
}

/// The variables that name proxies. The HTTP library reads them.
pub const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

impl ProxyChoice {
    /// The option or the variable that names the proxy, if there may be one. For messages only.
    pub(super) fn source(&self, base: &BaseUrl) -> Option<&'static str> {
        match self {
            Self::Explicit(_) => Some("--proxy"),
            Self::System if !base.is_loopback() => {
                PROXY_VARIABLES.into_iter().find(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
            }
            Self::System | Self::Never => None,
        }
    }
}

/// Checks that a credential may go to this endpoint: over TLS always, over plain HTTP only on this
/// machine or if the user allows it.
///
/// # Errors
///
/// [`ClientError::PlainHttp`] if it may not.
pub fn check_plain_http(base: &BaseUrl, transport: &TransportConfig) -> Result<(), ClientError> {
    // A remote proxy sees the credential, whatever the host is.
    let stays_on_machine = base.is_loopback()
        && match &transport.proxy {
            ProxyChoice::Explicit(proxy) => proxy.is_loopback,
            ProxyChoice::System | ProxyChoice::Never => true,
        };
    if base.is_https() || stays_on_machine || transport.allow_http {
        return Ok(());
    }
    Err(ClientError::PlainHttp(match &transport.proxy {
        ProxyChoice::Explicit(proxy) => format!("{} through the proxy {}", base.host_and_port(), proxy.host_and_port),
        ProxyChoice::System | ProxyChoice::Never => base.host_and_port(),
    }))
}

/// The name of a file and its content.
pub type NamedFile<'a> = (&'a Path, &'a [u8]);

/// Parses the certificates of `--ca-file`.
///
/// # Errors
///
/// The file has no certificate, or one that is not valid.
pub fn parse_authorities((file, pem): NamedFile<'_>) -> Result<Vec<Certificate>, TransportError> {
    let mut authorities = Vec::new();
    for (index, der) in parse_certificates("--ca-file", (file, pem))?.iter().enumerate() {
        let invalid =
            |e: &dyn fmt::Display| file_error("--ca-file", file, format!("certificate {} is invalid: {e}", index + 1));
        // Validate each certificate here, so that the message can say which one is invalid.
        RootCertStore::empty().add(der.clone()).map_err(|e| invalid(&e))?;
        authorities.push(Certificate::from_der(der).map_err(|e| invalid(&root_cause(&e)))?);
    }
    Ok(authorities)
}

/// Parses the certificate of `--client-cert` and the key of `--client-key`.
///
/// # Errors
///
/// A file lacks its part or is not valid, or the key does not match the certificate.
pub fn parse_identity(certificate: NamedFile<'_>, key: NamedFile<'_>) -> Result<Identity, TransportError> {
    let chain = parse_certificates("--client-cert", certificate)?;
    let (file, pem) = key;
    let private = PrivateKeyDer::from_pem_slice(pem).map_err(|e| {
        let has = |text: &str| String::from_utf8_lossy(pem).contains(text);
        let problem = match e {
            PemError::NoItemsFound if has("BEGIN ENCRYPTED PRIVATE KEY") => {
                "the private key is encrypted. Remove the passphrase: `openssl pkey -in FILE -out PLAIN`".to_owned()
            }
            PemError::NoItemsFound if has("BEGIN CERTIFICATE") => {
                "it contains a certificate and no private key. Check that the two files are not swapped".to_owned()
            }
            other => describe_pem_error(&other, "private key"),
        };
        file_error("--client-key", file, problem)
    })?;
    let signer = rustls::crypto::ring::sign::any_supported_type(&private).map_err(|_| {
        file_error("--client-key", file, "its private key has an unsupported type. Use RSA, ECDSA or Ed25519")
    })?;
    match rustls::sign::CertifiedKey::new(chain.clone(), signer).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let problem = format!("its key does not match the certificate in {}", certificate.0.display());
            return Err(file_error("--client-key", file, problem));
        }
        Err(other) => return Err(file_error("--client-cert", certificate.0, other.to_string())),
    }
    // Write both parts again, because the files may contain other sections.
    let kind = match &private {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let sections = chain.iter().map(|der| pem_section("CERTIFICATE", der));
    let both: Zeroizing<String> = Zeroizing::new(sections.chain([pem_section(kind, private.secret_der())]).collect());
    Identity::from_pem(both.as_bytes()).map_err(|e| file_error("--client-cert", certificate.0, root_cause(&e)))
}

fn pem_section(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

fn parse_certificates(
    option: &'static str,
    (file, pem): NamedFile<'_>,
) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) if String::from_utf8_lossy(pem).contains("PRIVATE KEY") => Err(file_error(
            option,
            file,
            "it contains a private key and no certificate. Check that the two files are not swapped",
        )),
        Ok(_) => Err(file_error(option, file, describe_pem_error(&PemError::NoItemsFound, "certificate"))),
        Err(e) => Err(file_error(option, file, describe_pem_error(&e, "certificate"))),
    }
}

/// What is wrong with a PEM file. The message of the library is not used, because it may quote
/// content.
fn describe_pem_error(error: &PemError, wanted: &str) -> String {
    match error {
        PemError::NoItemsFound => {
            format!("it contains no {wanted} (expected PEM: `-----BEGIN {}-----`)", wanted.to_uppercase())
        }
        PemError::MissingSectionEnd { .. } => format!("a {wanted} in it has no end. Check that the file is complete"),
        PemError::Base64Decode(_) => {
            format!("a {wanted} in it is not valid base64. Check that the file is not damaged")
        }
        _ => format!("a {wanted} in it cannot be read. Check that the file is PEM"),
    }
}

fn file_error(option: &'static str, file: &Path, problem: impl Into<String>) -> TransportError {
    TransportError::File { option, file: file.to_owned(), problem: problem.into() }
}

/// The URL of a proxy. `Debug` shows only its host, because the URL may contain a password.
#[derive(Clone)]
pub struct ProxyUrl {
    url: SecretString,
    host_and_port: String,
    is_loopback: bool,
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProxyUrl").field(&self.host_and_port).finish()
    }
}

impl ProxyUrl {
    /// Parses `http://host:port` or `https://host:port`, with an optional `user:password@`.
    ///
    /// # Errors
    ///
    /// [`TransportError::Proxy`] if the text has another form.
    pub fn parse(text: &SecretString) -> Result<Self, TransportError> {
        let text = text.expose_secret();
        // Without a scheme, any part of the text may be a secret.
        let redacted = || if text.contains("://") { redact_url(text) } else { "…".to_owned() };
        let reject = |problem: &str| TransportError::Proxy { redacted_url: redacted(), problem: problem.to_owned() };
        let url = Url::parse(text).map_err(|e| reject(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(reject("it is neither an http:// nor an https:// URL"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(reject("it has a path, a query or a fragment"));
        }
        Ok(Self { host_and_port: host_and_port(&url), is_loopback: is_loopback(&url), url: text.to_owned().into() })
    }

    /// Converts the URL to the type of the HTTP library.
    pub(super) fn to_proxy(&self) -> Result<Proxy, TransportError> {
        Proxy::all(self.url.expose_secret())
            .map_err(|e| TransportError::Proxy { redacted_url: self.host_and_port.clone(), problem: root_cause(&e) })
    }

    /// The secret parts of the URL.
    pub fn secrets(&self) -> Vec<SecretString> {
        extract_url_secrets(self.url.expose_secret())
    }
}

/// The secret parts of a URL, as written and percent-decoded: the password, or without a password
/// the user name, which is then a token.
pub fn extract_url_secrets(text: &str) -> Vec<SecretString> {
    // Proxies in environment variables may lack the scheme.
    let parsed = Url::parse(text).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{text}")).ok());
    let Some(url) = parsed else { return Vec::new() };
    let encoded = url.password().unwrap_or(url.username());
    let mut secrets = vec![SecretString::from(encoded), SecretString::from(percent_decode(encoded))];
    secrets.retain(|secret| !secret.expose_secret().is_empty());
    secrets.dedup_by(|a, b| a.expose_secret() == b.expose_secret());
    secrets
}

/// Replaces each `%XX` by its byte.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let byte = behind.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_proxy(text: &str) -> Result<ProxyUrl, TransportError> {
        ProxyUrl::parse(&text.into())
    }

    #[test]
    fn the_password_of_a_proxy_is_a_secret_and_is_not_shown() {
        let proxy = parse_proxy("http://user:hunter%2F22@proxy:3128").unwrap();
        let secrets: Vec<String> = proxy.secrets().iter().map(|s| s.expose_secret().to_owned()).collect();
        assert_eq!(secrets, ["hunter%2F22", "hunter/22"]);
        assert!(proxy.to_proxy().is_ok());
        assert_eq!(format!("{proxy:?}"), "ProxyUrl(\"proxy:3128\")");
        assert_eq!(parse_proxy("https://token-hunter22@p").unwrap().secrets()[0].expose_secret(), "token-hunter22");
        assert!(parse_proxy("http://proxy:3128").unwrap().secrets().is_empty());
        for bare in ["user:hunter22@proxy:3128", "http://user:hunter22@proxy"] {
            assert_eq!(extract_url_secrets(bare)[0].expose_secret(), "hunter22", "{bare}");
        }
    }

    #[test]
    fn an_invalid_proxy_is_rejected_and_its_password_not_shown() {
        for text in [
            "socks5://user:hunter22@h:1",
            "user:hunter22@h",
            "http://user:hunter22@h:99999",
            "http://user:hunter22@h/path",
            "http://h?hunter22",
            "hunter22@",
        ] {
            let error = parse_proxy(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter22"), "{text}: {error}");
            assert!(error.to_string().contains("expected http://host:port"), "{error}");
        }
    }

    #[test]
    fn an_invalid_ca_file_is_rejected_with_its_name() {
        let key = "-----BEGIN PRIVATE KEY-----\naHVudGVyMjI=\n-----END PRIVATE KEY-----\n";
        let path = Path::new("some.pem");
        for (pem, expected) in [
            ("", "it contains no certificate"),
            ("hunter22", "it contains no certificate"),
            (key, "a private key and no certificate"),
            ("-----BEGIN CERTIFICATE-----\nhunter22", "has no end"),
            ("-----BEGIN CERTIFICATE-----\n!hunter22\n-----END CERTIFICATE-----\n", "not valid base64"),
            ("-----BEGIN CERTIFICATE-----\naHVudGVyMjI=\n-----END CERTIFICATE-----\n", "certificate 1 is invalid"),
        ] {
            let error = parse_authorities((path, pem.as_bytes())).unwrap_err().to_string();
            assert!(error.starts_with("--ca-file some.pem: ") && error.contains(expected), "{error}");
            assert!(!error.contains("hunter22"), "{error}");
        }
    }
}
