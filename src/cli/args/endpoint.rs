//! The endpoints to test, and their credential: [`EndpointArgs`] and [`CredentialArgs`].

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser as NonEmpty;
use secrecy::SecretString;

use crate::cli::args::parse::parse_secret;
use crate::wire::exchange::AuthScheme;

/// The endpoints to test, and the tables to compare them with.
#[derive(Debug, Clone, Default, Args)]
pub struct EndpointArgs {
    /// Targets [default: simulated deepseek, tencent-lkeap]
    #[arg(value_name = "TARGET", help_heading = "What to test")]
    pub targets: Vec<String>,
    /// Endpoint to test; `/v1/messages` is appended
    #[arg(long, value_name = "URL", help_heading = "What to test")]
    pub base_url: Option<String>,
    /// Model to request; repeatable, one run each
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new(), help_heading = "What to test")]
    pub model: Vec<String>,
    /// Table to compare with [default: the target's own]
    #[arg(long, value_name = "TARGET", help_heading = "What to test")]
    pub claims: Option<String>,
    /// Name in the reports [default: host and port]
    #[arg(long, value_name = "NAME", value_parser = NonEmpty::new(), help_heading = "What to test")]
    pub name: Option<String>,
    /// YAML list of targets, base URLs and models
    #[arg(id = "targets_file", long = "targets", value_name = "FILE", help_heading = "What to test", conflicts_with_all = [
        "targets", "base_url", "name", "model", "api_key_env", "api_key_file", "api_key_command", "auth",
    ])]
    pub list: Option<PathBuf>,
    /// Test the simulated target, not the live endpoint
    #[arg(long, help_heading = "What to test")]
    pub simulate: bool,
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Header for the credential: x-api-key, bearer
    #[arg(long, value_name = "HEADER", help_heading = "Credential")]
    pub auth: Option<AuthScheme>,
    #[command(flatten)]
    pub max_tokens: MaxTokensArgs,
}

/// `max_tokens` of requests.
#[derive(Debug, Clone, Copy, Args)]
pub struct MaxTokensArgs {
    /// `max_tokens` of rows that set none
    #[arg(long, value_name = "N", default_value_t = MaxTokensArgs::DEFAULT, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Requests", hide_short_help = true)]
    pub default_max_tokens: u32,
}

impl MaxTokensArgs {
    /// `max_tokens` of requests that do not set it, by default.
    pub const DEFAULT: u32 = 1024;
}

impl Default for MaxTokensArgs {
    fn default() -> Self {
        Self { default_max_tokens: Self::DEFAULT }
    }
}

/// Where the credential comes from: at most one of three sources.
#[derive(Debug, Clone, Default, Args)]
pub struct CredentialArgs {
    /// Environment variable that holds the credential
    #[arg(long, value_name = "VAR", value_parser = NonEmpty::new(), conflicts_with = "api_key_file", help_heading = "Credential")]
    pub api_key_env: Option<String>,
    /// File that holds the credential
    #[arg(long, value_name = "FILE", help_heading = "Credential", hide_short_help = true)]
    pub api_key_file: Option<PathBuf>,
    /// Shell command that prints the credential; runs once
    #[arg(long, value_name = "CMD", value_parser = parse_secret, conflicts_with_all = ["api_key_env", "api_key_file"], help_heading = "Credential", hide_short_help = true)]
    pub api_key_command: Option<SecretString>,
}
