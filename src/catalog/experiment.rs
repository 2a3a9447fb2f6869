//! The format of the files under `cases/experiments/`: how an [`Experiment`] decides a row.
//!
//! An experiment must not know claims, so it applies to every provider. These types describe what an
//! author may write and what it means. The engine sends and judges.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Spanned;

use crate::catalog::arm::{Arm, OwnBlock, ScreenArms, Turn};
use crate::catalog::field_location::FieldSpec;
use crate::catalog::message_predicate::MessagePredicate;
use crate::catalog::response_predicate::{AlternativeVerdict, ArmComparison, ResponsePredicate};
use crate::catalog::status::VerdictStatus;

/// A file of experiments: one section of the matrix.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// The section's title, as in the published tables.
    pub section: String,
    /// Arms that rows share, by name. Rows of any file may refer to them.
    #[serde(default)]
    pub screens: BTreeMap<String, ScreenArms>,
    /// The rows, in the order of the tables.
    pub rows: Vec<Experiment>,
}

/// One row and the controlled experiment that decides it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The row's stable dotted id, for example `tool_choice.auto`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub row: Spanned<String>,
    /// The row's title, as in the published tables.
    pub title: String,
    /// Why the row is decided in this way, and what could mislead it. For readers; the engine ignores it.
    #[serde(default)]
    pub about: Option<String>,
    /// Rows that this row depends on. If one of them is not supported, the verdict `ignored` proves
    /// nothing about this row, and the row is inconclusive.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// The verdicts that this row can reach, if they are not supported, ignored and rejected. For
    /// example, a field that every request must carry cannot be rejected. `supported` means the
    /// strongest of `supported`, `validated` and `accepted` that the row can reach.
    #[serde(default = "all_statuses")]
    pub statuses: Vec<VerdictStatus>,
    /// The limit that the target's file must state. Without it, the row is left out.
    #[serde(default)]
    pub requires: Option<LimitRequirement>,
    /// Where the field is in a request. `fieldtest check` needs it to prove a row that the simulator
    /// does not know by name. It has no influence on the verdict.
    #[serde(default)]
    pub field: Option<FieldSpec>,
    /// The text of a single user turn, for every arm without its own conversation.
    #[serde(default)]
    pub ask: Option<String>,
    /// All turns of the conversation, for every arm without its own.
    #[serde(default)]
    pub turns: Option<Vec<Turn>>,
    /// What every arm sends in addition to the conversation.
    #[serde(default)]
    pub base: Arm,
    /// The negative control: the request without the field. By default, the base alone.
    #[serde(default)]
    pub negative: Arm,
    /// The request with the field, with a valid value.
    #[serde(default)]
    pub treatment: Option<Arm>,
    /// Merged into the treatment after an unusable trial, so that the model is more likely to act.
    #[serde(default)]
    pub insist: Option<Arm>,
    /// Decides the row at an endpoint that follows no instruction, if the treatment shows nothing.
    #[serde(default)]
    pub canned: Option<CannedTest>,
    /// The name of a screen that is sent before anything else.
    #[serde(default)]
    pub screen: Option<String>,
    /// The arms of that screen, resolved after all files are read.
    #[serde(skip)]
    pub screen_arms: Option<ScreenArms>,
    /// Several treatments by name, instead of one.
    #[serde(default)]
    pub variants: BTreeMap<String, TreatmentVariant>,
    /// How the verdicts of the variants become the verdict of the row.
    #[serde(default)]
    pub combine: CombineRule,
    /// The positive control: the same information in a way known to work. Sent only if the treatment
    /// shows no effect.
    #[serde(default)]
    pub positive: Option<Arm>,
    /// The field with invalid values, which a server that supports it must reject.
    #[serde(default)]
    pub challenge: Vec<Arm>,
    /// Whether one rejected invalid value shows that the field is supported, or all of them must be
    /// rejected because they test one promise.
    #[serde(default)]
    pub challenges: ChallengeRule,
    /// For blocks that only the endpoint can make: decides the row if the made-up block of the
    /// treatment is rejected.
    #[serde(default)]
    pub genuine: Option<OwnBlock>,
    /// Matches a response that shows the effect of the field.
    #[serde(default)]
    pub effect: Option<MessagePredicate>,
    /// The opposite effect: matches a response that only a server that ignores the field would give. A
    /// response with neither the effect nor its opposite is then unusable.
    #[serde(default)]
    pub contrary: Option<MessagePredicate>,
    /// An effect that differs from the reference: counts as the effect, and adds a qualifier to the
    /// verdict.
    #[serde(default)]
    pub partial: Vec<PartialEffect>,
    /// What a response shows while the feature that the field controls is active. If an invalid value is
    /// accepted and the trace, which the treatment shows, is gone, the field is supported after all.
    #[serde(default)]
    pub trace: Option<MessagePredicate>,
    /// How often the effect appears by chance if the field is not supported.
    #[serde(default)]
    pub by_chance: ChanceRate,
    /// The minimum number of prompt tokens that the field adds, for evidence by the usage meter.
    #[serde(default)]
    pub meter: Option<u64>,
    /// How many times a trial sends its request, one after another. A cache shows at the second one.
    #[serde(default = "default_repeat")]
    pub repeat: u32,
    /// Decides the row by comparing two samples of responses instead of by an effect.
    #[serde(default)]
    pub sampling: Option<SamplingTest>,
    /// Decides the row by the response to the treatment, of any kind: an error, a count, a list.
    #[serde(default)]
    pub reply: Option<ResponsePredicate>,
    /// Words of an error that is about this row, wherever it says that the mistake is. For a documented
    /// error, the keys that the request does not share with the negative control count too.
    #[serde(default)]
    pub about_words: Vec<String>,
    /// Other responses with their verdicts, tested in this order. A response that matches neither these
    /// nor `reply` means `ignored` or `rejected`.
    #[serde(default)]
    pub alternatives: Vec<AlternativeVerdict>,
    /// Decides the row by comparing the treatment's response with that of the negative control.
    #[serde(default)]
    pub compare: Option<ArmComparison>,
    /// The verdict if every invalid value is accepted.
    #[serde(default)]
    pub accepted_means: AcceptedMeans,
    /// The invalid values are well formed, and wrong only against the state of the server or against
    /// the limit that the row is about: a key that nobody issued, a value just above the range. An
    /// endpoint that rejects all of them enforces the field, so the row is `supported` and not only
    /// `validated`.
    #[serde(default)]
    pub enforces: bool,
    /// The row only tests whether the endpoint accepts the field. It sends only the treatment,
    /// and an accepted treatment makes it `accepted`.
    #[serde(default)]
    pub only_acceptance: bool,
    /// The row that shows what this row promises to be absent. Absence proves something only if that
    /// row is supported. Otherwise, this row is `accepted`.
    #[serde(default)]
    pub contrast: Option<String>,
    /// The row is about credentials: only here do 401 and 403 count as rejections.
    #[serde(default)]
    pub about_credentials: bool,
    /// The entries of the failure catalogue that this row detects, by number.
    #[serde(default)]
    pub failures: Vec<u16>,
    /// For behaviour rows: faults of the simulator, by id, and the verdict that a server with the fault
    /// must get. `fieldtest check` proves the row with them. They have no influence on the verdict.
    #[serde(default)]
    pub faults: BTreeMap<String, VerdictStatus>,
}

fn all_statuses() -> Vec<VerdictStatus> {
    vec![VerdictStatus::Supported, VerdictStatus::Ignored, VerdictStatus::Rejected]
}

fn default_repeat() -> u32 {
    1
}

impl Experiment {
    /// The row's id.
    pub fn id(&self) -> &str {
        &self.row.value
    }

    /// True if the row is about one field of a request, which a server can support, ignore or reject.
    /// The others are behaviour rows, which depend on many fields.
    pub fn is_field_row(&self) -> bool {
        self.faults.is_empty() && !self.decides_by_response()
    }

    /// True if the whole HTTP response decides the row, not only the message in it.
    pub fn decides_by_response(&self) -> bool {
        self.reply.is_some() || self.compare.is_some()
    }

    /// True if the row measures when the parts of a response arrive.
    pub fn measures_time(&self) -> bool {
        self.compare == Some(ArmComparison::Gradual)
    }

    /// The strongest verdict that the row can reach. It follows from the kind of its experiment.
    pub fn strongest_status(&self) -> VerdictStatus {
        if self.only_acceptance {
            return VerdictStatus::Accepted;
        }
        if self.effect.is_some() || self.sampling.is_some() || self.compare.is_some() || self.enforces {
            return VerdictStatus::Supported;
        }
        match &self.reply {
            None => VerdictStatus::Validated,
            Some(reply) if reply.expects_http_error() || reply.shows_content() || self.contrast.is_some() => {
                VerdictStatus::Supported
            }
            Some(_) => VerdictStatus::Accepted,
        }
    }

    /// The rows that must be run, too: those that this row depends on, and its contrast.
    pub fn needed_rows(&self) -> impl Iterator<Item = &str> {
        self.depends_on.iter().chain(&self.contrast).map(String::as_str)
    }

    /// True if the row can have this verdict.
    pub fn can_reach(&self, status: VerdictStatus) -> bool {
        let is_listed = |listed: &VerdictStatus| *listed == status || (listed.is_positive() && status.is_positive());
        self.statuses.iter().any(is_listed)
    }

    /// Replaces `supported` with the strongest verdict that the row can reach, wherever the file
    /// lists verdicts.
    pub(super) fn resolve_statuses(&mut self) {
        let strongest = self.strongest_status();
        let listed = self.statuses.iter_mut().chain(self.faults.values_mut());
        let listed = listed.chain(self.alternatives.iter_mut().map(|alternative| &mut alternative.verdict));
        listed.filter(|status| **status == VerdictStatus::Supported).for_each(|status| *status = strongest);
    }

    /// An experiment without a conversation and without changes, to merge arms into.
    pub fn empty(row: &str) -> Self {
        Self {
            row: Spanned::new(row.to_owned(), serde_yaml::Location::UNKNOWN, serde_yaml::Location::UNKNOWN),
            title: String::new(),
            about: None,
            depends_on: Vec::new(),
            statuses: all_statuses(),
            requires: None,
            field: None,
            ask: None,
            turns: None,
            base: Arm::default(),
            negative: Arm::default(),
            treatment: None,
            insist: None,
            canned: None,
            screen: None,
            screen_arms: None,
            variants: BTreeMap::new(),
            combine: CombineRule::default(),
            positive: None,
            challenge: Vec::new(),
            challenges: ChallengeRule::default(),
            genuine: None,
            effect: None,
            contrary: None,
            partial: Vec::new(),
            trace: None,
            by_chance: ChanceRate::default(),
            meter: None,
            repeat: default_repeat(),
            sampling: None,
            reply: None,
            about_words: Vec::new(),
            alternatives: Vec::new(),
            compare: None,
            accepted_means: AcceptedMeans::default(),
            enforces: false,
            only_acceptance: false,
            contrast: None,
            about_credentials: false,
            failures: Vec::new(),
            faults: BTreeMap::new(),
        }
    }
}

/// A test for endpoints whose responses do not depend on the prompt.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CannedTest {
    /// The request with the field, instead of the treatment.
    pub arm: Arm,
    /// Matches a response that shows the effect of the field.
    pub effect: MessagePredicate,
    /// The opposite effect. A response with neither is unusable.
    pub contrary: MessagePredicate,
}

/// How several verdicts of variants become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CombineRule {
    /// Every variant must be supported; the worst verdict counts.
    #[default]
    All,
    /// One supported variant is enough; the best verdict counts.
    Any,
}

/// How many invalid values must be rejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChallengeRule {
    /// One is enough: each tests another check.
    #[default]
    Any,
    /// All of them. If the endpoint rejects only some, the row is inconclusive.
    All,
}

/// A limit that a target's file must state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitRequirement {
    /// `limits.max_output_tokens`
    MaxOutputTokens,
    /// `limits.context_tokens`
    ContextTokens,
}

impl LimitRequirement {
    /// The key of `limits` that states it.
    pub fn key(self) -> &'static str {
        match self {
            Self::MaxOutputTokens => "max_output_tokens",
            Self::ContextTokens => "context_tokens",
        }
    }
}

/// One of several treatments of a row. An arm that it leaves out is taken from the row.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TreatmentVariant {
    /// The negative control, if this variant needs its own.
    #[serde(default)]
    pub negative: Option<Arm>,
    /// The request with the field.
    pub treatment: Arm,
    /// The positive control, if this variant needs its own.
    #[serde(default)]
    pub positive: Option<Arm>,
}

/// A comparison of two samples of responses to one question: do responses agree more with a narrowing
/// value of the field?
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SamplingTest {
    /// The field with a value that makes the responses of a supporting endpoint equal.
    pub narrow: Arm,
    /// Matches a response that answers the question. Other responses are not compared.
    #[serde(default)]
    pub answers: Option<MessagePredicate>,
    /// Merged into both samples if responses do not vary without it.
    #[serde(default)]
    pub widen: Option<Arm>,
}

/// An effect that differs from the reference.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PartialEffect {
    /// Matches such a response.
    pub when: MessagePredicate,
    /// The difference, as a qualifier of the verdict.
    pub note: String,
}

/// How often an effect appears by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChanceRate {
    /// Never: the protocol shows it, not the model (an echo, an event stream). One trial decides.
    Never,
    /// Almost never: it needs a code word that is new in this trial.
    Rare,
    /// One time in N: the field names one of N things, chosen at random in each trial, so that a model
    /// that does not see it is right no more often, whatever it prefers.
    OneIn(u32),
    /// Sometimes: a model may do it by itself.
    #[default]
    Possible,
}

/// The verdict if every invalid value is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AcceptedMeans {
    /// The value is not checked: `ignored`.
    #[default]
    Ignored,
    /// Another value is used instead: `substituted`.
    Substituted,
    /// It cannot be decided from outside: `inconclusive`.
    Inconclusive,
}
