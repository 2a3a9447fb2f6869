//! How the built-in simulator deviates from the claims of its target: [`SimulatorOptions`].
//!
//! `simulate` takes an option for each deviation. Commands that test a simulation take `--flip`, and `--simulator FILE`
//! for the other deviations.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Deserializer, de};

use crate::catalog::{Catalog, ClaimStatus, Target, read_yaml};
use crate::cli::CliError;
use crate::cli::args::parse::parse_probability;
use crate::cli::io::files;
use crate::engine::selection::digest_text;
use crate::simulator::{
    DisobedienceDrift, SimulatedTrouble, SimulatedTroubleKind, SimulatorConfig, SimulatorFault, SimulatorImpairments,
};

/// The deviations of a simulator, from whichever source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SimulatorOptions {
    flips: Vec<(String, ClaimStatus)>,
    deviations: DeviationArgs,
}

/// The simulator's options of commands that test simulations.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Simulator (needs --simulate)")]
pub struct SimulationArgs {
    #[command(flatten)]
    flip: FlipArgs,
    /// Faults, delays and limits of the simulator, YAML
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    simulator: Option<PathBuf>,
}

/// The simulator's options of `simulate`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Simulator")]
pub struct SimulatorArgs {
    #[command(flatten)]
    flip: FlipArgs,
    #[command(flatten)]
    deviations: DeviationArgs,
}

#[derive(Debug, Clone, Args)]
struct FlipArgs {
    /// Change the status of a row; repeatable
    #[arg(long, hide_short_help = true, value_name = "ROW=STATUS", value_parser = parse_flip)]
    flip: Vec<(String, ClaimStatus)>,
}

/// The deviations that an option of `simulate` and a key in a file can set.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeviationArgs {
    /// Break a protocol rule; see `simulate --list-faults`
    #[arg(long = "fault", value_name = "ID")]
    #[serde(deserialize_with = "deserialize_faults")]
    faults: Vec<SimulatorFault>,
    /// Chance that the model does not obey
    #[arg(long, value_name = "P", default_value_t, value_parser = parse_probability)]
    #[serde(deserialize_with = "deserialize_probability")]
    disobedience: f64,
    /// Disobedience after the drift
    #[arg(long, value_name = "P", value_parser = parse_probability)]
    #[serde(deserialize_with = "deserialize_optional_probability")]
    drift_to: Option<f64>,
    /// Responses before the drift
    #[arg(long, value_name = "N", default_value_t, requires = "drift_to")]
    drift_after: u64,
    /// Length of the drift in responses
    #[arg(long, value_name = "N", default_value_t, requires = "drift_to")]
    drift_over: u64,
    /// Delay of each response
    #[arg(long = "latency", value_name = "MS", default_value_t)]
    latency_ms: u64,
    /// Random extra delay, up to
    #[arg(long = "jitter", value_name = "MS", default_value_t)]
    jitter_ms: u64,
    /// Chance of a 429 response
    #[arg(long = "inject-429", value_name = "P", default_value_t, value_parser = parse_probability)]
    #[serde(deserialize_with = "deserialize_probability")]
    inject_429: f64,
    /// Chance of a 529 response
    #[arg(long = "inject-529", value_name = "P", default_value_t, value_parser = parse_probability)]
    #[serde(deserialize_with = "deserialize_probability")]
    inject_529: f64,
    /// Chance of a dropped connection
    #[arg(long, value_name = "P", default_value_t, value_parser = parse_probability)]
    #[serde(deserialize_with = "deserialize_probability")]
    inject_reset: f64,
    /// Chance that a content filter rejects it
    #[arg(long, value_name = "P", default_value_t, value_parser = parse_probability)]
    #[serde(deserialize_with = "deserialize_probability")]
    inject_filter: f64,
    /// Reject all requests for a while; see docs/simulator
    #[arg(long, value_name = "KIND", value_parser = parse_trouble)]
    inject_trouble: Option<SimulatedTroubleKind>,
    /// Requests before the trouble
    #[arg(long, value_name = "N", default_value_t, requires = "inject_trouble")]
    trouble_after: u64,
    /// Length of the trouble [default: to the end]
    #[arg(long = "trouble-for", value_name = "MS", requires = "inject_trouble")]
    trouble_for_ms: Option<u64>,
    /// `retry-after` of 429 and 529 responses
    #[arg(long, value_name = "S")]
    retry_after: Option<u64>,
    /// Accept N requests per window; reject others with 429
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(deserialize_with = "deserialize_limit")]
    limit_requests: Option<u32>,
    /// Accept N prompt tokens per window
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(deserialize_with = "deserialize_limit")]
    limit_tokens: Option<u32>,
    /// Length of the window [default: 60000]
    #[arg(long = "limit-window", value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(deserialize_with = "deserialize_limit")]
    limit_window_ms: Option<u32>,
}

const DEFAULT_LIMIT_WINDOW_MS: u32 = 60_000;

impl SimulationArgs {
    /// Reads the file, if there is one.
    pub fn load(&self) -> Result<SimulatorOptions, CliError> {
        let deviations = self.simulator.as_ref().map(|path| {
            let (name, text) = (path.display().to_string(), files::read_text(path)?);
            Ok::<DeviationArgs, CliError>(read_yaml(&name, &text).map_err(|e| crate::catalog::CaseErrors(vec![e]))?)
        });
        Ok(SimulatorOptions { flips: self.flip.flip.clone(), deviations: deviations.transpose()?.unwrap_or_default() })
    }

    /// True if any of the options is given.
    pub fn is_set(&self) -> bool {
        self.simulator.is_some() || !self.flip.flip.is_empty()
    }
}

impl SimulatorArgs {
    /// The options as data.
    pub fn to_options(&self) -> SimulatorOptions {
        SimulatorOptions { flips: self.flip.flip.clone(), deviations: self.deviations.clone() }
    }
}

impl SimulatorOptions {
    /// A digest of everything that can change the content of responses; `None` without such options. Delays do not
    /// count.
    pub fn digest(&self) -> Option<String> {
        let (flips, faults) = (&self.flips, &self.deviations.faults);
        let impairments =
            SimulatorImpairments { latency: Duration::ZERO, jitter: Duration::ZERO, ..self.deviations.impairments() };
        let is_plain = flips.is_empty() && faults.is_empty() && impairments == SimulatorImpairments::default();
        (!is_plain).then(|| digest_text(&format!("{flips:?} {faults:?} {impairments:?}")))
    }

    /// The simulator of a target, with these options.
    pub fn simulator_config(&self, target: &Target, catalog: &Catalog, seed: u64) -> Result<SimulatorConfig, CliError> {
        let mut config = SimulatorConfig::from_target(target);
        config.add_fields(target, catalog.field_specs());
        config.impairments = self.deviations.impairments();
        config.faults.clone_from(&self.deviations.faults);
        config.seed = seed;
        for (row, status) in &self.flips {
            let error = |source| CliError::UnknownFlipRow { row: row.clone(), status: *status, source };
            config.set_status(row, *status).map_err(error)?;
        }
        Ok(config)
    }
}

impl DeviationArgs {
    fn impairments(&self) -> SimulatorImpairments {
        let has_limits = self.limit_requests.is_some() || self.limit_tokens.is_some();
        let window_ms = self.limit_window_ms.unwrap_or(DEFAULT_LIMIT_WINDOW_MS);
        SimulatorImpairments {
            disobedience: self.disobedience,
            drift: self.drift_to.map(|to| DisobedienceDrift {
                final_probability: to,
                delay_responses: self.drift_after,
                duration_responses: self.drift_over,
            }),
            latency: Duration::from_millis(self.latency_ms),
            jitter: Duration::from_millis(self.jitter_ms),
            rate_429: self.inject_429,
            retry_after: self.retry_after,
            rate_529: self.inject_529,
            rate_reset: self.inject_reset,
            rate_filter: self.inject_filter,
            trouble: self.inject_trouble.map(|kind| SimulatedTrouble {
                kind,
                after_requests: self.trouble_after,
                duration: self.trouble_for_ms.map(Duration::from_millis),
            }),
            limit_requests: self.limit_requests,
            limit_tokens: self.limit_tokens,
            limit_window: if has_limits { Duration::from_millis(window_ms.into()) } else { Duration::ZERO },
        }
    }
}

fn parse_trouble(text: &str) -> Result<SimulatedTroubleKind, String> {
    let words: Vec<&str> = SimulatedTroubleKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = SimulatedTroubleKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

fn parse_flip(text: &str) -> Result<(String, ClaimStatus), String> {
    let (row, word) = text.split_once('=').ok_or("expected ROW=STATUS, for example field.top_k=supported")?;
    let all = [ClaimStatus::Supported, ClaimStatus::Ignored, ClaimStatus::Unsupported, ClaimStatus::Substituted];
    let status = all
        .into_iter()
        .find(|s| s.as_str() == word)
        // Users also try the word for the verdict.
        .or((word == "rejected").then_some(ClaimStatus::Unsupported))
        .ok_or_else(|| format!("unknown status `{word}`. Use supported, ignored, unsupported or substituted"))?;
    Ok((row.to_owned(), status))
}

fn deserialize_faults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SimulatorFault>, D::Error> {
    let ids = Vec::<String>::deserialize(deserializer)?;
    ids.iter().map(|id| id.parse().map_err(de::Error::custom)).collect()
}

fn deserialize_probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(de::Error::custom("expected a number from 0 to 1")) }
}

fn deserialize_optional_probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserialize_probability(deserializer).map(Some)
}

fn deserialize_limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(de::Error::custom("expected a number above 0")),
        limit => Ok(Some(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DeviationArgs, String> {
        read_yaml("simulator.yaml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_sets_the_options_of_simulate() {
        let text = "disobedience: 0.1\nfaults: [sse.ping-missing]\nlatency_ms: 5\ninject_429: 0.05\nlimit_tokens: 9\n";
        let read = read(text).unwrap();
        assert_eq!(read.faults, ["sse.ping-missing".parse().unwrap()]);
        let impairments = read.impairments();
        assert_eq!((impairments.disobedience, impairments.rate_429), (0.1, 0.05));
        assert_eq!(impairments.latency, Duration::from_millis(5));
        assert_eq!(impairments.limit_window, Duration::from_secs(60));
    }

    #[test]
    fn errors_in_a_file_name_the_line_and_the_key() {
        for (text, parts) in [
            ("latency_ms: 5\nlatency: 5\n", ["simulator.yaml:2:1", "unknown key `latency`"]),
            ("latency_ms: 5\ndisobedience: 2\n", ["simulator.yaml:2:15", "a number from 0 to 1"]),
            ("drift_to: a\n", ["simulator.yaml:1:11", "expected a number"]),
            ("limit_tokens: 0\n", ["simulator.yaml:1:15", "expected a number above 0"]),
            ("faults: [sse.no-such]\n", ["simulator.yaml:1:9", "no fault `sse.no-such`"]),
            ("flip: [field.top_k=ignored]\n", ["simulator.yaml:1:1", "unknown key `flip`"]),
        ] {
            let error = read(text).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
        }
    }
}
