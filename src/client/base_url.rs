//! [`BaseUrl`]: the base URL of an endpoint, and the URLs below it.
//!
//! A URL that contains a secret (user, password, query) is rejected. Messages never repeat the
//! secret.

use std::net::IpAddr;

use reqwest::Url;

use crate::client::error::ClientError;

/// A validated base URL: `http` or `https`, a host, an optional path, and no other part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
    /// The URL of nearly all requests, built once.
    messages_url: Url,
}

/// The path of the Messages API.
const MESSAGES_PATH: &str = "/v1/messages";

/// Paths that users often paste with the base URL. Request paths contain them already.
const PASTED_PATH_SUFFIXES: [&str; 2] = ["/v1/messages", "/v1"];

impl BaseUrl {
    /// Parses a base URL as SDKs accept it: `https://host` or `https://host/anthropic`, with or
    /// without a final slash. A final `/v1` or `/v1/messages` is removed.
    ///
    /// # Errors
    ///
    /// [`ClientError::BaseUrl`] if the text is not a URL, is neither `http` nor `https`, or has a
    /// user, password, query or fragment.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let reject = |problem: String| ClientError::BaseUrl { redacted_url: redact_url(text), problem };
        let mut url = Url::parse(text).map_err(|e| match e.to_string() {
            message if message.contains("relative URL") => {
                reject("it does not begin with http:// or https://".to_owned())
            }
            other => reject(other),
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(reject(format!("it begins with `{}:`", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(reject("it contains a user name or a password. Remove it".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(reject("it has a query (`?`) or a fragment (`#`). Remove it".to_owned()));
        }
        let path = url.path().trim_end_matches('/');
        let path = PASTED_PATH_SUFFIXES.iter().find_map(|suffix| path.strip_suffix(suffix)).unwrap_or(path).to_owned();
        url.set_path(path.trim_end_matches('/'));
        Ok(Self { messages_url: append_path(&url, MESSAGES_PATH), url })
    }

    /// The URL of `path` below this base. `path` begins with a slash and may have a query.
    pub fn join(&self, path: &str) -> Url {
        if path == MESSAGES_PATH { self.messages_url.clone() } else { append_path(&self.url, path) }
    }

    /// `host`, or `host:port` if the port is not the default. Messages and unnamed targets use it.
    pub fn host_and_port(&self) -> String {
        host_and_port(&self.url)
    }

    /// True if the host is `localhost` or a loopback address, so that requests do not leave this
    /// machine. False for addresses of private networks.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// True for `https`.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

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

/// The host of a URL, with its port if that is not the default.
pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// True if the host of the URL is `localhost` or a loopback address.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    // URLs have IPv6 addresses in brackets.
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The text without the parts that may be secret: before an `@`, and after a `?` or `#`.
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
    fn join_appends_the_path_once_for_every_form_of_base_url() {
        for (base, url) in [
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
            assert_eq!(BaseUrl::parse(base).unwrap().join("/v1/messages").as_str(), url, "{base}");
        }
    }

    #[test]
    fn join_keeps_the_query_of_the_path() {
        let url = BaseUrl::parse("https://h/a").unwrap().join("/v1/messages?beta=true");
        assert_eq!(url.as_str(), "https://h/a/v1/messages?beta=true");
    }

    #[test]
    fn host_and_port_omits_the_default_port() {
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
    fn an_invalid_base_url_is_rejected_with_the_expected_form() {
        for (base, expected) in [
            ("api.example.com", "does not begin with http://"),
            ("localhost:4000", "begins with `localhost:`"),
            ("ftp://h", "begins with `ftp:`"),
            ("https://h?x=1", "query"),
            ("https://h/#x", "fragment"),
            ("http://", "empty host"),
            ("", "does not begin with http://"),
        ] {
            let message = BaseUrl::parse(base).unwrap_err().to_string();
            assert!(message.contains(expected), "{base}: {message}");
            assert!(message.contains("https://api.example.com/anthropic"), "{base}: {message}");
        }
    }

    #[test]
    fn only_hosts_of_this_machine_are_loopback() {
        let is_loopback = |host: &str| BaseUrl::parse(&format!("http://{host}/x")).unwrap().is_loopback();
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:80", "127.9.9.9", "127.1", "2130706433", "[::1]:8080"] {
            assert!(is_loopback(host), "{host}");
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
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_url_with_a_secret_is_rejected_and_the_secret_not_repeated() {
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
