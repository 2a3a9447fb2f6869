//! What the process finds around itself: [`ProcessEnvironment`], gathered once and passed to the commands.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::time::{SystemTime, UNIX_EPOCH};

use secrecy::SecretString;

use crate::catalog::{Catalog, CredentialSource};
use crate::client::transport;
use crate::redact::SECRET_VARIABLES;

/// The environment variables, the terminal and the clock.
#[derive(Debug, Clone)]
pub struct ProcessEnvironment {
    /// Looks up an environment variable.
    pub variable: fn(&str) -> Option<OsString>,
    /// The width of the terminal in columns, if standard output is a terminal.
    pub terminal_width: Option<usize>,
    /// True if standard output is a terminal and colours are welcome.
    pub colour: bool,
    /// True if standard error is a terminal.
    pub interactive: bool,
    /// True if standard error has a log.
    pub log_enabled: bool,
    /// A number that differs from run to run.
    pub entropy: u64,
    /// Today, in UTC: entries of baselines expire.
    pub today: jiff::civil::Date,
}

impl ProcessEnvironment {
    /// The environment of this process.
    pub fn from_process() -> Self {
        let terminal = std::io::stdout().is_terminal();
        // A terminal that cannot move its cursor cannot show bars.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || is_dumb;
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            variable: |name| std::env::var_os(name),
            terminal_width: columns.or_else(|| if terminal { measured() } else { None }),
            colour: terminal && !plain,
            interactive: std::io::stderr().is_terminal() && !is_dumb,
            log_enabled: false,
            today: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
            entropy: since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()),
        }
    }

    /// The secrets in usual variables: keys, and the passwords of proxies.
    pub fn well_known_secrets(&self) -> Vec<SecretString> {
        let mut secrets = self.read_secrets(SECRET_VARIABLES);
        let proxies = transport::PROXY_VARIABLES.into_iter().filter_map(|name| self.text(name));
        secrets.extend(proxies.flat_map(|proxy| transport::extract_url_secrets(&proxy)));
        secrets
    }

    /// The secrets that a server may know and echo: those of usual variables, and the credentials of all targets.
    pub fn all_secrets(&self, catalog: &Catalog) -> Vec<SecretString> {
        let names: BTreeSet<&str> = catalog
            .targets
            .values()
            .flat_map(|target| {
                let own = match &target.credential {
                    Some(CredentialSource::Env(names)) => names.as_slice(),
                    _ => &[],
                };
                target.auth.env.iter().chain(own).map(String::as_str)
            })
            .collect();
        let mut secrets = self.well_known_secrets();
        secrets.extend(self.read_secrets(names));
        secrets
    }

    fn read_secrets<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<SecretString> {
        let values = names.into_iter().filter_map(|name| self.text(name));
        values.filter(|value| value.len() >= MIN_SECRET_BYTES).map(SecretString::from).collect()
    }

    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name)?.into_string().ok()
    }
}

/// Shorter values are ordinary words, for example `not-needed`.
const MIN_SECRET_BYTES: usize = 12;
