//! TLS, proxies and plain HTTP: [`TransportArgs`].

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::args::parse::parse_secret;
use crate::cli::error::CliError;
use crate::cli::io::files;
use crate::client::transport;
use crate::client::transport::{ProxyChoice, ProxyUrl, TransportConfig};

/// The largest file of certificates or keys. The list of authorities of a system has a quarter of this size.
const MAX_PEM_FILE_BYTES: u64 = 1024 * 1024;

/// The connection to endpoints.
#[derive(Debug, Clone, Default, Args)]
pub struct TransportArgs {
    /// Allow a credential over plain HTTP to other hosts
    #[arg(long, help_heading = CONNECTION, hide_short_help = true)]
    pub allow_http: bool,
    /// Additional certificate authority, PEM; repeatable
    #[arg(long, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub ca_file: Vec<PathBuf>,
    /// Client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "client_key", help_heading = CONNECTION, hide_short_help = true)]
    pub client_cert: Option<PathBuf>,
    /// Key of the client certificate, PEM, unencrypted
    #[arg(long, value_name = "FILE", requires = "client_cert", help_heading = CONNECTION, hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// Proxy for all requests [default: environment]
    #[arg(long, value_name = "URL", value_parser = parse_secret, conflicts_with = "no_proxy", help_heading = CONNECTION, hide_short_help = true)]
    pub proxy: Option<SecretString>,
    /// Use no proxy
    #[arg(long, help_heading = CONNECTION, hide_short_help = true)]
    pub no_proxy: bool,
}

const CONNECTION: &str = "Connection";

impl TransportArgs {
    /// Reads the files and parses the proxy.
    pub fn load(&self) -> Result<TransportConfig, CliError> {
        let mut authorities = Vec::new();
        for file in &self.ca_file {
            authorities.extend(transport::parse_authorities((file, &read_pem_file("--ca-file", file)?))?);
        }
        let identity = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => {
                let pems = (read_pem_file("--client-cert", certificate)?, read_pem_file("--client-key", key)?);
                Some(transport::parse_identity((certificate, &pems.0), (key, &pems.1))?)
            }
            _ => None,
        };
        let proxy = match &self.proxy {
            Some(url) => ProxyChoice::Explicit(ProxyUrl::parse(url)?),
            None if self.no_proxy => ProxyChoice::Never,
            None => ProxyChoice::System,
        };
        Ok(TransportConfig { allow_http: self.allow_http, authorities, identity, proxy })
    }

    /// The secrets in the URL of the proxy.
    pub fn proxy_secrets(&self) -> Vec<SecretString> {
        self.proxy.as_ref().map(|url| transport::extract_url_secrets(url.expose_secret())).unwrap_or_default()
    }
}

/// Reads a file that may be a key.
fn read_pem_file(option: &'static str, file: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    use std::io::Read as _;
    let error = |problem| CliError::PemFile { option, problem: Box::new(problem) };
    let io_error = |source| error(CliError::io("read", file, source));
    let mut bytes = Zeroizing::new(Vec::new());
    files::reject_pipe(file)?;
    let opened = std::fs::File::open(file).map_err(io_error)?;
    opened.take(MAX_PEM_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io_error)?;
    match bytes.len() as u64 > MAX_PEM_FILE_BYTES {
        true => Err(error(CliError::File(format!(
            "{}: the file is larger than 1 MiB. Check that it is a PEM file",
            file.display()
        )))),
        false => Ok(bytes),
    }
}
