//! [`MutationError`]: why a mutation test could not run.

use crate::engine::JudgeError;
use crate::simulator::UnknownRow;

/// Why a mutation test could not run. These errors say nothing about a row.
#[derive(Debug, thiserror::Error)]
pub enum MutationError {
    /// The target does not exist.
    #[error("there is no target `{0}`")]
    UnknownTarget(String),
    /// The simulator did not start.
    #[error("cannot start the simulator: {0}")]
    Start(std::io::Error),
    /// The client could not be created.
    #[error("cannot create the client: {0}")]
    Client(String),
    /// The simulator does not know a mutated row.
    #[error(transparent)]
    UnknownRow(#[from] UnknownRow),
    /// The recording could not be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The task of a run ended early.
    #[error("a run ended early: {0}")]
    Run(#[from] tokio::task::JoinError),
}
