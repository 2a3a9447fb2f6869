//! Small HTTP servers for tests: [`TestServer`], which runs a function for each request.
//!
//! They use plain threads and sockets, so that a test controls every byte.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fieldtest::simulator::{RunningSimulator, SimulatorConfig};

/// A request that the server received.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// The number of the request, from 0.
    pub number: usize,
    /// The request line and the headers, with their line endings.
    pub head: String,
    pub body: String,
}

/// A port on which nothing listens.
///
/// It is below the ports that systems assign by themselves (to port 0 and to outgoing connections),
/// and no other test gets it. So it stays free until the test uses it.
pub fn reserve_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10).unwrap() * 1_000;
    loop {
        let port = first + TAKEN.fetch_add(1, Ordering::Relaxed) % 1_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A loopback server that passes one request per connection to a function and keeps all requests.
pub struct TestServer {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
}

impl TestServer {
    pub fn start(respond: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<ReceivedRequest>>> = Arc::default();
        let (respond, shared) = (Arc::new(respond), received.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (respond, shared) = (respond.clone(), shared.clone());
                thread::spawn(move || {
                    let mut stream = stream?;
                    if let Some(request) = read_request(&stream, &shared)? {
                        respond(&request, &mut stream)?;
                    }
                    // All written bytes arrive before the connection closes.
                    stream.shutdown(Shutdown::Write)
                });
            }
        });
        Self { address, received }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn received_requests(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap().clone()
    }
}

/// Reads a request. Returns `None` if the connection ends before the end of the head.
fn read_request(stream: &TcpStream, received: &Mutex<Vec<ReceivedRequest>>) -> io::Result<Option<ReceivedRequest>> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.by_ref().take(65_536).read_line(&mut head).unwrap_or(0) == 0 {
            return Ok(None);
        }
    }
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let mut received = received.lock().unwrap();
    let request = ReceivedRequest { number: received.len(), head, body: String::from_utf8(body).unwrap() };
    received.push(request.clone());
    Ok(Some(request))
}

/// Writes a complete response.
pub fn write_response(stream: &mut TcpStream, status: &str, kind: &str, body: impl AsRef<[u8]>) -> io::Result<()> {
    let length = body.as_ref().len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    stream.write_all(body.as_ref())
}

/// Keeps the connection open without a response until the client closes it.
pub fn keep_open(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.read(&mut [0]).map(|_| ())
}

/// A simulator without faults in this process. Test servers forward requests to it.
pub struct FaithfulServer {
    address: SocketAddr,
    _running: RunningSimulator,
    _runtime: tokio::runtime::Runtime,
}

impl FaithfulServer {
    pub fn start() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = SimulatorConfig { model: "m".to_owned(), credential: None, ..SimulatorConfig::default() };
        let running = runtime.block_on(fieldtest::simulator::start(config)).unwrap();
        let address = running.base_url().strip_prefix("http://").unwrap().parse().unwrap();
        Arc::new(Self { address, _running: running, _runtime: runtime })
    }

    /// Sends the request to the simulator and returns the bytes of the response, head and body.
    pub fn respond(&self, request: &ReceivedRequest) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        let head = request.head.strip_suffix("\r\n").unwrap();
        write!(stream, "{head}connection: close\r\n\r\n{}", request.body)?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response)?;
        Ok(response)
    }
}
