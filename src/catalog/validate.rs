//! Validates experiments: problems that the types cannot rule out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalog::arm::{Arm, ArmMethod, EchoBack, FollowUp, ScreenArms, Turn};
use crate::catalog::experiment::{AcceptedMeans, ChallengeRule, ChanceRate, Experiment};
use crate::catalog::field_location::FieldSpec;
use crate::catalog::message_predicate::{CallTest, MessagePredicate, TextTest};
use crate::catalog::response_predicate::{ArmComparison, ResponsePredicate};
use crate::catalog::status::VerdictStatus;
use crate::catalog::template::{VARIABLES, is_variable, variable_names};

/// A problem in an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValidationError {
    /// The problem.
    pub message: String,
    /// The text in the file that causes it, if there is one.
    pub quote: Option<String>,
}

impl From<String> for ValidationError {
    fn from(message: String) -> Self {
        Self { message, quote: None }
    }
}

/// All problems in one experiment.
pub(super) fn validate_experiment(experiment: &Experiment) -> Vec<ValidationError> {
    let mut problems: Vec<ValidationError> = Vec::new();
    let e = experiment;
    let mut say = |wrong: bool, what: &str| {
        if wrong {
            problems.push(what.to_owned().into());
        }
    };
    let id_ok = !e.id().is_empty()
        && e.id()
            .split('.')
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
    say(!id_ok, "an id must consist of letters, digits, `-` and `_` in parts separated by dots");
    say(e.treatment.is_some() && !e.variants.is_empty(), "`treatment` and `variants` cannot be combined");
    let has_treatment = e.treatment.is_some() || !e.variants.is_empty();
    say(
        e.sampling.is_some() && (has_treatment || e.effect.is_some() || !e.challenge.is_empty()),
        "`sampling` cannot be combined with `treatment`, `variants`, `effect` or `challenge`",
    );
    let by_answer = e.reply.is_some() || e.compare.is_some();
    say(
        by_answer && (e.sampling.is_some() || e.effect.is_some() || !e.challenge.is_empty() || e.genuine.is_some()),
        "`reply` and `compare` cannot be combined with `sampling`, `effect`, `challenge` or `genuine`",
    );
    say(e.reply.is_some() && e.compare.is_some(), "`reply` and `compare` cannot be combined");
    say(by_answer && !has_treatment, "`reply` and `compare` need a `treatment` or `variants`");
    say(!e.alternatives.is_empty() && e.reply.is_none(), "`alternatives` needs a `reply`");
    say(
        e.compare.is_some() && !e.variants.is_empty(),
        "`compare` needs one `treatment` and cannot be combined with `variants`",
    );
    say(
        matches!(&e.compare, Some(ArmComparison::Agree(aspects)) if aspects.is_empty()),
        "`agree` is empty. List the aspects that must agree",
    );
    let tests = || e.reply.iter().chain(e.alternatives.iter().map(|o| &o.when));
    say(tests().any(|t| t.status.is_empty()), "`status` is empty. List the allowed statuses");
    say(
        tests().any(|t| t.status.iter().any(|status| !(100..600).contains(status))),
        "a `status` must be between 100 and 599",
    );
    say(
        tests().any(|t| t.json.keys().any(|pointer| !pointer.is_empty() && !pointer.starts_with('/'))),
        "the keys of `json` must be JSON pointers, which start with a slash: `/data/0/id`",
    );
    say(e.depends_on.iter().any(|other| other == e.id()), "a row cannot depend on itself (`depends_on`)");
    let is_stream = |a: &Arm| a.body.get("stream") == Some(&Value::Bool(true));
    say(
        e.compare == Some(ArmComparison::Gradual) && !e.treatment.iter().chain([&e.base]).any(is_stream),
        "`gradual` needs a stream. Add `stream: true` to the base or the treatment",
    );
    say(
        e.alternatives.iter().any(|o| o.verdict == VerdictStatus::Skipped),
        "the `verdict` of `alternatives` must be supported, ignored, rejected, substituted or inconclusive",
    );
    say(
        !by_answer && e.sampling.is_none() && e.effect.is_none() && e.challenge.is_empty() && !e.only_acceptance,
        "the row has no test. Add `effect`, `challenge`, `sampling`, `reply`, `compare` or `only_acceptance`",
    );
    say(
        e.only_acceptance && (by_answer || e.sampling.is_some() || e.effect.is_some() || !e.challenge.is_empty()),
        "`only_acceptance` cannot be combined with `effect`, `challenge`, `sampling`, `reply` or `compare`",
    );
    say(e.only_acceptance && !has_treatment, "`only_acceptance` needs a `treatment` or `variants`");
    say(e.enforces && e.challenge.is_empty(), "`enforces` needs a `challenge`");
    say(
        e.enforces && e.challenge.len() > 1 && e.challenges == ChallengeRule::Any,
        "`enforces` with several invalid values needs `challenges: all`, because each is a part of the limit",
    );
    say(e.contrast.is_some() && e.reply.is_none(), "`contrast` needs a `reply`");
    say(e.failures.contains(&0), "`failures` must not contain 0; the failure catalogue starts at 1");
    say(
        e.faults.values().any(|v| !v.is_decided() || !e.can_reach(*v)),
        "the verdicts of `faults` must be in the `statuses` of the row",
    );
    say(e.effect.is_some() && !has_treatment, "`effect` needs a `treatment` or `variants`");
    say(e.effect.is_none() && e.contrary.is_some(), "`contrary` needs an `effect`");
    say(
        e.canned.is_some() && (e.effect.is_none() || e.treatment.is_none()),
        "`canned` needs an `effect` and a `treatment`",
    );
    say(e.effect.is_none() && !e.partial.is_empty(), "`partial` needs an `effect`");
    say(e.effect.is_none() && e.meter.is_some(), "`meter` needs an `effect`");
    say(
        e.meter.is_some() && e.positive.is_none() && e.variants.values().all(|v| v.positive.is_none()),
        "`meter` needs a `positive` arm, which shows that the meter works",
    );
    say(e.genuine.is_some() && e.treatment.is_none(), "`genuine` needs a `treatment`");
    say(
        !has_treatment && e.sampling.is_none() && !by_answer && e.challenge.iter().any(|c| c.because.is_empty()),
        "without a `treatment`, each `challenge` needs `because`: the phrases of an error that count",
    );
    say(matches!(e.by_chance, ChanceRate::OneIn(n) if n < 2), "`one_in` must be 2 or more");
    say(
        e.screen.is_some() && (e.sampling.is_some() || !(e.positive.is_none() && e.contrary.is_none())),
        "`screen` cannot be combined with `sampling`, `positive` or `contrary`",
    );
    say(e.repeat == 0 || e.repeat > 4, "`repeat` must be from 1 to 4");
    say(e.statuses.is_empty(), "`statuses` is empty. List the verdicts that the row can reach");
    say(
        e.statuses.iter().any(|s| !s.is_decided()),
        "`statuses` may contain only decided verdicts: supported, validated, accepted, ignored, rejected, substituted",
    );
    say(
        e.accepted_means == AcceptedMeans::Substituted && !e.statuses.contains(&VerdictStatus::Substituted),
        "`accepted_means: substituted` needs `substituted` in `statuses`",
    );
    if let Some(what) = e.field.as_ref().and_then(FieldSpec::validation_message) {
        problems.push(what.to_owned().into());
    }
    let has_base_prompt = e.ask.is_some() || e.turns.is_some() || has_prompt(&e.base);
    for (name, arm) in collect_arms(e) {
        let has_inherited_prompt = has_base_prompt || matches!(name, "insist" | "narrow" | "widen");
        validate_arm(name, arm, has_inherited_prompt, &mut problems);
    }
    visit_texts(e, &mut |text| problems.extend(validate_variables(text)));
    problems.dedup();
    problems
}

/// All problems in the arms of a screen.
pub(super) fn validate_screen(screen: &ScreenArms) -> Vec<ValidationError> {
    let mut problems = Vec::new();
    if screen.treatment.is_none() && screen.challenge.is_none() {
        problems.push("a screen needs a `treatment` or a `challenge`".to_owned().into());
    }
    for a in screen.treatment.iter().chain(&screen.challenge) {
        validate_arm("screen", a, false, &mut problems);
        visit_arm(a, &mut |text| problems.extend(validate_variables(text)));
    }
    problems.dedup();
    problems
}

fn has_prompt(arm: &Arm) -> bool {
    let has_body = !matches!(arm.method, Some(ArmMethod::Get | ArmMethod::Head)) && arm.raw.is_none();
    !has_body || arm.ask.is_some() || arm.turns.is_some() || arm.body.contains_key("messages")
}

fn validate_arm(name: &str, arm: &Arm, has_inherited_prompt: bool, problems: &mut Vec<ValidationError>) {
    if !(has_inherited_prompt || has_prompt(arm)) {
        problems.push(format!("the {name} arm has no message. Add `ask` or `turns`, here or to the row").into());
    }
    if arm.ask.is_some() && arm.turns.is_some() {
        problems.push(format!("the {name} arm has both `ask` and `turns`. Remove one").into());
    }
    if arm.raw.is_some() && (!arm.body.is_empty() || !arm.drop.is_empty()) {
        problems
            .push(format!("the {name} arm has a `raw` body, which cannot be combined with `body` or `drop`").into());
    }
    if arm.path.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains(char::is_whitespace)) {
        problems.push(format!("the `path` of the {name} arm must start with a slash and contain no spaces").into());
    }
    let has_body = matches!(arm.method, None | Some(ArmMethod::Post));
    if (!arm.then.is_empty() && (arm.raw.is_some() || !has_body)) || (arm.raw.is_some() && !has_body) {
        problems.push(format!("the {name} arm cannot have `then` or `raw` with this method or body").into());
    }
    for then in &arm.then {
        if then.results.is_none() && then.user.is_none() {
            problems.push(format!("a `then` of the {name} arm has no content. Add `results`, `user` or both").into());
        }
        if then.user.as_ref().is_some_and(|content| !(content.is_string() || content.is_array())) {
            problems.push(format!("`user` in a `then` of the {name} arm must be a text or a list of blocks").into());
        }
    }
    for turn in arm.turns.iter().flatten() {
        let (Turn::User(content) | Turn::Assistant(content) | Turn::System(content)) = turn;
        if !(content.is_string() || content.is_array()) {
            problems.push(format!("a turn of the {name} arm must be a text or a list of blocks").into());
        }
    }
}

fn validate_variables(text: &str) -> Option<ValidationError> {
    variable_names(text).find(|name| !is_variable(name)).map(|name| {
        let known: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
        let what = format!("unknown variable `{{{{{name}}}}}`. Known variables: {}", known.join(", "));
        ValidationError { message: what, quote: Some(format!("{{{{{name}}}}}")) }
    })
}

/// All arms of an experiment, with their names in messages.
fn collect_arms(e: &Experiment) -> Vec<(&str, &Arm)> {
    let mut arms: Vec<(&str, &Arm)> = vec![("negative", &e.negative)];
    arms.extend(e.treatment.iter().map(|a| ("treatment", a)));
    arms.extend(e.insist.iter().map(|a| ("insist", a)));
    arms.extend(e.canned.iter().map(|canned| ("canned", &canned.arm)));
    arms.extend(e.positive.iter().map(|a| ("positive", a)));
    arms.extend(e.challenge.iter().map(|a| ("challenge", a)));
    for variant in e.variants.values() {
        arms.push(("treatment", &variant.treatment));
        arms.extend(variant.negative.iter().map(|a| ("negative", a)));
        arms.extend(variant.positive.iter().map(|a| ("positive", a)));
    }
    if let Some(genuine) = &e.genuine {
        arms.extend([("genuine.first", &genuine.first), ("genuine.then", &genuine.then)]);
    }
    if let Some(screen) = &e.screen_arms {
        arms.extend(screen.treatment.iter().chain(&screen.challenge).map(|a| ("screen", a)));
    }
    if let Some(spread) = &e.sampling {
        arms.push(("narrow", &spread.narrow));
        arms.extend(spread.widen.iter().map(|a| ("widen", a)));
    }
    arms
}

/// The names of all variables in an experiment and in arms that are merged into it.
pub fn collect_variables(experiment: &Experiment, layers: &[&Arm]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut note = |text: &str| names.extend(variable_names(text).map(str::to_owned));
    visit_texts(experiment, &mut note);
    layers.iter().for_each(|layer| visit_arm(layer, &mut note));
    names
}

/// The names of the variables in a predicate.
pub fn collect_predicate_variables(predicate: &MessagePredicate) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    visit_predicate(predicate, &mut |text| names.extend(variable_names(text).map(str::to_owned)));
    names
}

/// Calls `visit` with every text of an experiment that may contain variables.
fn visit_texts(e: &Experiment, visit: &mut dyn FnMut(&str)) {
    e.ask.iter().for_each(|t| visit(t));
    visit_turns(e.turns.as_deref().unwrap_or_default(), visit);
    visit_arm(&e.base, visit);
    for (_, a) in collect_arms(e) {
        visit_arm(a, visit);
    }
    let asked = e.sampling.as_ref().and_then(|s| s.answers.as_ref());
    for p in [&e.effect, &e.contrary, &e.trace].into_iter().flatten().chain(asked) {
        visit_predicate(p, visit);
    }
    if let Some(ArmComparison::Repeats(text)) = &e.compare {
        visit(text);
    }
    e.partial.iter().for_each(|p| visit_predicate(&p.when, visit));
    e.canned.iter().flat_map(|c| [&c.effect, &c.contrary]).for_each(|p| visit_predicate(p, visit));
    e.genuine.iter().flat_map(|g| [&g.when, &g.carries]).for_each(|p| visit_predicate(p, visit));
    e.reply.iter().chain(e.alternatives.iter().map(|o| &o.when)).for_each(|t| visit_response_predicate(t, visit));
}

fn visit_response_predicate(test: &ResponsePredicate, visit: &mut dyn FnMut(&str)) {
    // Destructured without `..`, so that the compiler reports a new field.
    let ResponsePredicate { status: _, error: _, says: _, json, has: _, message } = test;
    json.values().filter_map(|t| t.equals.as_ref()).for_each(|v| visit_value(v, visit));
    message.iter().for_each(|p| visit_predicate(p, visit));
}

fn visit_arm(arm: &Arm, visit: &mut dyn FnMut(&str)) {
    arm.ask.iter().for_each(|t| visit(t));
    visit_turns(arm.turns.as_deref().unwrap_or_default(), visit);
    arm.headers.values().flatten().for_each(|t| visit(t));
    visit_value(&Value::Object(arm.body.clone()), visit);
    arm.path.iter().chain(&arm.raw).for_each(|t| visit(t));
    for FollowUp {
        when,
        hand_back: EchoBack::Whole | EchoBack::WithoutThinking | EchoBack::AlteredSignature,
        results,
        user,
        body,
    } in &arm.then
    {
        when.iter().for_each(|p| visit_predicate(p, visit));
        results.iter().for_each(|t| visit(t));
        user.iter().for_each(|v| visit_value(v, visit));
        visit_value(&Value::Object(body.clone()), visit);
    }
}

fn visit_turns(turns: &[Turn], visit: &mut dyn FnMut(&str)) {
    for turn in turns {
        let (Turn::User(content) | Turn::Assistant(content) | Turn::System(content)) = turn;
        visit_value(content, visit);
    }
}

fn visit_value(v: &Value, visit: &mut dyn FnMut(&str)) {
    match v {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|i| visit_value(i, visit)),
        Value::Object(map) => map.iter().for_each(|(k, i)| {
            visit(k);
            visit_value(i, visit);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn visit_predicate(p: &MessagePredicate, visit: &mut dyn FnMut(&str)) {
    // Destructured without `..`, so that the compiler reports a new field.
    let MessagePredicate {
        text,
        thinking,
        stop_reason,
        stop_sequence,
        blocks: _,
        call,
        calls,
        usage: _,
        streamed: _,
        any,
        not,
    } = p;
    for TextTest { contains, lacks, words: _, digits: _ } in text.iter().chain(thinking) {
        contains.iter().chain(lacks).for_each(|t| visit(t));
    }
    stop_reason.iter().chain(stop_sequence).for_each(|t| visit(t));
    for CallTest { name, input, no_input: _ } in call.iter().chain(calls) {
        name.iter().for_each(|t| visit(t));
        input.iter().for_each(|(k, v)| {
            visit(k);
            visit(v);
        });
    }
    any.iter().for_each(|p| visit_predicate(p, visit));
    not.iter().for_each(|p| visit_predicate(p, visit));
}
