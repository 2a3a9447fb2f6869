//! [`ArmCost`]: the maximum requests and tokens of one arm of an experiment.

use crate::catalog::{Arm, Experiment};
use crate::client::{RequestCost, estimate_tokens};
use crate::engine::plan::cost::{max_cost, request_bytes};
use crate::engine::request::arms;
use crate::engine::request::build::{BuildContext, build_request};
use crate::engine::rules;
use crate::engine::rules::{MIN_TRIALS_IF_INCONSISTENT, comparison, effect, response, sampling};
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::recording::run::{ArmKind, arm_name};
use crate::variables::TrialValues;

/// Maximum tokens that the blocks of a response add to its text when they are sent back.
const ECHO_OVERHEAD_TOKENS: u64 = 500;

/// The maximum requests and tokens of one arm of an experiment.
pub(super) struct ArmCost {
    /// The name of the arm in plans and results.
    pub name: String,
    /// Arms of several rows with the same template share their requests.
    pub template: String,
    pub max_trials: u64,
    pub requests_per_trial: u64,
    /// The tokens of the longest request and of the longest response.
    pub max_input_tokens: u64,
    pub max_output_tokens: u64,
    /// The tokens of a whole trial.
    pub trial_cost: RequestCost,
    /// The tokens of a request that a rate limiter subtracts.
    pub limiter_tokens: u64,
}

impl ArmCost {
    /// The costs of all arms of an experiment.
    pub fn all(experiment: &Experiment, settings: &RequestSettings) -> Vec<Self> {
        let arms = arms::arms(experiment).into_iter();
        arms.map(|(variant, arm)| Self::new(experiment, variant, arm, settings)).collect()
    }

    fn new(experiment: &Experiment, variant: Option<&str>, arm: ArmKind, settings: &RequestSettings) -> Self {
        let name = arm_name(arm, variant);
        let own_block = (arm == ArmKind::Genuine).then(|| arms::own_block_layers(experiment)).flatten();
        let layers = match &own_block {
            Some([first, _]) => first.clone(),
            None => arms::layers(experiment, variant, arm),
        };
        let mut template = arms::template_id(experiment, &layers);
        match arm {
            // These requests are sent for one row only.
            ArmKind::After => template.push_str(experiment.id()),
            ArmKind::Genuine => template = format!("{}/{name}", experiment.id()),
            _ => {}
        }
        let values = TrialValues::new(0, template.as_str());
        let build = |layers: &[&Arm]| build_request(experiment, layers, plan_context(settings, &values)).request;
        let first = build(&layers);
        let first_cost = max_cost(&first, settings);
        let repeat = match arm {
            ArmKind::Challenge(_) | ArmKind::ScreenChallenge | ArmKind::Genuine => 1,
            _ => u64::from(experiment.repeat),
        };
        let mut longest = first_cost;
        let mut trial_cost =
            RequestCost { requests: repeat, input: repeat * first_cost.input, output: repeat * first_cost.output };
        let mut add_request = |cost: RequestCost| {
            trial_cost.requests += 1;
            trial_cost.input += cost.input;
            trial_cost.output += cost.output;
            longest.input = longest.input.max(cost.input);
            longest.output = longest.output.max(cost.output);
        };
        // Each follow-up request contains the response to the request before it.
        for (n, step) in arms::follow_ups(&layers).iter().enumerate() {
            let step_bytes = serde_json::to_string(&step.body).map_or(0, |body| body.len() as u64)
                + step.results.as_ref().map_or(0, |text| text.len() as u64)
                + step.user.as_ref().map_or(0, |user| user.to_string().len() as u64);
            let added = (n as u64 + 1) * (first_cost.output + ECHO_OVERHEAD_TOKENS + step_bytes);
            add_request(RequestCost { requests: 1, input: first_cost.input + added, output: first_cost.output });
        }
        if let Some([_, second]) = &own_block {
            let second = max_cost(&build(second), settings);
            let input = second.input + first_cost.output + ECHO_OVERHEAD_TOKENS;
            add_request(RequestCost { requests: 1, input, output: second.output });
        }
        Self {
            name,
            template,
            max_trials: u64::from(max_trials(experiment, arm)),
            requests_per_trial: trial_cost.requests,
            max_input_tokens: longest.input,
            max_output_tokens: longest.output,
            trial_cost,
            limiter_tokens: u64::from(estimate_tokens(&first.body, request_bytes(&first))),
        }
    }

    /// Maximum requests of all trials.
    pub fn max_requests(&self) -> u64 {
        self.max_trials * self.requests_per_trial
    }
}

/// Plans use blocks, the longer of the two forms of texts.
pub(super) fn plan_context<'a>(settings: &'a RequestSettings, values: &'a TrialValues) -> BuildContext<'a> {
    BuildContext { settings, text_form: TextForm::Blocks, values, first_content: None, step: 1 }
}

/// Maximum trials of an arm that the rules can require.
pub(super) fn max_trials(experiment: &Experiment, arm: ArmKind) -> u32 {
    match arm {
        ArmKind::Screen | ArmKind::ScreenChallenge | ArmKind::After => 1,
        ArmKind::Challenge(_) => MIN_TRIALS_IF_INCONSISTENT,
        ArmKind::Genuine => rules::MAX_UNUSABLE_TRIALS,
        _ if experiment.sampling.is_some() => sampling::MAX_TRIALS,
        _ if experiment.compare.is_some() => comparison::MAX_TRIALS,
        ArmKind::Treatment if experiment.reply.is_some() => response::MAX_TRIALS,
        ArmKind::Treatment if experiment.effect.is_none() => MIN_TRIALS_IF_INCONSISTENT,
        ArmKind::Negative if experiment.effect.is_none() => 1,
        ArmKind::Negative => effect::MAX_NEGATIVE_TRIALS,
        ArmKind::Treatment
        | ArmKind::Insist
        | ArmKind::Canned
        | ArmKind::Positive
        | ArmKind::Narrow
        | ArmKind::Wide
        | ArmKind::NarrowWide => effect::MAX_TRIALS,
    }
}
