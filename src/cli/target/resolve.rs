//! From arguments to what is tested: the endpoint, its credential, its limits, and the claims it is held against.

use std::collections::HashMap;

use crate::catalog::{AuthScheme, Catalog, LimitRequirement, Target, TargetLimits, TargetPrices};
use crate::cli::args::budget::BudgetArgs;
use crate::cli::args::common::EndpointArgs;
use crate::cli::target::credential::LazyCredential;
use crate::cli::target::{credential, list};
use crate::cli::{CliError, ProcessEnvironment};
use crate::client::BaseUrl;
use crate::recording::request_settings::{REFERENCE_TEMPERATURE_MAX, RequestSettings, temperature_max};
use crate::results::file_names::slugify;

/// The targets of a bare `run`: the two seed tables.
const DEFAULT_TARGETS: [&str; 2] = ["deepseek", "tencent-lkeap"];

/// Something to test.
#[derive(Debug, Clone)]
pub struct ResolvedTarget {
    /// The name in results.
    pub name: String,
    /// Where it is; a simulation is started for this target.
    pub endpoint: EndpointKind,
    /// The header that carries the credential.
    pub auth_scheme: AuthScheme,
    /// Whose claims the verdicts are held against.
    pub claims: Option<Target>,
    /// The account that its limits are shared with, where one is named.
    pub account: Option<String>,
    /// What requests take from it.
    pub settings: RequestSettings,
    /// The target's own limits: those of another endpoint, whose claims are borrowed, bind nobody here.
    pub limits: TargetLimits,
    /// The target's own prices.
    pub prices: Option<TargetPrices>,
}

/// Where an endpoint is.
#[derive(Debug, Clone)]
pub enum EndpointKind {
    /// On the network.
    Live {
        /// Its base URL.
        base_url: String,
        /// Its credential, where there is one.
        credential: Option<LazyCredential>,
        /// What its credential lacks, for a plan: nothing else is told what it cannot do without.
        missing_credential: Option<String>,
    },
    /// In this process.
    Simulated(Box<Target>),
}

impl ResolvedTarget {
    /// True when its claims state what a row requires.
    pub fn meets_requirement(&self, requirement: LimitRequirement) -> bool {
        self.claims.as_ref().is_some_and(|t| t.limits.satisfies(requirement))
    }

    /// Does without a credential: nothing will be sent.
    pub fn clear_credential(&mut self) {
        if let EndpointKind::Live { credential, .. } = &mut self.endpoint {
            *credential = None;
        }
    }

    /// The same with each of these models; as it is where there is none.
    pub fn expand_models(self, models: &[String]) -> Vec<Self> {
        let of_model = |model: &String| {
            let name = if models.len() > 1 { format!("{}@{model}", self.name) } else { self.name.clone() };
            Self { name, settings: RequestSettings { model: model.clone(), ..self.settings.clone() }, ..self.clone() }
        };
        if models.is_empty() { vec![self] } else { models.iter().map(of_model).collect() }
    }
}

/// Resolves the arguments: each model of each target is tested by itself.
pub fn resolve_targets(
    args: &EndpointArgs,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<Vec<ResolvedTarget>, CliError> {
    let mut all: Vec<ResolvedTarget> = match &args.list {
        Some(list) => list::resolve_list(list, args, catalog, environment)?,
        None => resolve_named(args, catalog, environment)?
            .into_iter()
            .flat_map(|tested| tested.expand_models(&args.model))
            .collect(),
    };
    validate_unique_names(&all)?;
    credential::dedupe_commands(all.iter_mut().filter_map(|tested| match &mut tested.endpoint {
        EndpointKind::Live { credential, .. } => credential.as_mut(),
        EndpointKind::Simulated(_) => None,
    }));
    Ok(all)
}

/// Files are named after targets, and no system takes longer names than 255 bytes.
const MAX_FILE_NAME_BYTES: usize = 200;

/// Two runs in the same files would be none.
fn validate_unique_names(all: &[ResolvedTarget]) -> Result<(), CliError> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for tested in all {
        let file = slugify(&tested.name);
        if file.len() > MAX_FILE_NAME_BYTES {
            return Err(CliError::Usage(format!(
                "`{}` is too long for the name of a file: give a shorter one, or a shorter model",
                tested.name
            )));
        }
        // Some systems do not tell capitals from small letters.
        match seen.insert(file.to_lowercase(), &tested.name) {
            Some(name) if name == tested.name => {
                return Err(CliError::Usage(format!("`{name}` is tested twice: give one of them another name")));
            }
            Some(name) => {
                return Err(CliError::Usage(format!(
                    "`{name}` and `{}` would be written to the same files: give one of them another name",
                    tested.name
                )));
            }
            None => {}
        }
    }
    Ok(())
}

fn resolve_named(
    args: &EndpointArgs,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<Vec<ResolvedTarget>, CliError> {
    let claims = args.claims.as_deref().map(|name| find_target(catalog, name)).transpose()?;
    if let Some(base_url) = &args.base_url {
        return resolve_url(args, base_url, claims, catalog, environment).map(|tested| vec![tested]);
    }
    let bare = args.targets.is_empty();
    let names: Vec<&str> =
        if bare { DEFAULT_TARGETS.to_vec() } else { args.targets.iter().map(String::as_str).collect() };
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
            let of = find_target(catalog, name)?;
            let place = if bare || args.simulate {
                EndpointKind::Simulated(Box::new(of.clone()))
            } else {
                resolve_live(of, args, environment)?
            };
            Ok(build_target(args, args.name.as_deref().unwrap_or(name), place, Some(of), claims.or(Some(of))))
        })
        .collect()
}

/// Options that do not fit what is tested: the simulator's for a live endpoint, a bound on the cost without prices.
pub fn validate_options<'a>(
    targets: impl Iterator<Item = &'a ResolvedTarget> + Clone,
    simulator: bool,
    money: &BudgetArgs,
) -> Result<(), CliError> {
    if simulator && targets.clone().any(|t| matches!(t.endpoint, EndpointKind::Live { .. })) {
        return Err(CliError::Usage("the simulator's options go with a simulation: add --simulate".to_owned()));
    }
    money.require_prices(targets)
}

fn resolve_url(
    args: &EndpointArgs,
    base_url: &str,
    claims: Option<&Target>,
    catalog: &Catalog,
    environment: &ProcessEnvironment,
) -> Result<ResolvedTarget, CliError> {
    if args.simulate {
        return Err(CliError::Usage("--simulate and --base-url exclude each other".to_owned()));
    }
    if args.targets.len() > 1 {
        return Err(CliError::Usage("--base-url goes with one target at most".to_owned()));
    }
    let url = BaseUrl::parse(base_url).map_err(|e| CliError::Usage(format!("--base-url: {e}")))?;
    let of = args.targets.first().map(|name| find_target(catalog, name)).transpose()?;
    // A credential goes only where it was told to go: never one that belongs to another host.
    let (credential, missing) = optional_credential(args, credential::from_args(args.credential_args(), environment))?;
    let name = args.name.clone().or_else(|| args.targets.first().cloned()).unwrap_or_else(|| url.host_and_port());
    if args.model.is_empty() && of.is_none() && claims.is_none() {
        return Err(CliError::Usage("--base-url needs --model: which model is to be asked for?".to_owned()));
    }
    let place = EndpointKind::Live { base_url: base_url.to_owned(), credential, missing_credential: missing };
    Ok(build_target(args, &name, place, of, claims.or(of)))
}

/// The target of this name.
pub fn find_target<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Target, CliError> {
    catalog.targets.get(name).ok_or_else(|| {
        let known: Vec<&str> = catalog.targets.keys().map(String::as_str).collect();
        CliError::Usage(format!("there is no target `{name}`; there are: {}", known.join(", ")))
    })
}

/// Where a target is, with its credential.
pub fn resolve_live(
    of: &Target,
    args: &EndpointArgs,
    environment: &ProcessEnvironment,
) -> Result<EndpointKind, CliError> {
    let Some(base_url) = of.base_url.clone() else {
        if args.planning {
            return Ok(EndpointKind::Simulated(Box::new(of.clone())));
        }
        return Err(CliError::Usage(format!("target `{}` has no base_url: give --base-url, or --simulate", of.name)));
    };
    BaseUrl::parse(&base_url).map_err(|e| CliError::Usage(format!("target `{}`: {e}", of.name)))?;
    let named = credential::from_args(args.credential_args(), environment)?;
    let found =
        named.map_or_else(|| credential::from_target(&of.auth, of.credential.as_ref(), environment), |c| Ok(Some(c)));
    let none =
        || CliError::Usage("no credential: the target's file does not say where it is (`credential`)".to_owned());
    if args.planning {
        let (credential, missing) =
            optional_credential(args, found.and_then(|found| found.ok_or_else(none).map(Some)))?;
        return Ok(EndpointKind::Live { base_url, credential, missing_credential: missing });
    }
    let credential = found.and_then(|found| found.ok_or_else(none)).map_err(|e| {
        CliError::Usage(format!(
            "{e}\n`fieldtest run {name}` tests the live endpoint. Set the variable, or say where the credential is with \
             --api-key-env, --api-key-file or --api-key-command; `fieldtest run {name} --simulate` needs none",
            name = of.name
        ))
    })?;
    Ok(EndpointKind::Live { base_url, credential: Some(credential), missing_credential: None })
}

/// A credential; or what it lacks, where nothing is going to be sent.
pub fn optional_credential(
    args: &EndpointArgs,
    found: Result<Option<LazyCredential>, CliError>,
) -> Result<(Option<LazyCredential>, Option<String>), CliError> {
    match found {
        Ok(credential) => Ok((credential, None)),
        Err(error) if args.planning => Ok((None, Some(error.to_string()))),
        Err(error) => Err(error),
    }
}

/// What is tested, of these.
pub fn build_target(
    args: &EndpointArgs,
    name: &str,
    place: EndpointKind,
    of: Option<&Target>,
    claims: Option<&Target>,
) -> ResolvedTarget {
    let either = of.or(claims);
    let temperature_max = claims.map_or(REFERENCE_TEMPERATURE_MAX, temperature_max);
    ResolvedTarget {
        name: name.to_owned(),
        auth_scheme: args.auth.map(AuthScheme::from).or(either.map(|t| t.auth.scheme)).unwrap_or(AuthScheme::XApiKey),
        settings: RequestSettings {
            model: either.map(|t| t.model.clone()).unwrap_or_default(),
            anthropic_version: either.map_or("2023-06-01".to_owned(), |t| t.anthropic_version.clone()),
            answer_tokens: args.default_max_tokens,
            temperature_max,
            max_output_tokens: claims.and_then(|t| t.limits.max_output_tokens),
            context_tokens: claims.and_then(|t| t.limits.context_tokens),
        },
        limits: of.map(|t| t.limits.clone()).unwrap_or_default(),
        prices: of.and_then(|t| t.prices),
        account: of.and_then(|t| t.account.clone()),
        claims: claims.cloned(),
        endpoint: place,
    }
}
