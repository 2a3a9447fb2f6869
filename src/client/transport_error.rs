//! From a transport's error to a kind and a plain sentence: what happened, and what to try.
//!
//! The libraries' errors are read by type, through the whole chain of causes. Sentences name the host and nothing of
//! the request.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use rustls::AlertDescription;

use crate::wire::exchange::{Failure, FailureKind};

/// The time for making a connection, TLS included. Real servers take milliseconds; a host that swallows packets would
/// otherwise hold a request until its time-out.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How far an attempt had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No status line yet.
    Sending,
    /// This many bytes of the body were there.
    Reading(usize),
}

/// Who is being talked to, as sentences need it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Host, and port where it is not the scheme's own.
    pub at: String,
    /// True for https.
    pub https: bool,
    /// What names a proxy, if one may be in use: an environment variable, or the option.
    pub proxy: Option<&'static str>,
}

impl Peer {
    /// The failure behind an error of the HTTP client.
    pub(super) fn transport(&self, error: &reqwest::Error, phase: Phase) -> Failure {
        self.classify(error, error.is_connect(), error.is_timeout(), phase)
    }

    fn classify(&self, error: &(dyn Error + 'static), connecting: bool, timed_out: bool, phase: Phase) -> Failure {
        let causes = causes(error);
        // The last cause is the one that says what happened; those before it say who was told.
        let detail = causes.last().map_or_else(String::new, |c| c.to_string());
        // I/O errors are wrapped in I/O errors on their way; the innermost has the kind that counts.
        let io = causes.iter().rev().find_map(|c| c.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
        let http = causes.iter().find_map(|c| c.downcast_ref::<hyper::Error>());
        if let Some(tls) = causes.iter().find_map(|c| c.downcast_ref::<rustls::Error>()) {
            return self.tls(tls, connecting);
        }
        if connecting {
            // A connection that was there and broke before the first byte of HTTP broke in the TLS handshake.
            let in_handshake = self.https && io.is_some_and(is_broken) && !says(&causes, "tcp connect error");
            return if in_handshake {
                failure(FailureKind::Tls, format!("{} broke off the TLS handshake ({detail}): is it https?", self.at))
            } else {
                self.connect(io, timed_out, says(&causes, "dns error"), &detail)
            };
        }
        if http.is_some_and(hyper::Error::is_parse) || is_malformed(io) {
            self.not_http(&detail, phase)
        } else {
            self.reset(&detail, phase)
        }
    }

    fn connect(&self, io: Option<ErrorKind>, timed_out: bool, dns: bool, detail: &str) -> Failure {
        let Self { at, .. } = self;
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
        if let Some(set) = self.proxy {
            message += &format!(" A proxy is set by {set}: is that one right and running?");
        }
        failure(FailureKind::Connect, message)
    }

    fn tls(&self, error: &rustls::Error, connecting: bool) -> Failure {
        let at = &self.at;
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
        failure(FailureKind::Tls, message)
    }

    fn not_http(&self, detail: &str, phase: Phase) -> Failure {
        let at = &self.at;
        let message = match phase {
            Phase::Sending if self.https => format!("{at} does not answer in HTTP ({detail}): is the port right?"),
            Phase::Sending => {
                format!(
                    "{at} does not answer in HTTP ({detail}): is the port right, is it https:// rather than http://?"
                )
            }
            Phase::Reading(n) => format!("the body from {at} is broken HTTP after {n} bytes ({detail})"),
        };
        failure(FailureKind::Protocol, message)
    }

    fn reset(&self, detail: &str, phase: Phase) -> Failure {
        let at = &self.at;
        let message = match phase {
            Phase::Sending => {
                let scheme = if self.https { "" } else { ", is it https:// rather than http://" };
                format!("{at} closed the connection without an answer ({detail}): does its log say why{scheme}?")
            }
            Phase::Reading(n) => format!(
                "the connection to {at} broke after {n} bytes of the body ({detail}): does the server, or a proxy in \
                 between, end answers early?"
            ),
        };
        failure(FailureKind::Reset, message)
    }

    /// The failure of an attempt whose time ran out.
    pub(super) fn timed_out(&self, timeout: Duration, phase: Phase) -> Failure {
        let (at, seconds) = (&self.at, timeout.as_secs_f64());
        let message = match phase {
            Phase::Sending => format!(
                "no answer from {at} within {seconds} s: is the server stuck or overloaded? A longer time-out \
                 (--timeout) may help"
            ),
            Phase::Reading(n) => format!(
                "the answer from {at} was not complete within {seconds} s ({n} bytes came): does it end? A longer \
                 time-out (--timeout) may help"
            ),
        };
        failure(FailureKind::Timeout, message)
    }

    /// The failure of a body that is larger than what is kept.
    pub(super) fn too_large(&self, kept_bytes: usize) -> Failure {
        let message = format!(
            "the body from {} is larger than {kept_bytes} bytes, far more than the answer to a short question needs; the \
             rest was not read",
            self.at
        );
        failure(FailureKind::TooLarge, message)
    }
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure { kind, message }
}

/// The error and everything behind it. The standard library's I/O error hides the error that it wraps from `source`;
/// it is looked into here, since TLS errors travel that way.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| match e.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => e.source(),
    })
    .collect()
}

/// Whether one of the causes has this name. For the two causes whose types the HTTP library keeps to itself; they
/// change the sentence, and never whether something failed.
fn says(causes: &[&(dyn Error + 'static)], name: &str) -> bool {
    causes.iter().any(|c| c.to_string() == name)
}

fn is_broken(kind: ErrorKind) -> bool {
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

    fn peer() -> Peer {
        Peer { at: "h:1".to_owned(), https: true, proxy: None }
    }

    fn connecting(error: io::Error) -> Failure {
        peer().classify(&error, true, false, Phase::Sending)
    }

    fn certificate(problem: rustls::CertificateError) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, rustls::Error::InvalidCertificate(problem))
    }

    #[test]
    fn a_tls_error_is_found_behind_the_io_error_that_wraps_it() {
        let failure = connecting(certificate(rustls::CertificateError::UnknownIssuer));
        assert_eq!(failure.kind, FailureKind::Tls);
        assert!(failure.message.contains("UnknownIssuer") && failure.message.contains("--ca-file"), "{failure:?}");

        let wrapped = io::Error::other(certificate(rustls::CertificateError::Expired));
        assert_eq!(connecting(wrapped).kind, FailureKind::Tls);
    }

    #[test]
    fn a_connection_that_breaks_in_the_handshake_is_a_tls_failure_only_over_https() {
        let eof = || io::Error::new(ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(connecting(eof()).kind, FailureKind::Tls);
        let plain = Peer { https: false, ..peer() };
        assert_eq!(plain.classify(&eof(), true, false, Phase::Sending).kind, FailureKind::Connect);
    }

    #[test]
    fn what_keeps_a_connection_from_being_made_is_told_apart() {
        for (kind, said) in [
            (ErrorKind::ConnectionRefused, "nothing answers at h:1 (connection refused)"),
            (ErrorKind::TimedOut, "no connection within 20 s"),
            (ErrorKind::HostUnreachable, "no connection to h:1 could be made"),
        ] {
            let failure = connecting(kind.into());
            assert_eq!(failure.kind, FailureKind::Connect);
            assert!(failure.message.contains(said), "{failure:?}");
        }
        let timed_out = peer().classify(&io::Error::other("deadline"), true, true, Phase::Sending);
        assert!(timed_out.message.contains("firewall"), "{timed_out:?}");
    }

    #[test]
    fn a_proxy_that_may_be_at_fault_is_named() {
        let peer = Peer { proxy: Some("HTTPS_PROXY"), ..peer() };
        let failure = peer.classify(&io::Error::from(ErrorKind::ConnectionRefused), true, false, Phase::Sending);
        assert!(failure.message.contains("HTTPS_PROXY"), "{failure:?}");
    }

    #[test]
    fn a_broken_body_says_how_much_of_it_came() {
        let eof = io::Error::new(ErrorKind::UnexpectedEof, "end of file before message length reached");
        let failure = peer().classify(&eof, false, false, Phase::Reading(17));
        assert_eq!(failure.kind, FailureKind::Reset);
        assert!(failure.message.contains("after 17 bytes"), "{failure:?}");

        let framing = io::Error::new(ErrorKind::InvalidInput, "Invalid chunk size line");
        let failure = peer().classify(&framing, false, false, Phase::Reading(17));
        assert_eq!(failure.kind, FailureKind::Protocol);
    }
}
