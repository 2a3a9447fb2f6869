//! Classifies the errors of the HTTP library: a failure kind, and a message with the next step.
//!
//! The whole chain of causes is inspected, by type. Messages name the host, and nothing of the
//! request.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use rustls::AlertDescription;

use crate::wire::exchange::{AttemptFailure, FailureKind};

/// The time limit of a connection, including TLS. Without it, a host that drops packets would block
/// a request until its timeout.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The phase in which an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptPhase {
    /// Before the status line.
    Sending,
    /// After this many bytes of the body.
    Reading(usize),
}

/// What messages say about the endpoint.
#[derive(Debug)]
pub(super) struct ErrorContext {
    /// The host, with the port if that is not the default.
    pub host_and_port: String,
    /// True for https.
    pub is_https: bool,
    /// The option or variable that sets a proxy, if there may be one.
    pub proxy_source: Option<&'static str>,
}

impl ErrorContext {
    /// Converts an error of the HTTP library to a failure.
    pub(super) fn classify_http_error(&self, error: &reqwest::Error, phase: AttemptPhase) -> AttemptFailure {
        self.classify(error, error.is_connect(), error.is_timeout(), phase)
    }

    fn classify(
        &self,
        error: &(dyn Error + 'static),
        connecting: bool,
        timed_out: bool,
        phase: AttemptPhase,
    ) -> AttemptFailure {
        let causes = error_chain(error);
        // The innermost cause says what happened. The others only wrap it.
        let detail = causes.last().map_or_else(String::new, |c| c.to_string());
        // I/O errors wrap I/O errors. The innermost one has the right kind.
        let io = causes.iter().rev().find_map(|c| c.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
        let http = causes.iter().find_map(|c| c.downcast_ref::<hyper::Error>());
        if let Some(tls) = causes.iter().find_map(|c| c.downcast_ref::<rustls::Error>()) {
            return self.tls_failure(tls, connecting);
        }
        if connecting {
            // A connection that breaks before the first byte of HTTP breaks in the TLS handshake.
            let in_handshake =
                self.is_https && io.is_some_and(is_disconnect) && !contains(&causes, "tcp connect error");
            return if in_handshake {
                let at = &self.host_and_port;
                new_failure(
                    FailureKind::Tls,
                    format!("{at} closed the connection during the TLS handshake ({detail}). Check that it uses https"),
                )
            } else {
                self.connect_failure(io, timed_out, contains(&causes, "dns error"), &detail)
            };
        }
        if http.is_some_and(hyper::Error::is_parse) || is_malformed(io) {
            self.protocol_failure(&detail, phase)
        } else {
            self.reset_failure(&detail, phase)
        }
    }

    fn connect_failure(&self, io: Option<ErrorKind>, timed_out: bool, dns: bool, detail: &str) -> AttemptFailure {
        let Self { host_and_port: at, .. } = self;
        let mut message = if dns {
            format!("no address found for {at} ({detail}). Check the host name and the network")
        } else if timed_out || io == Some(ErrorKind::TimedOut) {
            let seconds = CONNECT_TIMEOUT.as_secs();
            format!("{at} accepted no connection within {seconds} s. Check the address and firewalls")
        } else if io == Some(ErrorKind::ConnectionRefused) {
            format!("connection refused by {at}. Check that the server runs, and the port")
        } else {
            format!("cannot connect to {at} ({detail}). Check the address and the network")
        };
        if let Some(source) = self.proxy_source {
            message += &format!(". {source} sets a proxy; check that it runs");
        }
        new_failure(FailureKind::Connect, message)
    }

    fn tls_failure(&self, error: &rustls::Error, connecting: bool) -> AttemptFailure {
        let at = &self.host_and_port;
        let message = match error {
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                format!("{at} requires a client certificate. Use --client-cert and --client-key")
            }
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied),
            ) => format!("{at} rejects the client certificate ({alert:?}). Check --client-cert"),
            _ if !connecting => format!("the TLS connection to {at} failed ({error})"),
            rustls::Error::InvalidMessage(_) => {
                format!("the TLS handshake with {at} failed ({error}). The server may use http:// instead of https://")
            }
            rustls::Error::InvalidCertificate(_) => format!(
                "the TLS handshake with {at} failed ({error}). Check that the certificate is valid for this \
                 host; --ca-file adds a certificate authority"
            ),
            _ => format!(
                "the TLS handshake with {at} failed ({error}). Check that the server uses https, and its certificate"
            ),
        };
        new_failure(FailureKind::Tls, message)
    }

    fn protocol_failure(&self, detail: &str, phase: AttemptPhase) -> AttemptFailure {
        let at = &self.host_and_port;
        let message = match phase {
            AttemptPhase::Sending if self.is_https => {
                format!("{at} did not return HTTP ({detail}). Check the port")
            }
            AttemptPhase::Sending => {
                format!("{at} did not return HTTP ({detail}). Check the port, or use https://")
            }
            AttemptPhase::Reading(n) => {
                format!("the body from {at} is not valid HTTP after {} ({detail})", format_bytes(n))
            }
        };
        new_failure(FailureKind::Protocol, message)
    }

    fn reset_failure(&self, detail: &str, phase: AttemptPhase) -> AttemptFailure {
        let at = &self.host_and_port;
        let message = match phase {
            AttemptPhase::Sending => {
                let scheme = if self.is_https { "" } else { ", or use https://" };
                format!("{at} closed the connection without a response ({detail}). Check its log{scheme}")
            }
            AttemptPhase::Reading(n) => format!(
                "the connection to {at} broke after {} of the body ({detail}). Check whether the server, or a proxy \
                 before it, ends responses early",
                format_bytes(n)
            ),
        };
        new_failure(FailureKind::Reset, message)
    }

    /// The failure of an attempt that exceeded its time limit.
    pub(super) fn timeout_failure(&self, timeout: Duration, phase: AttemptPhase) -> AttemptFailure {
        let (at, seconds) = (&self.host_and_port, timeout.as_secs_f64());
        let message = match phase {
            AttemptPhase::Sending => format!(
                "no response from {at} within {seconds} s. The server may be overloaded; --timeout waits longer"
            ),
            AttemptPhase::Reading(n) => format!(
                "the response from {at} was not complete within {seconds} s (received {}). --timeout waits longer",
                format_bytes(n)
            ),
        };
        new_failure(FailureKind::Timeout, message)
    }

    /// The failure of a part of a response, such as its body, above the size limit.
    pub(super) fn too_large_failure(&self, part: &str, max_bytes: usize) -> AttemptFailure {
        let message = format!(
            "the {part} from {} is larger than {max_bytes} bytes, far too large for the response to a short request. \
             The rest was not read",
            self.host_and_port
        );
        new_failure(FailureKind::TooLarge, message)
    }
}

fn new_failure(kind: FailureKind, message: String) -> AttemptFailure {
    AttemptFailure { kind, message }
}

fn format_bytes(count: usize) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}

/// The error and all its causes. `source` skips the error that an I/O error wraps, which may be the
/// TLS error, so this function unwraps I/O errors.
fn error_chain<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| match e.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => e.source(),
    })
    .collect()
}

/// True if one of the causes has this text. For two causes with private types. They change the
/// message, never whether something failed.
fn contains(causes: &[&(dyn Error + 'static)], text: &str) -> bool {
    causes.iter().any(|c| c.to_string() == text)
}

fn is_disconnect(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
    )
}

/// True for the kinds that the HTTP library uses for invalid framing of a body.
fn is_malformed(kind: Option<ErrorKind>) -> bool {
    matches!(kind, Some(ErrorKind::InvalidData | ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn error_context() -> ErrorContext {
        ErrorContext { host_and_port: "h:1".to_owned(), is_https: true, proxy_source: None }
    }

    fn classify_connect_error(error: io::Error) -> AttemptFailure {
        error_context().classify(&error, true, false, AttemptPhase::Sending)
    }

    fn certificate_error(problem: rustls::CertificateError) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, rustls::Error::InvalidCertificate(problem))
    }

    #[test]
    fn a_tls_error_inside_an_io_error_is_found() {
        let failure = classify_connect_error(certificate_error(rustls::CertificateError::UnknownIssuer));
        assert_eq!(failure.kind, FailureKind::Tls);
        assert!(failure.message.contains("UnknownIssuer") && failure.message.contains("--ca-file"), "{failure:?}");

        let wrapped = io::Error::other(certificate_error(rustls::CertificateError::Expired));
        assert_eq!(classify_connect_error(wrapped).kind, FailureKind::Tls);
    }

    #[test]
    fn a_broken_handshake_is_a_tls_failure_only_over_https() {
        let eof = || io::Error::new(ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(classify_connect_error(eof()).kind, FailureKind::Tls);
        let http_context = ErrorContext { is_https: false, ..error_context() };
        assert_eq!(http_context.classify(&eof(), true, false, AttemptPhase::Sending).kind, FailureKind::Connect);
    }

    #[test]
    fn connection_failures_have_different_messages() {
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, "connection refused by h:1"),
            (ErrorKind::TimedOut, "no connection within 20 s"),
            (ErrorKind::HostUnreachable, "cannot connect to h:1"),
        ] {
            let failure = classify_connect_error(kind.into());
            assert_eq!(failure.kind, FailureKind::Connect);
            assert!(failure.message.contains(expected), "{failure:?}");
        }
        let timed_out = error_context().classify(&io::Error::other("deadline"), true, true, AttemptPhase::Sending);
        assert!(timed_out.message.contains("firewall"), "{timed_out:?}");
    }

    #[test]
    fn a_connection_failure_names_the_proxy() {
        let context = ErrorContext { proxy_source: Some("HTTPS_PROXY"), ..error_context() };
        let failure =
            context.classify(&io::Error::from(ErrorKind::ConnectionRefused), true, false, AttemptPhase::Sending);
        assert!(failure.message.contains("HTTPS_PROXY"), "{failure:?}");
    }

    #[test]
    fn a_broken_body_reports_the_received_bytes() {
        let eof = io::Error::new(ErrorKind::UnexpectedEof, "end of file before message length reached");
        let failure = error_context().classify(&eof, false, false, AttemptPhase::Reading(17));
        assert_eq!(failure.kind, FailureKind::Reset);
        assert!(failure.message.contains("after 17 bytes"), "{failure:?}");

        let invalid_framing = io::Error::new(ErrorKind::InvalidInput, "Invalid chunk size line");
        let failure = error_context().classify(&invalid_framing, false, false, AttemptPhase::Reading(17));
        assert_eq!(failure.kind, FailureKind::Protocol);
    }
}
