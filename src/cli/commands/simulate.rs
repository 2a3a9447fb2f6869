//! `fieldtest simulate`: serves a target's simulation.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use tokio::net::TcpListener;

use crate::cli::args::common::CaseArgs;
use crate::cli::args::simulator::SimulatorArgs;
use crate::cli::io::stdout;
use crate::cli::{CliError, ExitStatus};
use crate::simulator;
use crate::simulator::SimulatorFault;

/// Serves a Messages API on loopback that behaves as a target's claims say.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  fieldtest simulate deepseek --port 8787 --flip field.top_k=supported\n  fieldtest simulate --list-faults"
)]
pub struct SimulateArgs {
    /// The target to simulate: `anthropic` honours everything.
    #[arg(value_name = "TARGET", required_unless_present = "list_faults")]
    target: Option<String>,
    /// Lists what `--fault` takes, and ends.
    #[arg(long)]
    list_faults: bool,
    /// The port to listen on, on 127.0.0.1; 0 takes any that is free.
    #[arg(long, value_name = "N", default_value_t = 8787)]
    port: u16,
    /// The seed of every random draw.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    simulator: SimulatorArgs,
}

/// Runs the command, until it is interrupted.
pub fn main(args: &SimulateArgs) -> Result<ExitStatus, CliError> {
    let Some(name) = args.target.as_deref().filter(|_| !args.list_faults) else {
        list_faults();
        return Ok(ExitStatus::Success);
    };
    let catalog = args.cases.load()?;
    let target = catalog.targets.get(name).ok_or_else(|| {
        let known: Vec<&str> = catalog.targets.keys().map(String::as_str).collect();
        CliError::Usage(format!("there is no target `{name}`; there are: {}", known.join(", ")))
    })?;
    let behaviour = args.simulator.to_options().simulator_config(target, &catalog, args.seed)?;
    let asked = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::Internal(format!("cannot start the runtime: {e}")))?;
    runtime.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| CliError::Usage(format!("cannot listen on {address}: {e}; --port takes another")))?;
        let address = listener.local_addr().map_err(|e| CliError::Internal(e.to_string()))?;
        stdout::print(format!(
            "simulating {} on http://{address}: model {}, x-api-key {}",
            target.name,
            behaviour.model,
            behaviour.expected_credential()
        ));
        tokio::select! {
            served = simulator::serve(listener, behaviour, asked.clone()) => served.map_err(|e| CliError::Internal(e.to_string())),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })?;
    stdout::print(format!("{} requests came", asked.load(Ordering::Relaxed)));
    Ok(ExitStatus::Success)
}

/// One fault a line, in the order of areas.
fn list_faults() {
    let width = SimulatorFault::all().map(|fault| fault.id().len()).max().unwrap_or_default();
    let lines: Vec<String> =
        SimulatorFault::all().map(|fault| format!("{:width$}  {}", fault.id(), fault.description())).collect();
    stdout::print(lines.join("\n"));
}
