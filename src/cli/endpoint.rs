//! From arguments to what is tested: the endpoint, its credential, its limits, and the claims it is held against.

use std::path::Path;

use secrecy::SecretString;

use super::args::EndpointArgs;
use super::money::MoneyArgs;
use super::{CliError, Environment};
use crate::case::{AuthScheme, Catalog, Limits, Prices, Requirement, Target};
use crate::client::{BaseUrl, secret};
use crate::engine::build::{REFERENCE_TEMPERATURE_MAX, Settings, temperature_max};

/// The targets of a bare `run`: the two seed tables.
const SEEDS: [&str; 2] = ["deepseek", "tencent-lkeap"];

/// Something to test.
#[derive(Debug, Clone)]
pub struct Tested {
    /// The name in results.
    pub name: String,
    /// Where it is; a simulation is started for this target.
    pub place: Place,
    /// The header that carries the credential.
    pub scheme: AuthScheme,
    /// Whose claims the verdicts are held against.
    pub claims: Option<Target>,
    /// What requests take from it.
    pub settings: Settings,
    /// The target's own limits: those of another endpoint, whose claims are borrowed, bind nobody here.
    pub limits: Limits,
    /// The target's own prices.
    pub prices: Option<Prices>,
    /// The name of the account that its requests are charged to, where its file gives one.
    pub account: Option<String>,
}

/// Where an endpoint is.
#[derive(Debug, Clone)]
pub enum Place {
    /// On the network.
    Live {
        /// Its base URL.
        base_url: String,
        /// Its credential, where there is one.
        credential: Option<SecretString>,
    },
    /// In this process.
    Simulated(Box<Target>),
}

impl Tested {
    /// True when its claims state what a row requires.
    pub fn states(&self, requirement: Requirement) -> bool {
        self.claims.as_ref().is_some_and(|t| t.limits.state(requirement))
    }
}

/// Resolves the arguments.
pub fn resolve(args: &EndpointArgs, catalog: &Catalog, environment: &Environment) -> Result<Vec<Tested>, CliError> {
    let claims = args.claims.as_deref().map(|name| target(catalog, name)).transpose()?;
    if let Some(base_url) = &args.base_url {
        return resolve_url(args, base_url, claims, catalog, environment).map(|tested| vec![tested]);
    }
    let bare = args.targets.is_empty();
    let names: Vec<&str> = if bare { SEEDS.to_vec() } else { args.targets.iter().map(String::as_str).collect() };
    if names.len() > 1 && args.name.is_some() {
        return Err(CliError::Usage("--name names one target, and several are tested".to_owned()));
    }
    let mut seen = std::collections::HashSet::new();
    names
        .into_iter()
        .map(|name| {
            if !seen.insert(name) {
                return Err(CliError::Usage(format!("target `{name}` is named twice")));
            }
            let of = target(catalog, name)?;
            let place = if bare || args.simulate {
                Place::Simulated(Box::new(of.clone()))
            } else {
                live(of, args, environment)?
            };
            Ok(tested(args, args.name.as_deref().unwrap_or(name), place, Some(of), claims.or(Some(of))))
        })
        .collect()
}

/// Options that do not fit what is tested: the simulator's for a live endpoint, a bound on the cost without prices.
pub fn fit(targets: &[Tested], simulator: bool, money: &MoneyArgs) -> Result<(), CliError> {
    if simulator && targets.iter().any(|t| matches!(t.place, Place::Live { .. })) {
        return Err(CliError::Usage("the simulator's options go with a simulation: add --simulate".to_owned()));
    }
    money.fit(targets)
}

fn resolve_url(
    args: &EndpointArgs,
    base_url: &str,
    claims: Option<&Target>,
    catalog: &Catalog,
    environment: &Environment,
) -> Result<Tested, CliError> {
    if args.simulate {
        return Err(CliError::Usage("--simulate and --base-url exclude each other".to_owned()));
    }
    if args.targets.len() > 1 {
        return Err(CliError::Usage("--base-url goes with one target at most".to_owned()));
    }
    let url = BaseUrl::parse(base_url).map_err(|e| CliError::Usage(format!("--base-url: {e}")))?;
    let of = args.targets.first().map(|name| target(catalog, name)).transpose()?;
    // A credential goes only where it was told to go: never one that belongs to another host.
    let credential = credential(args, environment)?;
    let name = args.name.clone().or_else(|| args.targets.first().cloned()).unwrap_or_else(|| url.host_and_port());
    if args.model.is_none() && of.is_none() && claims.is_none() {
        return Err(CliError::Usage("--base-url needs --model: which model is to be asked for?".to_owned()));
    }
    let place = Place::Live { base_url: base_url.to_owned(), credential };
    Ok(tested(args, &name, place, of, claims.or(of)))
}

/// The target of this name.
pub fn target<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Target, CliError> {
    catalog.targets.get(name).ok_or_else(|| {
        let known: Vec<&str> = catalog.targets.keys().map(String::as_str).collect();
        CliError::Usage(format!("there is no target `{name}`; there are: {}", known.join(", ")))
    })
}

fn live(of: &Target, args: &EndpointArgs, environment: &Environment) -> Result<Place, CliError> {
    let Some(base_url) = of.base_url.clone() else {
        return Err(CliError::Usage(format!("target `{}` has no base_url: give --base-url, or --simulate", of.name)));
    };
    BaseUrl::parse(&base_url).map_err(|e| CliError::Usage(format!("target `{}`: {e}", of.name)))?;
    let credential = match credential(args, environment)? {
        Some(credential) => credential,
        None => secret::from_variables(&of.auth.env, environment.variable).map_err(|e| {
            CliError::Usage(format!(
                "{e}\n`fieldtest run {name}` tests the live endpoint. Set the variable, name another with --api-key-env, or \
                 give a file with --api-key-file; `fieldtest run {name} --simulate` needs none",
                name = of.name
            ))
        })?,
    };
    Ok(Place::Live { base_url, credential: Some(credential) })
}

fn credential(args: &EndpointArgs, environment: &Environment) -> Result<Option<SecretString>, CliError> {
    credential_of(args.api_key_env.as_ref(), args.api_key_file.as_deref(), environment)
}

/// The credential in a variable or in a file, where one of them is named.
pub fn credential_of(
    variable: Option<&String>,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<Option<SecretString>, CliError> {
    let read = match (variable, file) {
        // Who puts the credential itself there is not to find it in a log.
        (Some(variable), _) if !variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            return Err(CliError::Usage(
                "--api-key-env takes the name of an environment variable, and what is given is none; the credential \
                 itself belongs into the variable, never on the command line"
                    .to_owned(),
            ));
        }
        (Some(variable), _) => secret::from_variables(std::slice::from_ref(variable), environment.variable),
        (None, Some(file)) => secret::from_file(file),
        (None, None) => return Ok(None),
    };
    read.map(Some).map_err(|e| CliError::Usage(e.to_string()))
}

fn tested(args: &EndpointArgs, name: &str, place: Place, of: Option<&Target>, claims: Option<&Target>) -> Tested {
    let either = of.or(claims);
    let temperature_max = claims.map_or(REFERENCE_TEMPERATURE_MAX, temperature_max);
    Tested {
        name: name.to_owned(),
        scheme: args.auth.map(AuthScheme::from).or(either.map(|t| t.auth.scheme)).unwrap_or(AuthScheme::XApiKey),
        settings: Settings {
            model: args.model.clone().or(either.map(|t| t.model.clone())).unwrap_or_default(),
            anthropic_version: either.map_or("2023-06-01".to_owned(), |t| t.anthropic_version.clone()),
            answer_tokens: args.answer_tokens,
            temperature_max,
            max_output_tokens: claims.and_then(|t| t.limits.max_output_tokens),
            context_tokens: claims.and_then(|t| t.limits.context_tokens),
        },
        limits: of.map(|t| t.limits.clone()).unwrap_or_default(),
        prices: of.and_then(|t| t.prices),
        account: of.and_then(|t| t.account.clone()),
        claims: claims.cloned(),
        place,
    }
}
