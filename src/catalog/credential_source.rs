//! [`CredentialSource`]: where a target file says that the credential is. Never the credential itself.

use serde::Deserialize;

/// The source of a credential. Used for live endpoints if neither the command line nor a variable of
/// `auth` provides a credential.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// Environment variables; the first that is set is used.
    Env(Vec<String>),
    /// A file whose only line is the credential. A relative path starts at the working directory; `~/` is
    /// the home directory.
    File(String),
    /// A program and its arguments, started without a shell, that prints the credential as its only line:
    /// `[op, read, "op://vault/deepseek/key"]`.
    Command(Vec<String>),
}

impl CredentialSource {
    /// What is missing.
    pub(super) fn validation_message(&self) -> Option<&'static str> {
        match self {
            Self::Env(names) if names.iter().all(String::is_empty) => {
                Some("`credential: { env: … }` names no variable: `credential: { env: [MY_KEY] }`")
            }
            Self::File(path) if path.is_empty() => {
                Some("`credential: { file: … }` names no file: `credential: { file: ~/.config/key }`")
            }
            Self::Command(words) if words.first().is_none_or(String::is_empty) => {
                Some("`credential: { command: … }` names no program: `credential: { command: [pass, show, key] }`")
            }
            Self::Env(_) | Self::File(_) | Self::Command(_) => None,
        }
    }
}

/// Replaces an error that would quote the value of `credential`, because the value may be the credential
/// itself.
pub(super) fn redact_credential_error(message: String) -> String {
    if message.contains("expected one of env, file, command") {
        return "`credential` must name a source, never the credential itself: expected `{ env: [NAME] }`, \
                `{ file: PATH }` or `{ command: [PROGRAM, ARGUMENT] }`"
            .to_owned();
    }
    message
}
