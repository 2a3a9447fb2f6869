//! The options about the way to an endpoint: TLS, proxies, and what may go without either.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::CliError;
use crate::client::transport;
use crate::client::transport::{ProxyChoice, ProxyUrl, TransportConfig};

/// How large a file of certificates or a key may be; a system's whole list of authorities is a fourth of it.
const MAX_PEM_FILE_BYTES: u64 = 1024 * 1024;

/// The way to an endpoint.
#[derive(Debug, Clone, Default, Args)]
pub struct TransportArgs {
    /// Let a credential go over plain HTTP to a host other than this machine.
    #[arg(long, help_heading = CONNECTION_HEADING)]
    pub allow_http: bool,
    /// Certificate authorities (PEM) to trust beside the system's. May be repeated.
    #[arg(long, value_name = "FILE", help_heading = CONNECTION_HEADING)]
    pub ca_file: Vec<PathBuf>,
    /// The client's certificate (PEM), for endpoints that ask for one.
    #[arg(long, value_name = "FILE", requires = "client_key", help_heading = CONNECTION_HEADING)]
    pub client_cert: Option<PathBuf>,
    /// The key of the client's certificate (PEM, without a passphrase).
    #[arg(long, value_name = "FILE", requires = "client_cert", help_heading = CONNECTION_HEADING)]
    pub client_key: Option<PathBuf>,
    /// The proxy for all requests, `http://user:password@host:port` for instance, instead of the environment's.
    #[arg(long, value_name = "URL", value_parser = parse_secret, conflicts_with = "no_proxy", help_heading = CONNECTION_HEADING)]
    pub proxy: Option<SecretString>,
    /// Use no proxy, whatever the environment says.
    #[arg(long, help_heading = CONNECTION_HEADING)]
    pub no_proxy: bool,
}

const CONNECTION_HEADING: &str = "Connection";

/// An argument in which a secret may stand: it is wrapped as soon as it is read.
pub fn parse_secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

impl TransportArgs {
    /// Reads the files and checks the proxy.
    pub fn load(&self) -> Result<TransportConfig, CliError> {
        let usage = |e: crate::client::TransportError| CliError::Usage(e.to_string());
        let mut authorities = Vec::new();
        for file in &self.ca_file {
            authorities
                .extend(transport::parse_authorities((file, &read_pem_file("--ca-file", file)?)).map_err(usage)?);
        }
        let identity = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => {
                let pems = (read_pem_file("--client-cert", certificate)?, read_pem_file("--client-key", key)?);
                Some(transport::parse_identity((certificate, &pems.0), (key, &pems.1)).map_err(usage)?)
            }
            _ => None,
        };
        let proxy = match &self.proxy {
            Some(url) => ProxyChoice::Explicit(ProxyUrl::parse(url).map_err(usage)?),
            None if self.no_proxy => ProxyChoice::Never,
            None => ProxyChoice::System,
        };
        Ok(TransportConfig { allow_http: self.allow_http, authorities, identity, proxy })
    }

    /// The proxy as it was given, where one was.
    pub fn proxy_secrets(&self) -> Vec<SecretString> {
        self.proxy.as_ref().map(|url| transport::extract_url_secrets(url.expose_secret())).unwrap_or_default()
    }
}

/// A file's bytes, which may be a key.
fn read_pem_file(option: &str, file: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    use std::io::Read as _;
    let told = |what: String| CliError::Usage(format!("{option} {}: {what}", file.display()));
    let mut bytes = Zeroizing::new(Vec::new());
    let opened = std::fs::File::open(file).map_err(|e| told(format!("it cannot be read: {e}")))?;
    opened.take(MAX_PEM_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| told(format!("it cannot be read: {e}")))?;
    if bytes.len() as u64 > MAX_PEM_FILE_BYTES {
        return Err(told("it is larger than 1 MiB: is it the right file?".to_owned()));
    }
    Ok(bytes)
}
