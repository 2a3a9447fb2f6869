//! The credential of what is tested: read at once from a variable or a file, or given by a command, which runs when
//! something is about to be sent and never for what sends nothing.
//!
//! The order: what the command line names; a variable of the target's `auth`; the target's `credential`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use secrecy::{ExposeSecret as _, SecretString};

use crate::catalog::{Auth, CredentialSource};
use crate::cli::io::{stderr, stdout};
use crate::cli::{CliError, Environment};
use crate::client::credential::command::{Helped, Helper, LIMIT};
use crate::client::credential::source;
use crate::client::credential::source::SecretError;

/// A credential, or the command that gives it.
#[derive(Debug, Clone)]
pub enum Credential {
    /// It stood in a variable or in a file.
    Held(SecretString),
    /// A command gives it. It runs once, however many targets it is for.
    Commanded(Arc<Commanded>),
}

/// A command, and what it gave.
#[derive(Debug)]
pub struct Commanded {
    helper: Helper,
    given: OnceLock<Result<SecretString, String>>,
}

/// What the command line says of a credential: one of three, or nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// The variable that holds it.
    pub variable: Option<&'a String>,
    /// The file that holds it.
    pub file: Option<&'a PathBuf>,
    /// The command that prints it.
    pub command: Option<&'a SecretString>,
}

impl Credential {
    /// The credential; its command runs now, if it did not before.
    pub fn get(&self) -> Result<SecretString, CliError> {
        match self {
            Self::Held(secret) => Ok(secret.clone()),
            Self::Commanded(commanded) => {
                commanded.given.get_or_init(|| commanded.run()).clone().map_err(CliError::Usage)
            }
        }
    }

    fn commanded(helper: Helper) -> Self {
        Self::Commanded(Arc::new(Commanded { helper, given: OnceLock::new() }))
    }
}

impl Commanded {
    fn run(&self) -> Result<SecretString, String> {
        let Helped { credential, said } = self.helper.run(LIMIT).map_err(|e| e.to_string())?;
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
pub fn share<'a>(credentials: impl Iterator<Item = &'a mut Credential>) {
    let mut known: Vec<Arc<Commanded>> = Vec::new();
    for credential in credentials {
        let Credential::Commanded(commanded) = credential else { continue };
        match known.iter().find(|other| other.helper == commanded.helper) {
            Some(other) => *commanded = Arc::clone(other),
            None => known.push(Arc::clone(commanded)),
        }
    }
}

/// The credential that the command line names, if it names one.
pub fn of_options(named: Named<'_>, environment: &Environment) -> Result<Option<Credential>, CliError> {
    let read = match named {
        // Who puts the credential itself there is not to find it in a log.
        Named { variable: Some(variable), .. } if !variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            return Err(CliError::Usage(
                "--api-key-env takes the name of an environment variable, and what is given is none; the credential \
                 itself belongs into the variable, never on the command line"
                    .to_owned(),
            ));
        }
        Named { variable: Some(variable), .. } => {
            source::from_variables(std::slice::from_ref(variable), environment.variable)
        }
        Named { file: Some(file), .. } => source::from_file(file),
        Named { command: Some(line), .. } if line.expose_secret().trim().is_empty() => {
            return Err(CliError::Usage("--api-key-command is empty: it takes a line for the shell".to_owned()));
        }
        Named { command: Some(line), .. } => {
            return Ok(Some(Credential::commanded(Helper::of_shell(line.expose_secret()))));
        }
        Named { variable: None, file: None, command: None } => return Ok(None),
    };
    held(read)
}

/// The credential that a target's file, or an entry of a list, says where to find; nothing where it does not say.
pub fn of_file(
    auth: &Auth,
    source: Option<&CredentialSource>,
    environment: &Environment,
) -> Result<Option<Credential>, CliError> {
    let is_set = |name: &String| (environment.variable)(name).is_some_and(|value| !value.is_empty());
    let from_variables = |names: &[String]| source::from_variables(names, environment.variable);
    let read = match source {
        _ if auth.env.iter().any(is_set) => from_variables(&auth.env),
        None if auth.env.is_empty() => return Ok(None),
        None => from_variables(&auth.env),
        Some(CredentialSource::Env(names)) => from_variables(&[auth.env.as_slice(), names].concat()),
        Some(CredentialSource::File(path)) => source::from_file(&at_home(path, environment)),
        Some(CredentialSource::Command(words)) => {
            return Ok(Some(Credential::commanded(Helper::of_words(words.clone()))));
        }
    };
    held(read)
}

fn held(read: Result<SecretString, SecretError>) -> Result<Option<Credential>, CliError> {
    let secret = read.map_err(|e| CliError::Usage(e.to_string()))?;
    stderr::learn(std::slice::from_ref(&secret));
    Ok(Some(Credential::Held(secret)))
}

/// A path as a file gives it; no shell has looked at its `~`.
fn at_home(path: &str, environment: &Environment) -> PathBuf {
    let home = path.strip_prefix("~/").zip((environment.variable)("HOME"));
    home.map_or_else(|| PathBuf::from(path), |(rest, home)| Path::new(&home).join(rest))
}
