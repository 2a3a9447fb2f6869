//! Tests that the published JSON schemas in `schemas/` match the types.
//!
//! `UPDATE=1 cargo test --lib published_schemas::` rewrites them. The product does not need the schemas, so the
//! types describe themselves only in tests.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::{Schema, schema_for};

use crate::catalog::{ExperimentFile, GatewayFile, TargetFile, TargetList};
use crate::results::baseline::ExpectationsFile;
use crate::results::diff::ResultsDiff;
use crate::results::events::EventEnvelope;
use crate::results::gateway_diff::GatewayComparison;
use crate::results::model::Results;
use crate::results::plan::PlanReport;

/// A validator of the published schema of this name.
pub(crate) fn validator_for(name: &str) -> jsonschema::Validator {
    let text = fs::read_to_string(schema_path(name)).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn schema_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{name}.schema.json"))
}

#[test]
fn the_published_schemas_match_the_types() {
    let schemas: [(&str, Schema); 10] = [
        ("baseline", schema_for!(ExpectationsFile)),
        ("comparison", schema_for!(GatewayComparison)),
        ("diff", schema_for!(ResultsDiff)),
        ("events", schema_for!(EventEnvelope)),
        ("experiments", schema_for!(ExperimentFile)),
        ("gateway", schema_for!(GatewayFile)),
        ("plan", schema_for!(PlanReport)),
        ("results", schema_for!(Results)),
        ("target", schema_for!(TargetFile)),
        ("targets", schema_for!(TargetList)),
    ];
    assert_eq!(fs::read_dir(schema_path("").parent().unwrap()).unwrap().count(), schemas.len());
    let is_update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut outdated = Vec::new();
    for (name, schema) in schemas {
        let text = serde_json::to_string_pretty(schema.as_value()).unwrap() + "\n";
        if is_update {
            fs::write(schema_path(name), &text).unwrap();
        }
        if fs::read_to_string(schema_path(name)).unwrap_or_default() != text {
            outdated.push(name);
        }
    }
    assert!(outdated.is_empty(), "{outdated:?}: run `UPDATE=1 cargo test --lib published_schemas::`");
}
