//! Builds the HTTP library's client so that it does nothing on its own: no redirects, no retries,
//! no decompression.

use std::sync::Once;

use crate::client::base_url::BaseUrl;
use crate::client::error::{ClientError, root_cause};
use crate::client::transport::{ProxyChoice, TransportConfig};
use crate::client::transport_error::CONNECT_TIMEOUT;

/// Whether connections are kept for further requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionReuse {
    /// Connections are kept.
    Keep,
    /// Each request gets a new connection.
    Never,
}

/// The HTTP client for one endpoint.
///
/// # Errors
///
/// The proxy is not usable, or the library does not start.
pub(super) fn build_http_client(
    transport: &TransportConfig,
    base: &BaseUrl,
    reuse: ConnectionReuse,
) -> Result<reqwest::Client, ClientError> {
    static INSTALL_PROVIDER: Once = Once::new();
    // An error means that this process already has a provider, which is as good.
    INSTALL_PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));

    let proxy = match &transport.proxy {
        ProxyChoice::Explicit(proxy) => Some(proxy.to_proxy()?),
        ProxyChoice::System | ProxyChoice::Never => None,
    };
    let uses_system_proxy = matches!(transport.proxy, ProxyChoice::System) && !base.is_loopback();
    let builder = || {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .referer(false)
            .pool_max_idle_per_host(match reuse {
                ConnectionReuse::Keep => usize::MAX,
                ConnectionReuse::Never => 0,
            })
            .tls_certs_merge(transport.authorities.iter().cloned());
        if let Some(identity) = &transport.identity {
            builder = builder.identity(identity.clone());
        }
        match &proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None if uses_system_proxy => builder,
            // A remote proxy cannot reach a loopback server, and must not see such requests.
            None => builder.no_proxy(),
        }
    };
    // Without any TLS, skip the CA certificates: loading them takes longer than the rest.
    let needs_no_tls = !base.is_https() && proxy.is_none() && !uses_system_proxy;
    let client = if needs_no_tls { builder().tls_certs_only([]) } else { builder() };
    client
        .build()
        .or_else(|e| match base.is_https() {
            true => Err(e),
            // A system without CA certificates, such as a bare container, can still test a plain
            // server.
            false => builder().tls_certs_only([]).build(),
        })
        .map_err(|e| ClientError::Setup(root_cause(&e)))
}
