//! The connections: loopback sockets that can be broken on purpose.
//!
//! Small answers must not wait for each other, so every connection sends at once (no Nagle).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A handle on one connection, by which a handler can break it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionHandle {
    is_aborted: Arc<AtomicBool>,
}

impl ConnectionHandle {
    /// Breaks the connection: whatever is written next is lost, and the client sees a reset.
    pub fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, LoopbackListener>> for ConnectionHandle {
    fn connect_info(stream: IncomingStream<'_, LoopbackListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// The listening socket.
#[derive(Debug)]
pub(crate) struct LoopbackListener(pub TcpListener);

impl Listener for LoopbackListener {
    type Io = AbortableStream;
    type Addr = ConnectionHandle;

    async fn accept(&mut self) -> (AbortableStream, ConnectionHandle) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => {
                    // A socket that refuses is slower, not wrong.
                    let _ = stream.set_nodelay(true);
                    let line = ConnectionHandle::default();
                    return (AbortableStream { stream, handle: line.clone() }, line);
                }
                // Out of sockets, or a client that left at once: others may still be served.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<ConnectionHandle> {
        self.0.local_addr().map(|_: SocketAddr| ConnectionHandle::default())
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct AbortableStream {
    stream: TcpStream,
    handle: ConnectionHandle,
}

impl AbortableStream {
    fn fail_if_aborted(&self) -> io::Result<()> {
        if !self.handle.is_aborted.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Without it, the socket would close politely.
        let _ = self.stream.set_zero_linger();
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for AbortableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for AbortableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.fail_if_aborted()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.fail_if_aborted()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
