//! Where a target's file says that the credential is to be found. Never the credential itself.

use schemars::JsonSchema;
use serde::Deserialize;

/// A place that gives a credential, one of three. It is asked where a run sends to the live endpoint and neither the
/// command line nor a variable of `auth` gives one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// Environment variables; the first that is set is used.
    Env(Vec<String>),
    /// A file that holds it, alone on its one line. A path that is not absolute begins where the program is started;
    /// `~/` is the home folder.
    File(String),
    /// A program and its arguments, started without a shell. What it prints on standard output is the credential, alone
    /// on its one line: `[op, read, "op://vault/deepseek/key"]`.
    Command(Vec<String>),
}

impl CredentialSource {
    /// What is missing in it, if anything is.
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

/// What is wrong with a file, in words that do not repeat what stands there in the place of a source: it may be the
/// credential itself.
pub(super) fn redact_credential_error(message: String) -> String {
    if message.contains("expected one of env, file, command") {
        return "this says where the credential is, and is never the credential itself: expected `{ env: [NAME] }`, \
                `{ file: PATH }` or `{ command: [PROGRAM, ARGUMENT] }`"
            .to_owned();
    }
    message
}
