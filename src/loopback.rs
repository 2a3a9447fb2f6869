//! [`LoopbackListener`]: a listener whose connections a handler can abort ([`ConnectionHandle`]).
//!
//! Nagle's algorithm is off, so that small writes are sent immediately.

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

/// A handle that aborts one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionHandle {
    is_aborted: Arc<AtomicBool>,
}

impl ConnectionHandle {
    /// Aborts the connection: the next write fails, and the client gets a reset.
    pub fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, LoopbackListener>> for ConnectionHandle {
    fn connect_info(stream: IncomingStream<'_, LoopbackListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A TCP listener for axum.
#[derive(Debug)]
pub(crate) struct LoopbackListener(pub TcpListener);

impl Listener for LoopbackListener {
    type Io = AbortableStream;
    type Addr = ConnectionHandle;

    async fn accept(&mut self) -> (AbortableStream, ConnectionHandle) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => {
                    // If this fails, the connection is slower but works.
                    let _ = stream.set_nodelay(true);
                    let handle = ConnectionHandle::default();
                    return (AbortableStream { stream, handle: handle.clone() }, handle);
                }
                // Too many open sockets, or a client that disconnected. Keep serving the others.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<ConnectionHandle> {
        self.0.local_addr().map(|_: SocketAddr| ConnectionHandle::default())
    }
}

/// A TCP connection that its handle can abort.
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
        // Makes the close send a reset.
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
