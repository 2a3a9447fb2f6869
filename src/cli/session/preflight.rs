//! What must be in order before a command sends its first request: the way to the endpoints, that no credential travels
//! in plain sight, and then the credentials themselves.

use secrecy::SecretString;

use crate::catalog::Catalog;
use crate::cli::args::send::environment_secrets;
use crate::cli::args::transport::TransportArgs;
use crate::cli::io::stderr;
use crate::cli::target::resolve::EndpointKind;
use crate::cli::{CliError, ProcessEnvironment};
use crate::client::BaseUrl;
use crate::client::transport::{TransportConfig, check_plain_http};

/// What all requests of a command have in common.
#[derive(Debug, Default)]
pub struct PreflightResult {
    /// The way.
    pub transport: TransportConfig,
    /// What is taken out of everything that a server says: all credentials of the command, since one endpoint may know
    /// another's, and what the environment holds.
    pub secrets: Vec<SecretString>,
}

/// Makes ready for sending to these places. The commands that give credentials run here, once all else is in order.
///
/// # Errors
/// A file or a proxy that cannot be used, a credential that would travel in plain sight, one that its command does not
/// give.
pub fn preflight<'a>(
    places: impl IntoIterator<Item = &'a EndpointKind>,
    args: &TransportArgs,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<PreflightResult, CliError> {
    let mut secrets = environment_secrets(catalog, environment);
    secrets.extend(args.proxy_secrets());
    stderr::register_secrets(&secrets);
    let transport = args.load()?;
    let mut credentials = Vec::new();
    for place in places {
        let EndpointKind::Live { base_url, credential: Some(credential), .. } = place else { continue };
        let usage = |e: crate::client::ClientError| CliError::Usage(e.to_string());
        check_plain_http(&BaseUrl::parse(base_url).map_err(usage)?, &transport).map_err(usage)?;
        credentials.push(credential);
    }
    let credentials: Vec<SecretString> = credentials.into_iter().map(|c| c.resolve()).collect::<Result<_, _>>()?;
    stderr::register_secrets(&credentials);
    secrets.extend(credentials);
    Ok(PreflightResult { transport, secrets })
}
