//! From a transport's error to a kind and a plain sentence: what happened, and what to try.
//!
//! The libraries' errors are read by type, through the whole chain of causes. Sentences name the host and nothing of
//! the request.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use rustls::AlertDescription;

use crate::wire::exchange::{AttemptFailure, FailureKind};

/// The time for making a connection, TLS included. Real servers take milliseconds; a host that swallows packets would
/// otherwise hold a request until its time-out.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How far an attempt had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptPhase {
    /// No status line yet.
    Sending,
    /// This many bytes of the body were there.
    Reading(usize),
}

/// Who is being talked to, as sentences need it.
#[derive(Debug, Clone)]
pub(super) struct ErrorContext {
    /// Host, and port where it is not the scheme's own.
    pub host_and_port: String,
    /// True for https.
    pub is_https: bool,
    /// What names a proxy, if one may be in use: an environment variable, or the option.
    pub proxy_source: Option<&'static str>,
}

impl ErrorContext {
    /// The failure behind an error of the HTTP client.
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
        // The last cause is the one that says what happened; those before it say who was told.
        let detail = causes.last().map_or_else(String::new, |c| c.to_string());
        // I/O errors are wrapped in I/O errors on their way; the innermost has the kind that counts.
        let io = causes.iter().rev().find_map(|c| c.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
        let http = causes.iter().find_map(|c| c.downcast_ref::<hyper::Error>());
        if let Some(tls) = causes.iter().find_map(|c| c.downcast_ref::<rustls::Error>()) {
            return self.tls_failure(tls, connecting);
        }
        if connecting {
            // A connection that was there and broke before the first byte of HTTP broke in the TLS handshake.
            let in_handshake =
                self.is_https && io.is_some_and(is_disconnect) && !contains(&causes, "tcp connect error");
            return if in_handshake {
                new_failure(
                    FailureKind::Tls,
                    format!("{} broke off the TLS handshake ({detail}): is it https?", self.host_and_port),
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
            format!("the address of {at} could not be found ({detail}): is the name right, is there a network?")
        } else if timed_out || io == Some(ErrorKind::TimedOut) {
            let seconds = CONNECT_TIMEOUT.as_secs();
            format!("{at} accepted no connection within {seconds} s: is the address right, is a firewall in between?")
        } else if io == Some(ErrorKind::ConnectionRefused) {
            format!("nothing answers at {at} (connection refused): is the server running, is the port right?")
        } else {
            format!("no connection to {at} could be made ({detail}): is the address right, is there a network?")
        };
        if let Some(set) = self.proxy_source {
            message += &format!(" A proxy is set by {set}: is that one right and running?");
        }
        new_failure(FailureKind::Connect, message)
    }

    fn tls_failure(&self, error: &rustls::Error, connecting: bool) -> AttemptFailure {
        let at = &self.host_and_port;
        let message = match error {
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => format!(
                "{at} asks for a client certificate, and none was sent: --client-cert and --client-key name one"
            ),
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied),
            ) => format!(
                "{at} refuses the client's certificate ({alert:?}): is it the one of --client-cert that it knows?"
            ),
            _ if !connecting => format!("the TLS connection to {at} failed ({error})"),
            rustls::Error::InvalidMessage(_) => {
                format!("the TLS handshake with {at} failed ({error}): is it http:// rather than https://?")
            }
            rustls::Error::InvalidCertificate(_) => format!(
                "the TLS handshake with {at} failed ({error}): is the certificate valid for this name? \
                 --ca-file names a further certificate authority"
            ),
            _ => format!("the TLS handshake with {at} failed ({error}): is it https, is the certificate valid?"),
        };
        new_failure(FailureKind::Tls, message)
    }

    fn protocol_failure(&self, detail: &str, phase: AttemptPhase) -> AttemptFailure {
        let at = &self.host_and_port;
        let message = match phase {
            AttemptPhase::Sending if self.is_https => {
                format!("{at} does not answer in HTTP ({detail}): is the port right?")
            }
            AttemptPhase::Sending => {
                format!(
                    "{at} does not answer in HTTP ({detail}): is the port right, is it https:// rather than http://?"
                )
            }
            AttemptPhase::Reading(n) => format!("the body from {at} is broken HTTP after {n} bytes ({detail})"),
        };
        new_failure(FailureKind::Protocol, message)
    }

    fn reset_failure(&self, detail: &str, phase: AttemptPhase) -> AttemptFailure {
        let at = &self.host_and_port;
        let message = match phase {
            AttemptPhase::Sending => {
                let scheme = if self.is_https { "" } else { ", is it https:// rather than http://" };
                format!("{at} closed the connection without an answer ({detail}): does its log say why{scheme}?")
            }
            AttemptPhase::Reading(n) => format!(
                "the connection to {at} broke after {n} bytes of the body ({detail}): does the server, or a proxy in \
                 between, end answers early?"
            ),
        };
        new_failure(FailureKind::Reset, message)
    }

    /// The failure of an attempt whose time ran out.
    pub(super) fn timeout_failure(&self, timeout: Duration, phase: AttemptPhase) -> AttemptFailure {
        let (at, seconds) = (&self.host_and_port, timeout.as_secs_f64());
        let message = match phase {
            AttemptPhase::Sending => format!(
                "no answer from {at} within {seconds} s: is the server stuck or overloaded? A longer time-out \
                 (--timeout) may help"
            ),
            AttemptPhase::Reading(n) => format!(
                "the answer from {at} was not complete within {seconds} s ({n} bytes came): does it end? A longer \
                 time-out (--timeout) may help"
            ),
        };
        new_failure(FailureKind::Timeout, message)
    }

    /// The failure of a body that is larger than what is kept.
    pub(super) fn too_large_failure(&self, kept_bytes: usize) -> AttemptFailure {
        let message = format!(
            "the body from {} is larger than {kept_bytes} bytes, far more than the answer to a short question needs; the \
             rest was not read",
            self.host_and_port
        );
        new_failure(FailureKind::TooLarge, message)
    }
}

fn new_failure(kind: FailureKind, message: String) -> AttemptFailure {
    AttemptFailure { kind, message }
}

/// The error and everything behind it. The standard library's I/O error hides the error that it wraps from `source`;
/// it is looked into here, since TLS errors travel that way.
fn error_chain<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| match e.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => e.source(),
    })
    .collect()
}

/// Whether one of the causes has this name. For the two causes whose types the HTTP library keeps to itself; they
/// change the sentence, and never whether something failed.
fn contains(causes: &[&(dyn Error + 'static)], name: &str) -> bool {
    causes.iter().any(|c| c.to_string() == name)
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

/// How the HTTP library reports a body whose framing cannot be read.
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
    fn a_tls_error_is_found_behind_the_io_error_that_wraps_it() {
        let failure = classify_connect_error(certificate_error(rustls::CertificateError::UnknownIssuer));
        assert_eq!(failure.kind, FailureKind::Tls);
        assert!(failure.message.contains("UnknownIssuer") && failure.message.contains("--ca-file"), "{failure:?}");

        let wrapped = io::Error::other(certificate_error(rustls::CertificateError::Expired));
        assert_eq!(classify_connect_error(wrapped).kind, FailureKind::Tls);
    }

    #[test]
    fn a_connection_that_breaks_in_the_handshake_is_a_tls_failure_only_over_https() {
        let eof = || io::Error::new(ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(classify_connect_error(eof()).kind, FailureKind::Tls);
        let plain = ErrorContext { is_https: false, ..error_context() };
        assert_eq!(plain.classify(&eof(), true, false, AttemptPhase::Sending).kind, FailureKind::Connect);
    }

    #[test]
    fn what_keeps_a_connection_from_being_made_is_told_apart() {
        for (kind, said) in [
            (ErrorKind::ConnectionRefused, "nothing answers at h:1 (connection refused)"),
            (ErrorKind::TimedOut, "no connection within 20 s"),
            (ErrorKind::HostUnreachable, "no connection to h:1 could be made"),
        ] {
            let failure = classify_connect_error(kind.into());
            assert_eq!(failure.kind, FailureKind::Connect);
            assert!(failure.message.contains(said), "{failure:?}");
        }
        let timed_out = error_context().classify(&io::Error::other("deadline"), true, true, AttemptPhase::Sending);
        assert!(timed_out.message.contains("firewall"), "{timed_out:?}");
    }

    #[test]
    fn a_proxy_that_may_be_at_fault_is_named() {
        let peer = ErrorContext { proxy_source: Some("HTTPS_PROXY"), ..error_context() };
        let failure = peer.classify(&io::Error::from(ErrorKind::ConnectionRefused), true, false, AttemptPhase::Sending);
        assert!(failure.message.contains("HTTPS_PROXY"), "{failure:?}");
    }

    #[test]
    fn a_broken_body_says_how_much_of_it_came() {
        let eof = io::Error::new(ErrorKind::UnexpectedEof, "end of file before message length reached");
        let failure = error_context().classify(&eof, false, false, AttemptPhase::Reading(17));
        assert_eq!(failure.kind, FailureKind::Reset);
        assert!(failure.message.contains("after 17 bytes"), "{failure:?}");

        let framing = io::Error::new(ErrorKind::InvalidInput, "Invalid chunk size line");
        let failure = error_context().classify(&framing, false, false, AttemptPhase::Reading(17));
        assert_eq!(failure.kind, FailureKind::Protocol);
    }
}
