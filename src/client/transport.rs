//! The way to the endpoint: whom TLS trusts, who the client says it is, and which proxy stands in between.
//!
//! Pure: files come in as bytes with their names. Messages name the file and what is wrong with it, and show nothing of
//! its content. Redirects are never followed, so a credential goes where it was sent and nowhere else.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Identity, Proxy, Url};
use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::base_url;
use crate::client::base_url::redact_url;

/// How requests travel.
#[derive(Debug, Clone, Default)]
pub struct TransportConfig {
    /// Whether a credential may go over plain HTTP to a host that is not this machine.
    pub allow_http: bool,
    /// Certificate authorities that are trusted beside the system's.
    pub authorities: Vec<Certificate>,
    /// The client's own certificate, for servers that ask for one.
    pub identity: Option<Identity>,
    /// The proxy.
    pub proxy: ProxyChoice,
}

/// Which proxy is used.
#[derive(Debug, Clone, Default)]
pub enum ProxyChoice {
    /// The one that the environment names, if any; none for this machine's own servers.
    #[default]
    System,
    /// None, whatever the environment says.
    Never,
    /// This one, for every request.
    Explicit(ProxyUrl),
}

/// Why a part of the transport cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A file does not hold what it should.
    #[error("{option} {}: {problem}", .file.display())]
    File {
        /// The option that named it.
        option: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A proxy's address cannot be used.
    #[error("the proxy `{redacted_url}` cannot be used: {problem} (expected http://host:port or https://host:port)")]
    Proxy {
        /// The address, with what may be secret left out.
        redacted_url: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A file's name and its content.
pub type NamedFile<'a> = (&'a Path, &'a [u8]);

/// The certificates of `--ca-file`.
///
/// # Errors
///
/// When there is none in it, or one that cannot be read.
pub fn parse_authorities((file, pem): NamedFile<'_>) -> Result<Vec<Certificate>, TransportError> {
    let found = parse_certificates("--ca-file", (file, pem))?;
    let mut made = Vec::new();
    for (nth, der) in found.iter().enumerate() {
        let unusable =
            |e: &dyn fmt::Display| file_error("--ca-file", file, format!("certificate {} of it: {e}", nth + 1));
        // Looked at here, so that the message can say which one it is.
        RootCertStore::empty().add(der.clone()).map_err(|e| unusable(&e))?;
        made.push(Certificate::from_der(der).map_err(|e| unusable(&crate::client::last_cause(&e)))?);
    }
    Ok(made)
}

/// The certificate of `--client-cert` with the key of `--client-key`.
///
/// # Errors
///
/// When one of them is not in its file, cannot be read, or they do not belong together.
pub fn parse_identity(certificate: NamedFile<'_>, key: NamedFile<'_>) -> Result<Identity, TransportError> {
    let chain = parse_certificates("--client-cert", certificate)?;
    let (file, pem) = key;
    let private = PrivateKeyDer::from_pem_slice(pem).map_err(|e| {
        let has = |what: &str| String::from_utf8_lossy(pem).contains(what);
        let problem = match e {
            PemError::NoItemsFound if has("BEGIN ENCRYPTED PRIVATE KEY") => {
                "the private key in it is encrypted; only one without a passphrase can be used \
                 (`openssl pkey -in FILE -out PLAIN` takes it off)"
                    .to_owned()
            }
            PemError::NoItemsFound if has("BEGIN CERTIFICATE") => {
                "it holds a certificate and no private key: were the two files swapped?".to_owned()
            }
            other => describe_pem_error(&other, "private key"),
        };
        file_error("--client-key", file, problem)
    })?;
    let signer = rustls::crypto::ring::sign::any_supported_type(&private).map_err(|_| {
        file_error("--client-key", file, "its private key is of no kind that can be used (RSA, ECDSA, Ed25519)")
    })?;
    match rustls::sign::CertifiedKey::new(chain.clone(), signer).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let problem = format!("its key does not belong to the certificate in {}", certificate.0.display());
            return Err(file_error("--client-key", file, problem));
        }
        Err(other) => return Err(file_error("--client-cert", certificate.0, other.to_string())),
    }
    // Written anew: other things may stand in either file.
    let kind = match &private {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let sections = chain.iter().map(|der| pem_section("CERTIFICATE", der));
    let both: Zeroizing<String> = Zeroizing::new(sections.chain([pem_section(kind, private.secret_der())]).collect());
    Identity::from_pem(both.as_bytes())
        .map_err(|e| file_error("--client-cert", certificate.0, crate::client::last_cause(&e)))
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
        Ok(_) if String::from_utf8_lossy(pem).contains("PRIVATE KEY") => {
            Err(file_error(option, file, "it holds a private key and no certificate: were the two files swapped?"))
        }
        Ok(_) => Err(file_error(option, file, describe_pem_error(&PemError::NoItemsFound, "certificate"))),
        Err(e) => Err(file_error(option, file, describe_pem_error(&e, "certificate"))),
    }
}

/// What is wrong with a PEM file. The library's own words may quote a line of it.
fn describe_pem_error(error: &PemError, wanted: &str) -> String {
    match error {
        PemError::NoItemsFound => {
            format!("no {wanted} is in it (expected PEM: `-----BEGIN {}-----`)", wanted.to_uppercase())
        }
        PemError::MissingSectionEnd { .. } => format!("a {wanted} in it begins and does not end: is the file whole?"),
        PemError::Base64Decode(_) => format!("a {wanted} in it is not base64: is the file damaged?"),
        _ => format!("a {wanted} in it cannot be read: is it PEM?"),
    }
}

fn file_error(option: &'static str, file: &Path, problem: impl Into<String>) -> TransportError {
    TransportError::File { option, file: file.to_owned(), problem: problem.into() }
}

/// A proxy's address. A user name and a password may stand in it, so it never shows itself.
#[derive(Clone)]
pub struct ProxyUrl {
    url: SecretString,
    /// Host and port.
    host_and_port: String,
    is_loopback: bool,
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProxyUrl").field(&self.host_and_port).finish()
    }
}

impl ProxyUrl {
    /// Reads `http://host:port` or `https://host:port`, perhaps with `user:password@` before the host.
    ///
    /// # Errors
    ///
    /// [`TransportError::Proxy`] when it is no such address.
    pub fn parse(text: &SecretString) -> Result<Self, TransportError> {
        let text = text.expose_secret();
        // What has no scheme may be anything, and is not shown.
        let shown = || if text.contains("://") { redact_url(text) } else { "…".to_owned() };
        let refuse = |problem: &str| TransportError::Proxy { redacted_url: shown(), problem: problem.to_owned() };
        let url = Url::parse(text).map_err(|e| refuse(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(refuse("it is no http:// and no https:// address"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("something stands behind its host and port"));
        }
        Ok(Self {
            host_and_port: base_url::host_and_port(&url),
            is_loopback: base_url::is_loopback(&url),
            url: text.to_owned().into(),
        })
    }

    /// The proxy, as the HTTP library takes it.
    pub(super) fn to_proxy(&self) -> Result<Proxy, TransportError> {
        Proxy::all(self.url.expose_secret()).map_err(|e| TransportError::Proxy {
            redacted_url: self.host_and_port.clone(),
            problem: crate::client::last_cause(&e),
        })
    }

    /// Its host and port.
    pub(super) fn host_and_port(&self) -> &str {
        &self.host_and_port
    }

    /// True where it stands on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// What of it is secret.
    pub fn secrets(&self) -> Vec<SecretString> {
        extract_url_secrets(self.url.expose_secret())
    }
}

/// The secret parts of an address, as they stand in it and as they are sent: the password; without one, the user name,
/// which is then a token.
pub fn extract_url_secrets(text: &str) -> Vec<SecretString> {
    // The environment's proxies may stand without a scheme.
    let parsed = Url::parse(text).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{text}")).ok());
    let Some(url) = parsed else { return Vec::new() };
    let written = url.password().unwrap_or(url.username());
    let sent = percent_decode(written);
    let mut secrets = vec![SecretString::from(written), SecretString::from(sent)];
    secrets.retain(|secret| !secret.expose_secret().is_empty());
    secrets.dedup_by(|a, b| a.expose_secret() == b.expose_secret());
    secrets
}

/// The text with `%XX` undone.
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
    fn a_proxys_password_is_known_and_never_shown() {
        let made = parse_proxy("http://user:hunter%2F22@proxy:3128").unwrap();
        let secrets: Vec<String> = made.secrets().iter().map(|s| s.expose_secret().to_owned()).collect();
        assert_eq!(secrets, ["hunter%2F22", "hunter/22"]);
        assert!(made.to_proxy().is_ok());
        assert_eq!(format!("{made:?}"), "ProxyUrl(\"proxy:3128\")");
        assert_eq!(parse_proxy("https://token-hunter22@p").unwrap().secrets()[0].expose_secret(), "token-hunter22");
        assert!(parse_proxy("http://proxy:3128").unwrap().secrets().is_empty());
        for bare in ["user:hunter22@proxy:3128", "http://user:hunter22@proxy"] {
            assert_eq!(extract_url_secrets(bare)[0].expose_secret(), "hunter22", "{bare}");
        }
    }

    #[test]
    fn an_unusable_proxy_is_refused_without_its_password() {
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
    fn a_file_that_holds_something_else_is_told_by_its_name() {
        let key = "-----BEGIN PRIVATE KEY-----\naHVudGVyMjI=\n-----END PRIVATE KEY-----\n";
        let path = Path::new("some.pem");
        for (pem, said) in [
            ("", "no certificate is in it"),
            ("hunter22", "no certificate is in it"),
            (key, "a private key and no certificate"),
            ("-----BEGIN CERTIFICATE-----\nhunter22", "does not end"),
            ("-----BEGIN CERTIFICATE-----\n!hunter22\n-----END CERTIFICATE-----\n", "not base64"),
            ("-----BEGIN CERTIFICATE-----\naHVudGVyMjI=\n-----END CERTIFICATE-----\n", "certificate 1 of it"),
        ] {
            let error = parse_authorities((path, pem.as_bytes())).unwrap_err().to_string();
            assert!(error.starts_with("--ca-file some.pem: ") && error.contains(said), "{error}");
            assert!(!error.contains("hunter22"), "{error}");
        }
    }
}
