//! Small servers that do whatever a test wants: plain threads and sockets, so that every byte is the test's own.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fieldtest::simulator::{RunningSimulator, SimulatorConfig};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Counts the requests from 0.
    pub number: usize,
    /// The request line and the headers, with their line ends.
    pub head: String,
    pub body: String,
}

/// A server on loopback that answers each connection's one request by a function, and remembers what it was asked.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Asked, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, seen) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, seen) = (answer.clone(), seen.clone());
                thread::spawn(move || {
                    let mut stream = stream?;
                    if let Some(request) = read_request(&stream, &seen)? {
                        answer(&request, &mut stream)?;
                    }
                    // An orderly end: what was written arrives before the connection closes.
                    stream.shutdown(Shutdown::Write)
                });
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads a request; `None` where what came is no HTTP.
fn read_request(stream: &TcpStream, seen: &Mutex<Vec<Asked>>) -> io::Result<Option<Asked>> {
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
    let mut seen = seen.lock().unwrap();
    let asked = Asked { number: seen.len(), head, body: String::from_utf8(body).unwrap() };
    seen.push(asked.clone());
    Ok(Some(asked))
}

/// Writes a whole answer.
pub fn write_answer(stream: &mut TcpStream, status: &str, kind: &str, body: impl AsRef<[u8]>) -> io::Result<()> {
    let length = body.as_ref().len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    stream.write_all(body.as_ref())
}

/// Holds the connection open without a word, until the other side gives up.
pub fn hold(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.read(&mut [0]).map(|_| ())
}

/// A faithful endpoint in this process, for servers that behave until they do not.
pub struct Faithful {
    address: SocketAddr,
    _running: RunningSimulator,
    _runtime: tokio::runtime::Runtime,
}

impl Faithful {
    pub fn start() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let behaviour = SimulatorConfig { model: "m".to_owned(), credential: None, ..SimulatorConfig::default() };
        let running = runtime.block_on(fieldtest::simulator::start(behaviour)).unwrap();
        let address = running.base_url().strip_prefix("http://").unwrap().parse().unwrap();
        Arc::new(Self { address, _running: running, _runtime: runtime })
    }

    /// The answer to a request, whole: head and body.
    pub fn answer(&self, asked: &Asked) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        let head = asked.head.strip_suffix("\r\n").unwrap();
        write!(stream, "{head}connection: close\r\n\r\n{}", asked.body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}
