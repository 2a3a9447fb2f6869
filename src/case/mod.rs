//! Case files: the rows of the support tables, how each is decided, and what each provider claims.
//!
//! Knows no other module. Nothing here sends, judges or reads from a disk: files come in as bytes.

mod arm;
mod body_path;
mod check;
mod credential;
mod embedded;
mod error;
mod experiment;
mod field;
mod gateway;
mod gateway_check;
mod list;
mod load;
mod predicate;
mod reply;
mod schema;
mod target;
mod template;
mod vocabulary;
mod wording;

pub use arm::{Arm, ArmCredential, Genuine, HandBack, Method, Screen, Then, Turn};
pub use body_path::{BodyPath, Step};
pub use check::variables;
pub use credential::CredentialSource;
pub use error::{CaseError, CaseErrors, Place};
pub use experiment::{
    AcceptedMeans, Chance, Combine, Experiment, ExperimentFile, Partial, Requirement, Spread, Variant,
};
pub use field::{Field, FieldPlace, Honoured};
pub use gateway::{
    Answer, Answers, Arrival, Arrives, Conduct, FieldAt, GATEWAY_VARIABLES, GatewayFile, GatewayRow, Insert, Sending,
    Shape, Sign, Streaming, Subject, Usual, UsualClaim,
};
pub use list::{ListedTarget, TargetList};
pub use load::{CaseFile, Catalog, CatalogRow, FileKind, GatewayCatalogRow, MAX_FILE_BYTES, read_yaml};
pub use predicate::{CallTest, Count, Predicate, TextTest};
pub use reply::{AnswerTest, Aspect, Compare, JsonKind, JsonTest, Otherwise};
pub use schema::{experiments_schema, gateway_schema, list_schema, target_schema};
pub use target::{Auth, AuthScheme, Claim, Limits, Prices, Range, Source, Target};
pub use template::{CITIES, Piece, VARIABLES, Variable, pieces};
pub use vocabulary::{ClaimStatus, Outcome, VerdictStatus, is_silent};
