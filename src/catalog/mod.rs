//! Case files: the rows of the support tables, how each is decided, and what each provider claims.
//!
//! Knows no other module. Nothing here sends, judges or reads from a disk: files come in as bytes.

mod arm;
mod bundled;
mod credential_source;
mod error;
mod experiment;
mod field_location;
mod gateway_row;
mod json_path;
mod load;
mod message_predicate;
mod response_predicate;
mod schema;
mod status;
mod target;
mod target_list;
mod template;
mod validate;
mod validate_gateway;
mod yaml_errors;

pub use crate::catalog::arm::{Arm, ArmCredential, Genuine, HandBack, Method, Screen, Then, Turn};
pub use crate::catalog::credential_source::CredentialSource;
pub use crate::catalog::error::{CaseError, CaseErrors, Place};
pub use crate::catalog::experiment::{
    AcceptedMeans, Chance, Combine, Experiment, ExperimentFile, Partial, Requirement, Spread, Variant,
};
pub use crate::catalog::field_location::{Field, FieldPlace, Honoured};
pub use crate::catalog::gateway_row::{
    Answer, Answers, Arrival, Arrives, Conduct, FieldAt, GATEWAY_VARIABLES, GatewayFile, GatewayRow, Insert, Sending,
    Shape, Sign, Streaming, Subject, Usual, UsualClaim,
};
pub use crate::catalog::json_path::{BodyPath, Step};
pub use crate::catalog::load::{CaseFile, Catalog, CatalogRow, FileKind, GatewayCatalogRow, MAX_FILE_BYTES, read_yaml};
pub use crate::catalog::message_predicate::{CallTest, Count, Predicate, TextTest};
pub use crate::catalog::response_predicate::{AnswerTest, Aspect, Compare, JsonKind, JsonTest, Otherwise};
pub use crate::catalog::schema::{experiments_schema, gateway_schema, list_schema, target_schema};
pub use crate::catalog::status::{ClaimStatus, Outcome, VerdictStatus, is_silent};
pub use crate::catalog::target::{Auth, AuthScheme, Claim, Limits, Prices, Range, Source, Target};
pub use crate::catalog::target_list::{ListedTarget, TargetList};
pub use crate::catalog::template::{CITIES, Piece, VARIABLES, Variable, pieces};
pub use crate::catalog::validate::variables;
