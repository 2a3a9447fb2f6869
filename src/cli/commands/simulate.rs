//! `fieldtest simulate`: serves the simulation of a target.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use tokio::net::TcpListener;

use crate::cli::args::cases::CaseArgs;
use crate::cli::args::simulator::SimulatorArgs;
use crate::cli::io::stdout;
use crate::cli::runtime::{multi_thread_runtime, run_to_end};
use crate::cli::target::build::find_target;
use crate::cli::{CliError, ExitStatus};
use crate::simulator;
use crate::simulator::SimulatorFault;

/// Start a simulated endpoint on loopback
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldtest simulate deepseek --port 8787 --flip field.top_k=supported
  fieldtest simulate --list-faults")]
pub struct SimulateArgs {
    /// Target to simulate; `anthropic` supports everything
    #[arg(value_name = "TARGET", required_unless_present = "list_faults", help_heading = "Simulation")]
    target: Option<String>,
    /// List the faults of --fault
    #[arg(long, help_heading = "Simulation")]
    list_faults: bool,
    /// Port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8787, help_heading = "Simulation")]
    port: u16,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Simulation")]
    seed: u64,
    #[command(flatten)]
    cases: CaseArgs,
    #[command(flatten)]
    simulator: SimulatorArgs,
}

/// Runs the command until it is interrupted.
pub fn main(args: &SimulateArgs) -> Result<ExitStatus, CliError> {
    let Some(name) = args.target.as_deref().filter(|_| !args.list_faults) else {
        list_faults();
        return Ok(ExitStatus::Success);
    };
    let catalog = args.cases.load()?;
    let target = find_target(&catalog, name)?;
    let config = args.simulator.to_options().simulator_config(target, &catalog, args.seed)?;
    let request_count = Arc::new(AtomicU64::new(0));
    run_to_end(multi_thread_runtime()?, async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
        let listener = TcpListener::bind(address).await.map_err(|source| CliError::CannotListen {
            address,
            option: "--port",
            source,
        })?;
        let address = listener.local_addr().map_err(CliError::Simulator)?;
        let serve = async {
            stdout::print(format!(
                "simulating {} on http://{address}: model {}, x-api-key {}",
                target.name,
                config.model,
                config.expected_credential()
            ));
            simulator::serve(listener, config, request_count.clone()).await
        };
        // In this order, so that the signal is handled before a caller reads the address.
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Ok(()),
            served = serve => served.map_err(CliError::Simulator),
        }
    })?;
    stdout::print(match request_count.load(Ordering::Relaxed) {
        1 => "1 request received".to_owned(),
        n => format!("{n} requests received"),
    });
    Ok(ExitStatus::Success)
}

/// Prints one fault per line, in the order of areas.
fn list_faults() {
    let width = SimulatorFault::all().map(|fault| fault.id().len()).max().unwrap_or_default();
    let lines: Vec<String> =
        SimulatorFault::all().map(|fault| format!("{:width$}  {}", fault.id(), fault.description())).collect();
    stdout::print(lines.join("\n"));
}
