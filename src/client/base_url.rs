//! The base URL that a user gives, and the addresses below it.
//!
//! A URL that carries a secret (user and password, a query) is refused, and never repeated in a message.

use std::net::IpAddr;

use reqwest::Url;

use crate::client::config::ClientError;

/// A checked base URL: `http` or `https`, a host, perhaps a path; nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
    /// The address that nearly all requests go to, which need not be put together for each.
    messages_url: Url,
}

/// Where messages are asked for.
const MESSAGES_PATH: &str = "/v1/messages";

/// What people paste after the base itself, because their provider's page shows it so. The request's path brings it.
const PASTED_PATH_SUFFIXES: [&str; 2] = ["/v1/messages", "/v1"];

impl BaseUrl {
    /// Reads a base URL as SDKs take it: `https://host`, `https://host/anthropic`, with or without a last slash. One
    /// that already ends in `/v1` or `/v1/messages` is understood as the part before.
    ///
    /// # Errors
    ///
    /// [`ClientError::BaseUrl`] when it is no URL, is neither `http` nor `https`, or has user, password, query or
    /// fragment.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let refuse = |problem: String| ClientError::BaseUrl { redacted_url: redact_url(text), problem };
        let mut url = Url::parse(text).map_err(|e| match e.to_string() {
            missing if missing.contains("relative URL") => refuse("it does not say http:// or https://".to_owned()),
            other => refuse(other),
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(format!("it begins with `{}:`", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it has a user name or a password in it, which is no place for a secret".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it has a query (`?`) or a fragment (`#`), and paths are added to it".to_owned()));
        }
        let path = url.path().trim_end_matches('/');
        let path = PASTED_PATH_SUFFIXES.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path).to_owned();
        url.set_path(path.trim_end_matches('/'));
        Ok(Self { messages_url: append_path(&url, MESSAGES_PATH), url })
    }

    /// The address of `path` below this base. `path` begins with a slash and may end in a query.
    pub fn join(&self, path: &str) -> Url {
        if path == MESSAGES_PATH { self.messages_url.clone() } else { append_path(&self.url, path) }
    }

    /// `host`, or `host:port` where the port is not the scheme's own: what messages and unnamed targets are called by.
    pub fn host_and_port(&self) -> String {
        host_and_port(&self.url)
    }

    /// True where the host is this machine by its very name: `localhost`, 127.0.0.0/8, `::1`. What goes there passes no
    /// wire. Addresses of private networks do.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Scheme, host and port: what says whose server it is, whatever the path.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// True for `https`.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// The address of a path below another.
fn append_path(base: &Url, path: &str) -> Url {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut url = base.clone();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    url.set_query(query);
    url
}

/// An address's host, and its port where that is not the scheme's own.
pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether the host is this machine by its name or address.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    // An address of the sixth version stands in brackets.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The text with everything left out that may be a secret: what stands before an `@`, and what follows a `?` or `#`.
pub(super) fn redact_url(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match text.split_once("//") {
        Some((scheme, rest)) => (format!("{scheme}//"), rest),
        None => (String::new(), text),
    };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}…@{rest}"),
        None => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_once_however_the_base_is_written() {
        for (base, whole) in [
            ("https://h", "https://h/v1/messages"),
            ("https://h/", "https://h/v1/messages"),
            ("https://h/anthropic", "https://h/anthropic/v1/messages"),
            ("https://h/anthropic/", "https://h/anthropic/v1/messages"),
            ("https://h/v1", "https://h/v1/messages"),
            ("https://h/v1/", "https://h/v1/messages"),
            ("https://h/api/v1", "https://h/api/v1/messages"),
            ("https://h/api/v1/messages", "https://h/api/v1/messages"),
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000/v1/messages"),
            ("https://h/notv1", "https://h/notv1/v1/messages"),
        ] {
            assert_eq!(BaseUrl::parse(base).unwrap().join("/v1/messages").as_str(), whole, "{base}");
        }
    }

    #[test]
    fn a_query_of_the_path_stays_a_query() {
        let url = BaseUrl::parse("https://h/a").unwrap().join("/v1/messages?beta=true");
        assert_eq!(url.as_str(), "https://h/a/v1/messages?beta=true");
    }

    #[test]
    fn the_default_port_is_not_named() {
        for (base, name) in [
            ("https://h:443/x", "h"),
            ("http://h", "h"),
            ("http://127.0.0.1:4000/x", "127.0.0.1:4000"),
            ("http://[::1]:80", "[::1]"),
        ] {
            assert_eq!(BaseUrl::parse(base).unwrap().host_and_port(), name, "{base}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_what_was_expected() {
        for (base, said) in [
            ("api.example.com", "does not say http://"),
            ("localhost:4000", "begins with `localhost:`"),
            ("ftp://h", "begins with `ftp:`"),
            ("https://h?x=1", "query"),
            ("https://h/#x", "fragment"),
            ("http://", "empty host"),
            ("", "does not say http://"),
        ] {
            let message = BaseUrl::parse(base).unwrap_err().to_string();
            assert!(message.contains(said), "{base}: {message}");
            assert!(message.contains("https://api.example.com/anthropic"), "{base}: {message}");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_no_other() {
        let of = |host: &str| BaseUrl::parse(&format!("http://{host}/x")).unwrap().is_loopback();
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:80", "127.9.9.9", "127.1", "2130706433", "[::1]:8080"] {
            assert!(of(host), "{host}");
        }
        for host in [
            "localhost.example.com",
            "10.0.0.1",
            "192.168.0.1",
            "0.0.0.0",
            "128.0.0.1",
            "[::2]",
            "127.0.0.1.nip.io",
            "h",
        ] {
            assert!(!of(host), "{host}");
        }
    }

    #[test]
    fn a_secret_in_the_url_is_refused_and_not_repeated() {
        for base in [
            "https://user:hunter22@h/x",
            "https://hunter22@h/x",
            "ftp://user:hunter22@h",
            "https://h/x?key=hunter22",
            "https://user:hunter22@h:99999",
            "user:hunter22@h",
        ] {
            let error = BaseUrl::parse(base).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter22"), "{base}: {error}");
        }
    }
}
