//! The credential of what is tested: read at once from a variable or a file, or given by a command, which runs when
//! something is about to be sent and never for what sends nothing.
//!
//! The order: what the command line names; a variable of the target's `auth`; the target's `credential`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use secrecy::{ExposeSecret as _, SecretString};

use crate::catalog::{CredentialSource, TargetAuth};
use crate::cli::io::{stderr, stdout};
use crate::cli::{CliError, ProcessEnvironment};
use crate::client::credential::command::{COMMAND_TIMEOUT, CommandOutput, CredentialCommand};
use crate::client::credential::source;
use crate::client::credential::source::SecretError;

/// A credential, or the command that gives it.
#[derive(Debug, Clone)]
pub enum LazyCredential {
    /// It stood in a variable or in a file.
    Value(SecretString),
    /// A command gives it. It runs once, however many targets it is for.
    Command(Arc<CachedCredentialCommand>),
}

/// A command, and what it gave.
#[derive(Debug)]
pub struct CachedCredentialCommand {
    command: CredentialCommand,
    result: OnceLock<Result<SecretString, String>>,
}

/// What the command line says of a credential: one of three, or nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct CredentialArgs<'a> {
    /// The variable that holds it.
    pub variable: Option<&'a String>,
    /// The file that holds it.
    pub file: Option<&'a PathBuf>,
    /// The command that prints it.
    pub command: Option<&'a SecretString>,
}

impl LazyCredential {
    /// The credential; its command runs now, if it did not before.
    pub fn resolve(&self) -> Result<SecretString, CliError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::Command(commanded) => {
                commanded.result.get_or_init(|| commanded.run()).clone().map_err(CliError::Usage)
            }
        }
    }

    fn from_command(helper: CredentialCommand) -> Self {
        Self::Command(Arc::new(CachedCredentialCommand { command: helper, result: OnceLock::new() }))
    }
}

impl CachedCredentialCommand {
    fn run(&self) -> Result<SecretString, String> {
        let CommandOutput { credential, stderr: said } =
            self.command.run(COMMAND_TIMEOUT).map_err(|e| e.to_string())?;
        match said.as_deref() {
            Some("") => {}
            Some(said) => stdout::warn(said),
            None => stdout::warn(
                "what the credential's command says on standard error is not shown: the credential is in it",
            ),
        }
        Ok(credential)
    }
}

/// Lets credentials that the same command gives be one, so that it runs once.
pub fn dedupe_commands<'a>(credentials: impl Iterator<Item = &'a mut LazyCredential>) {
    let mut known: Vec<Arc<CachedCredentialCommand>> = Vec::new();
    for credential in credentials {
        let LazyCredential::Command(commanded) = credential else { continue };
        match known.iter().find(|other| other.command == commanded.command) {
            Some(other) => *commanded = Arc::clone(other),
            None => known.push(Arc::clone(commanded)),
        }
    }
}

/// The credential that the command line names, if it names one.
pub fn from_args(
    named: CredentialArgs<'_>,
    environment: &ProcessEnvironment,
) -> Result<Option<LazyCredential>, CliError> {
    let read = match named {
        // Who puts the credential itself there is not to find it in a log.
        CredentialArgs { variable: Some(variable), .. }
            if !variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
        {
            return Err(CliError::Usage(
                "--api-key-env takes the name of an environment variable, and what is given is none; the credential \
                 itself belongs into the variable, never on the command line"
                    .to_owned(),
            ));
        }
        CredentialArgs { variable: Some(variable), .. } => {
            source::from_variables(std::slice::from_ref(variable), environment.variable)
        }
        CredentialArgs { file: Some(file), .. } => source::from_file(file),
        CredentialArgs { command: Some(line), .. } if line.expose_secret().trim().is_empty() => {
            return Err(CliError::Usage("--api-key-command is empty: it takes a line for the shell".to_owned()));
        }
        CredentialArgs { command: Some(line), .. } => {
            return Ok(Some(LazyCredential::from_command(CredentialCommand::from_shell(line.expose_secret()))));
        }
        CredentialArgs { variable: None, file: None, command: None } => return Ok(None),
    };
    register_credential(read)
}

/// The credential that a target's file, or an entry of a list, says where to find; nothing where it does not say.
pub fn from_target(
    auth: &TargetAuth,
    source: Option<&CredentialSource>,
    environment: &ProcessEnvironment,
) -> Result<Option<LazyCredential>, CliError> {
    let is_set = |name: &String| (environment.variable)(name).is_some_and(|value| !value.is_empty());
    let from_variables = |names: &[String]| source::from_variables(names, environment.variable);
    let read = match source {
        _ if auth.env.iter().any(is_set) => from_variables(&auth.env),
        None if auth.env.is_empty() => return Ok(None),
        None => from_variables(&auth.env),
        Some(CredentialSource::Env(names)) => from_variables(&[auth.env.as_slice(), names].concat()),
        Some(CredentialSource::File(path)) => source::from_file(&expand_home(path, environment)),
        Some(CredentialSource::Command(words)) => {
            return Ok(Some(LazyCredential::from_command(CredentialCommand::from_args(words.clone()))));
        }
    };
    register_credential(read)
}

fn register_credential(read: Result<SecretString, SecretError>) -> Result<Option<LazyCredential>, CliError> {
    let secret = read.map_err(|e| CliError::Usage(e.to_string()))?;
    stderr::register_secrets(std::slice::from_ref(&secret));
    Ok(Some(LazyCredential::Value(secret)))
}

/// A path as a file gives it; no shell has looked at its `~`.
fn expand_home(path: &str, environment: &ProcessEnvironment) -> PathBuf {
    let home = path.strip_prefix("~/").zip((environment.variable)("HOME"));
    home.map_or_else(|| PathBuf::from(path), |(rest, home)| Path::new(&home).join(rest))
}
