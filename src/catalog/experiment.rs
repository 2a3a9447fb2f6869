//! How a row is decided: the shape of the files under `cases/experiments/`.
//!
//! An experiment is provider-neutral: it knows nothing of claims. These types say what an author may write and what
//! it means; sending and judging are the engine's work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::Spanned;

use crate::catalog::arm::{Arm, OwnBlock, ScreenArms, Turn};
use crate::catalog::field_location::FieldSpec;
use crate::catalog::message_predicate::MessagePredicate;
use crate::catalog::response_predicate::{AlternativeVerdict, ArmComparison, ResponsePredicate};
use crate::catalog::status::VerdictStatus;

/// A file of experiments: one section of the matrix.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// The section's title, in the tables' own words.
    pub section: String,
    /// Arms that rows share, by the name under which rows of any file refer to them.
    #[serde(default)]
    pub screens: BTreeMap<String, ScreenArms>,
    /// The rows, in the order of the tables.
    pub rows: Vec<Experiment>,
}

/// One row, and the controlled experiment that decides it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The row's stable dotted id, `tool_choice.auto` for instance.
    #[schemars(with = "String")]
    pub row: Spanned<String>,
    /// The row's title, in the tables' own words.
    pub title: String,
    /// Why the row is decided in this way, and what would fool it. For readers; the engine does not look at it.
    #[serde(default)]
    pub about: Option<String>,
    /// Rows that this experiment works through. Where one of them was found not to be honoured, "ignored" proves
    /// nothing of this row, and it stays undecided.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// The verdicts that this row can reach, where they are not all of supported, ignored and rejected. A field that
    /// every request must carry cannot be rejected, for instance, for then nothing could be asked at all.
    #[serde(default = "all_statuses")]
    pub statuses: Vec<VerdictStatus>,
    /// What the target's file must state for this row to make sense; without it the row is left out.
    #[serde(default)]
    pub requires: Option<LimitRequirement>,
    /// Where the field stands in a request: what `fieldtest check` needs to prove a row that the simulator does not know
    /// by name. Deciding the row does not look at it.
    #[serde(default)]
    pub field: Option<FieldSpec>,
    /// The conversation of every arm that has none of its own: the last user turn's text.
    #[serde(default)]
    pub ask: Option<String>,
    /// The conversation of every arm that has none of its own: all turns.
    #[serde(default)]
    pub turns: Option<Vec<Turn>>,
    /// What every arm carries beside the conversation.
    #[serde(default)]
    pub base: Arm,
    /// The request without the field. Unless written, the base alone.
    #[serde(default)]
    pub negative: Arm,
    /// The request with the field, at a valid value.
    #[serde(default)]
    pub treatment: Option<Arm>,
    /// Laid over the treatment after a trial that said nothing, to bring the model to show something.
    #[serde(default)]
    pub insist: Option<Arm>,
    /// The name of a screen that is tried before anything else.
    #[serde(default)]
    pub screen: Option<String>,
    /// The arms of that screen, once all files are read.
    #[serde(skip)]
    pub screen_arms: Option<ScreenArms>,
    /// Several treatments, by name, instead of one.
    #[serde(default)]
    pub variants: BTreeMap<String, TreatmentVariant>,
    /// How the variants' verdicts become the row's.
    #[serde(default)]
    pub combine: CombineRule,
    /// The same information through a channel that is known to work. Sent only when the treatment shows no effect.
    #[serde(default)]
    pub positive: Option<Arm>,
    /// The field at values that a server honouring it must refuse.
    #[serde(default)]
    pub challenge: Vec<Arm>,
    /// For blocks that only the endpoint itself can make: decides when the treatment, which is made up, is refused.
    #[serde(default)]
    pub genuine: Option<OwnBlock>,
    /// True of an answer in which the field was honoured.
    #[serde(default)]
    pub effect: Option<MessagePredicate>,
    /// True of an answer that only a server passing over the field would give. Answers with neither the effect nor
    /// its contrary then say nothing.
    #[serde(default)]
    pub contrary: Option<MessagePredicate>,
    /// Honoured, but not as the reference has it: counts as the effect, and qualifies the verdict.
    #[serde(default)]
    pub partial: Vec<PartialEffect>,
    /// What shows in an answer when the thing that the field governs is at work. Where a challenge is accepted and
    /// the trace, which the treatment shows, is gone, the field was honoured after all.
    #[serde(default)]
    pub trace: Option<MessagePredicate>,
    /// How often the effect shows by chance where the field is not honoured.
    #[serde(default)]
    pub by_chance: ChanceRate,
    /// The least number of tokens by which the field raises the prompt, where the endpoint's own meter can tell.
    #[serde(default)]
    pub meter: Option<u64>,
    /// How often a trial sends its request, one after the other (caches show at the second).
    #[serde(default = "default_repeat")]
    pub repeat: u32,
    /// Decide by comparing two samples of answers instead of by an effect.
    #[serde(default)]
    pub sampling: Option<SamplingTest>,
    /// Decide by what the treatment's answer is, whatever it is: a refusal, a count, a list.
    #[serde(default)]
    pub reply: Option<ResponsePredicate>,
    /// Other answers that mean something, in the order in which they are tried. What is neither is not honoured.
    #[serde(default)]
    pub alternatives: Vec<AlternativeVerdict>,
    /// Decide by holding the treatment's answer against the negative arm's.
    #[serde(default)]
    pub compare: Option<ArmComparison>,
    /// What it means when every challenge is accepted.
    #[serde(default)]
    pub accepted_means: AcceptedMeans,
    /// The row is about credentials: 401 and 403 are refusals, as nowhere else.
    #[serde(default)]
    pub about_credentials: bool,
    /// The entries of the failure catalogue that this row sees, by number.
    #[serde(default)]
    pub failures: Vec<u16>,
    /// For rows that no field stands for: misbehaviour of a server, by the name that a simulator has for it, and the
    /// verdict that such a server deserves. `fieldtest check` proves the row by them. Deciding it does not look at them.
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

    /// True where the row stands for one field of a request, which a server can honour, ignore or refuse. The others are
    /// about how a server conducts itself, and follow many fields.
    pub fn is_field_row(&self) -> bool {
        self.faults.is_empty() && !self.decides_by_response()
    }

    /// True where the answer counts as it came, and not only the message in it.
    pub fn decides_by_response(&self) -> bool {
        self.reply.is_some() || self.compare.is_some()
    }

    /// An experiment of that name that asks nothing and changes nothing: a ground to lay arms over.
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
            screen: None,
            screen_arms: None,
            variants: BTreeMap::new(),
            combine: CombineRule::default(),
            positive: None,
            challenge: Vec::new(),
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
            alternatives: Vec::new(),
            compare: None,
            accepted_means: AcceptedMeans::default(),
            about_credentials: false,
            failures: Vec::new(),
            faults: BTreeMap::new(),
        }
    }
}

/// How several variants make one verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CombineRule {
    /// Every variant must be honoured; the worst counts.
    #[default]
    All,
    /// One honoured variant is enough; the best counts.
    Any,
}

/// Something that a target's file must state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
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

/// One of several treatments of a row. What it leaves out is the row's.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TreatmentVariant {
    /// The request without the field, where this variant needs its own.
    #[serde(default)]
    pub negative: Option<Arm>,
    /// The request with the field.
    pub treatment: Arm,
    /// The same information through a channel that is known to work.
    #[serde(default)]
    pub positive: Option<Arm>,
}

/// Two samples of answers to one question: do answers agree more under a narrowing value of the field?
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplingTest {
    /// The field at a value under which an honouring endpoint always answers alike.
    pub narrow: Arm,
    /// True of an answer to the question. Other answers are about something else, and are not compared.
    #[serde(default)]
    pub answers: Option<MessagePredicate>,
    /// Laid under both samples when answers do not vary without it.
    #[serde(default)]
    pub widen: Option<Arm>,
}

/// The effect, but not as the reference has it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartialEffect {
    /// True of such an answer.
    pub when: MessagePredicate,
    /// What is different, in words that qualify the verdict.
    pub note: String,
}

/// How often an effect shows by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChanceRate {
    /// Never: it is true of the protocol and not of the model (an echo, an event stream). One trial decides.
    Never,
    /// Hardly ever: it takes a code word that was drawn for this trial.
    Rare,
    /// Once in so many: the field points at one of as many things, drawn for each trial, so that who does not read it
    /// hits the right one no more often, whatever its habits.
    OneIn(u32),
    /// Now and then: a model may do it of its own accord.
    #[default]
    Possible,
}

/// What it means when every challenge is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AcceptedMeans {
    /// The value is not looked at: ignored.
    #[default]
    Ignored,
    /// Another value was used in its place: substituted.
    Substituted,
    /// It cannot be told from outside.
    Inconclusive,
}
