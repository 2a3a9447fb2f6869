//! JSON Schemas of the case files, for editors. They are generated from the types; a test compares the
//! published copies.

use schemars::schema_for;
use serde_json::Value;

use crate::catalog::experiment::ExperimentFile;
use crate::catalog::gateway_row::GatewayFile;
use crate::catalog::target_list::TargetList;
use crate::catalog::target_revision::TargetFile;

/// The schema of a file under `cases/experiments/`.
pub fn experiments_schema() -> Value {
    schema_for!(ExperimentFile).to_value()
}

/// The schema of a file under `cases/gateway/`.
pub fn gateway_schema() -> Value {
    schema_for!(GatewayFile).to_value()
}

/// The schema of a file under `cases/targets/`.
pub fn target_schema() -> Value {
    schema_for!(TargetFile).to_value()
}

/// The schema of a target list, the file of `--targets`.
pub fn target_list_schema() -> Value {
    schema_for!(TargetList).to_value()
}
