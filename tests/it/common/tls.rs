//! Certificates, and a [`TlsServer`] that forwards requests to a simulator.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use fieldtest::simulator::DEFAULT_CREDENTIAL;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::server::{FaithfulServer, ReceivedRequest};

static NEXT_AUTHORITY: AtomicUsize = AtomicUsize::new(1);

/// Signs certificates.
pub struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

impl CertificateAuthority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Real authorities have different names.
        let name = format!("authority {}", NEXT_AUTHORITY.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for these names or addresses. Returns the certificate and its key as
    /// PEM.
    pub fn issue_for(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub fn issue(&self, name: &str) -> (String, String) {
        self.issue_for(&[name])
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A loopback TLS server for 127.0.0.1 and endpoint.test that forwards requests to a simulator.
pub struct TlsServer {
    pub address: SocketAddr,
    received_heads: Arc<Mutex<Vec<String>>>,
}

impl TlsServer {
    /// Starts a server. If `client_authority` is given, clients need a certificate of that
    /// authority.
    pub fn start(authority: &CertificateAuthority, client_authority: Option<&CertificateAuthority>) -> Self {
        let (certificate, key) = authority.issue_for(&["127.0.0.1", "endpoint.test"]);
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = match client_authority {
            Some(authority) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider).build().unwrap(),
            ),
            None => builder.with_no_client_auth(),
        };
        let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received_heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (heads, faithful) = (Arc::clone(&received_heads), FaithfulServer::start());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, heads, faithful) = (Arc::clone(&config), Arc::clone(&heads), Arc::clone(&faithful));
                thread::spawn(move || serve_connection(stream.unwrap(), config, &heads, &faithful));
            }
        });
        Self { address, received_heads }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the heads of all received requests.
    pub fn received_heads(&self) -> Vec<String> {
        self.received_heads.lock().unwrap().clone()
    }
}

fn serve_connection(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    received_heads: &Mutex<Vec<String>>,
    faithful: &FaithfulServer,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, tcp));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    received_heads.lock().unwrap().push(head.clone());
    let head = head.replacen(" /anthropic/", " /", 1);
    let response = faithful.respond(&replace_canary_credential(&ReceivedRequest {
        number: 0,
        head,
        body: String::from_utf8(body).unwrap(),
    }))?;
    let stream = stream.get_mut();
    stream.write_all(&response)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Replaces a canary credential in the request with the credential of the simulator.
pub fn replace_canary_credential(request: &ReceivedRequest) -> ReceivedRequest {
    let lines = request.head.split_inclusive("\r\n").map(|line| match line.find("canary-") {
        Some(at) if line.starts_with("x-api-key") || line.starts_with("authorization") => {
            format!("{}{DEFAULT_CREDENTIAL}\r\n", &line[..at])
        }
        _ => line.to_owned(),
    });
    ReceivedRequest { head: lines.collect(), ..request.clone() }
}
