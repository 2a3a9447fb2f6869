//! [`ResponseReading`]: what a row reads in the responses that decide it.

use std::collections::BTreeSet;

use crate::catalog::{ArmComparison, Experiment, MessagePredicate, ResponseAspect, collect_predicate_variables};
use crate::engine::request::arms;
use crate::recording::run::ArmKind;

/// The parts of responses that a row reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ResponseReading {
    /// That a tool is called.
    pub call: bool,
    /// The name of the called tool.
    pub call_name: bool,
    /// The input of the call.
    pub call_input: bool,
    /// Thinking blocks.
    pub thinking: bool,
    /// Counters of cached tokens.
    pub cached_tokens: bool,
}

impl ResponseReading {
    /// What a row reads. `variant` is the variant of the row.
    pub fn new(experiment: &Experiment, variant: Option<&str>) -> Self {
        let mut reading = Self::default();
        let messages = experiment.reply.iter().filter_map(|reply| reply.message.as_ref());
        for predicate in messages.chain(&experiment.effect).chain(&experiment.contrary).chain(&experiment.trace) {
            reading = reading.or(Self::from_predicate(predicate));
        }
        if let Some(ArmComparison::Agree(aspects)) = &experiment.compare {
            let reads_calls = aspects.contains(&ResponseAspect::Calls);
            reading = reading.or(Self {
                call: reads_calls,
                call_name: reads_calls,
                call_input: reads_calls,
                thinking: aspects.contains(&ResponseAspect::Thinking),
                ..Self::default()
            });
        }
        for follow_up in arms::follow_ups(&arms::layers(experiment, variant, ArmKind::Treatment)) {
            let when = follow_up.when.as_ref().map(Self::from_predicate).unwrap_or_default();
            reading = reading.or(when).or(Self { call: follow_up.results.is_some(), ..Self::default() });
        }
        reading
    }

    fn from_predicate(predicate: &MessagePredicate) -> Self {
        let calls = || predicate.call.iter().chain(&predicate.calls);
        let reads_block = |kind: &str| predicate.blocks.contains_key(kind);
        let own = Self {
            call: calls().next().is_some() || reads_block("tool_use"),
            call_name: calls().any(|call| call.name.is_some()),
            call_input: calls().any(|call| !call.input.is_empty() || call.no_input),
            thinking: predicate.thinking.is_some() || reads_block("thinking"),
            cached_tokens: predicate.usage.keys().any(|counter| counter.contains("cache")),
        };
        // An alternative proves only what all alternatives read.
        let alternatives = predicate.any.iter().map(Self::from_predicate).reduce(Self::and).unwrap_or_default();
        let negated = predicate.not.as_deref().map(Self::from_predicate).unwrap_or_default();
        own.or(alternatives).or(negated)
    }

    fn or(self, other: Self) -> Self {
        Self {
            call: self.call || other.call,
            call_name: self.call_name || other.call_name,
            call_input: self.call_input || other.call_input,
            thinking: self.thinking || other.thinking,
            cached_tokens: self.cached_tokens || other.cached_tokens,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            call: self.call && other.call,
            call_name: self.call_name && other.call_name,
            call_input: self.call_input && other.call_input,
            thinking: self.thinking && other.thinking,
            cached_tokens: self.cached_tokens && other.cached_tokens,
        }
    }

    /// True if the reading needs the field of this row.
    pub fn needs(self, row: &str) -> bool {
        match row {
            "tools" | "tool_choice.any" | "tool_choice.tool" => self.call,
            "tool_choice.object_form" => self.call,
            "tools.name" => self.call_name,
            "tools.input_schema" => self.call_input,
            "field.thinking" => self.thinking,
            // The form of the response.
            "field.stream" | "count_tokens" => true,
            row => self.cached_tokens && row.ends_with(".cache_control"),
        }
    }
}

/// The names of the random values that a response must contain to show the effect of a row.
pub(super) fn effect_values(experiment: &Experiment) -> BTreeSet<String> {
    let predicates = experiment.effect.iter().chain(&experiment.contrary);
    let replies = experiment.reply.iter().filter_map(|reply| reply.message.as_ref());
    predicates.chain(replies).flat_map(collect_predicate_variables).collect()
}
