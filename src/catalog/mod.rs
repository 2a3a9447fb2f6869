//! Case files: the rows of the support tables, how each is decided, and what each provider claims. The
//! main type is [`Catalog`].
//!
//! Must not know any other module except `wire`. Nothing here sends, judges or reads a disk: files
//! come in as bytes.

mod arm;
mod bundled;
mod claim_changes;
mod credential_source;
mod error;
mod experiment;
mod field_location;
mod gateway_row;
mod json_path;
mod load;
mod message_predicate;
mod response_predicate;
mod status;
mod target;
mod target_list;
mod target_revision;
mod template;
mod validate;
mod validate_gateway;
mod yaml_errors;

pub use crate::catalog::arm::{Arm, ArmCredential, ArmMethod, EchoBack, FollowUp, OwnBlock, ScreenArms, Turn};
pub use crate::catalog::claim_changes::{ClaimChange, claim_changes};
pub use crate::catalog::credential_source::CredentialSource;
pub use crate::catalog::error::{CaseError, CaseErrors, SourceLocation};
pub use crate::catalog::experiment::{
    AcceptedMeans, CannedTest, ChallengeRule, ChanceRate, CombineRule, Experiment, ExperimentFile, LimitRequirement,
    PartialEffect, SamplingTest, TreatmentVariant,
};
pub use crate::catalog::field_location::{FieldLocation, FieldSpec, SupportedBehaviour};
pub use crate::catalog::gateway_row::{
    ApiDialect, ClientSignal, DefaultClaim, GATEWAY_VARIABLES, GatewayBehaviour, GatewayExpectation,
    GatewayFieldLocation, GatewayFile, GatewayRow, GatewayRowSubject, PerDialect, RequestSpec, StreamInsert,
    StreamOverrides, UpstreamResponse,
};
pub use crate::catalog::json_path::{JsonPath, PathSegment};
pub use crate::catalog::load::{
    CaseFile, Catalog, CatalogRow, FileKind, GatewayCatalogRow, MAX_FILE_BYTES, find_target, read_yaml,
};
pub use crate::catalog::message_predicate::{CallTest, CountRange, MessagePredicate, TextTest};
pub use crate::catalog::response_predicate::{
    AlternativeVerdict, ArmComparison, JsonKind, JsonTest, ResponseAspect, ResponsePredicate,
};
pub use crate::catalog::status::{ClaimStatus, Outcome, VerdictStatus, is_silent};
pub(crate) use crate::catalog::target::deserialize_context_tokens;
pub use crate::catalog::target::{
    Claim, ClaimSource, ClaimedRange, SourceSureness, Target, TargetAuth, TargetLimits, TargetPrices,
};
pub use crate::catalog::target_list::{ListedTarget, TargetList};
pub use crate::catalog::target_revision::{TargetFile, TargetRevision};
pub use crate::catalog::template::{CITIES, TemplateSegment, VARIABLES, parse_template, variable_names};
pub use crate::catalog::validate::{collect_predicate_variables, collect_variables};
