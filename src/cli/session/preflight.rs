//! [`preflight`]: checks before the first request: TLS files, the proxy, plain HTTP and, last, the
//! commands that print credentials.

use secrecy::SecretString;

use crate::catalog::Catalog;
use crate::cli::args::transport::TransportArgs;
use crate::cli::io::stderr;
use crate::cli::target::model::EndpointKind;
use crate::cli::{CliError, ProcessEnvironment};
use crate::client::BaseUrl;
use crate::client::transport::{TransportConfig, check_plain_http};

/// The settings and secrets that all clients of a command share.
#[derive(Debug, Default)]
pub struct PreflightResult {
    /// TLS and proxy.
    pub transport: TransportConfig,
    /// The secrets to remove from responses: all credentials of the command, since one endpoint may
    /// know the credential of another, and the secrets of the environment.
    pub secrets: Vec<SecretString>,
}

/// Prepares requests to these endpoints.
///
/// # Errors
/// A file or proxy is invalid, a credential would be sent over plain HTTP, or a command prints no
/// credential.
pub fn preflight<'a>(
    endpoints: impl IntoIterator<Item = &'a EndpointKind>,
    args: &TransportArgs,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<PreflightResult, CliError> {
    let mut secrets = environment.all_secrets(catalog);
    secrets.extend(args.proxy_secrets());
    stderr::register_secrets(&secrets);
    let transport = args.load()?;
    let mut credentials = Vec::new();
    for endpoint in endpoints {
        let EndpointKind::Live { base_url, credential: Some(credential), .. } = endpoint else { continue };
        check_plain_http(&BaseUrl::parse(base_url)?, &transport)?;
        credentials.push(credential);
    }
    let credentials: Vec<SecretString> =
        credentials.into_iter().map(|credential| credential.resolve()).collect::<Result<_, _>>()?;
    stderr::register_secrets(&credentials);
    secrets.extend(credentials);
    Ok(PreflightResult { transport, secrets })
}
