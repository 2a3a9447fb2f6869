//! The credential of a target: [`LazyCredential`]. It is read at once from a variable or a file, or printed by a command.
//! A command runs before the first request, and never if nothing is sent.
//!
//! The order of sources: the command line; the variables of `auth` of the target; its `credential`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use secrecy::{ExposeSecret as _, SecretString};

use crate::catalog::{CredentialSource, TargetAuth};
use crate::cli::ProcessEnvironment;
use crate::cli::args::endpoint::CredentialArgs;
use crate::cli::error::CliError;
use crate::cli::io::stderr;
use crate::client::credential::command::{COMMAND_TIMEOUT, CommandOutput, CredentialCommand};
use crate::client::credential::source;
use crate::client::credential::source::SecretError;

/// Whether a command needs the credentials of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialPolicy {
    /// Requests are sent: a missing credential is an error.
    Required,
    /// Nothing is sent: a missing credential is reported.
    Optional,
    /// Nothing is sent: credentials are not read.
    None,
}

impl CredentialPolicy {
    /// Finds a credential. Returns it, or the reason why it is missing.
    pub fn resolve(
        self,
        find: impl FnOnce() -> Result<Option<LazyCredential>, CliError>,
    ) -> Result<(Option<LazyCredential>, Option<String>), CliError> {
        if self == Self::None {
            return Ok((None, None));
        }
        match find() {
            Ok(credential) => Ok((credential, None)),
            Err(error) if self == Self::Optional => Ok((None, Some(error.to_string()))),
            Err(error) => Err(error),
        }
    }
}

/// A credential, or the command that prints it.
#[derive(Debug, Clone)]
pub enum LazyCredential {
    /// From a variable or a file.
    Value(SecretString),
    /// From a command. It runs once for all targets that share it.
    Command(Arc<CachedCredentialCommand>),
}

/// A command and its result.
#[derive(Debug)]
pub struct CachedCredentialCommand {
    command: CredentialCommand,
    result: OnceLock<Result<SecretString, String>>,
}

impl LazyCredential {
    /// The credential. Runs its command if it did not run yet.
    pub fn resolve(&self) -> Result<SecretString, CliError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::Command(cached) => {
                cached.result.get_or_init(|| cached.run()).clone().map_err(CliError::CredentialCommand)
            }
        }
    }

    fn from_command(command: CredentialCommand) -> Self {
        Self::Command(Arc::new(CachedCredentialCommand { command, result: OnceLock::new() }))
    }
}

impl CachedCredentialCommand {
    fn run(&self) -> Result<SecretString, String> {
        let CommandOutput { credential, stderr: output } =
            self.command.run(COMMAND_TIMEOUT).map_err(|e| e.to_string())?;
        match output.as_deref() {
            Some("") => {}
            Some(output) => stderr::warn(output),
            None => stderr::warn(
                "the standard error of the credential command is not shown, because it contains the credential",
            ),
        }
        Ok(credential)
    }
}

/// Lets equal commands share one result, so that each runs once.
pub fn dedupe_commands<'a>(credentials: impl Iterator<Item = &'a mut LazyCredential>) {
    let mut known: Vec<Arc<CachedCredentialCommand>> = Vec::new();
    for credential in credentials {
        let LazyCredential::Command(cached) = credential else { continue };
        match known.iter().find(|other| other.command == cached.command) {
            Some(other) => *cached = Arc::clone(other),
            None => known.push(Arc::clone(cached)),
        }
    }
}

/// The credential of the command line, if it names one.
pub fn from_args(args: &CredentialArgs, environment: &ProcessEnvironment) -> Result<Option<LazyCredential>, CliError> {
    if let Some(variable) = &args.api_key_env {
        // The value may be the credential itself. It must not appear in a message.
        if !variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(CliError::Options(
                "--api-key-env needs the name of a variable, for example MY_KEY. Put the credential into that variable, \
                 never on the command line",
            ));
        }
        register_credential(source::from_variables(std::slice::from_ref(variable), environment.variable))
    } else if let Some(file) = &args.api_key_file {
        register_credential(source::from_file(file))
    } else if let Some(line) = &args.api_key_command {
        if line.expose_secret().trim().is_empty() {
            let problem = "--api-key-command is empty. Use a shell command that prints the credential";
            return Err(CliError::Options(problem));
        }
        Ok(Some(LazyCredential::from_command(CredentialCommand::from_shell(line.expose_secret()))))
    } else {
        Ok(None)
    }
}

/// The credential of a target file or an entry of a list, if it names one.
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
    let secret = read?;
    stderr::register_secrets(std::slice::from_ref(&secret));
    Ok(Some(LazyCredential::Value(secret)))
}

/// Replaces a leading `~`, since no shell does it for paths in files.
fn expand_home(path: &str, environment: &ProcessEnvironment) -> PathBuf {
    let home = path.strip_prefix("~/").zip((environment.variable)("HOME"));
    home.map_or_else(|| PathBuf::from(path), |(rest, home)| Path::new(&home).join(rest))
}
