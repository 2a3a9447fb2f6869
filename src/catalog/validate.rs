//! What can be wrong with an experiment that its types cannot forbid.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalog::arm::{Arm, ArmMethod, EchoBack, FollowUp, ScreenArms, Turn};
use crate::catalog::experiment::{AcceptedMeans, ChanceRate, Experiment};
use crate::catalog::field_location::FieldSpec;
use crate::catalog::message_predicate::{CallTest, MessagePredicate, TextTest};
use crate::catalog::response_predicate::{ArmComparison, ResponsePredicate};
use crate::catalog::status::VerdictStatus;
use crate::catalog::template::{TemplateSegment, VARIABLES, find_unknown_variable, parse_template};

/// Something wrong with an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValidationError {
    /// What, in words.
    pub message: String,
    /// The text of the file that it is about, where there is one.
    pub quote: Option<String>,
}

impl From<String> for ValidationError {
    fn from(what: String) -> Self {
        Self { message: what, quote: None }
    }
}

/// Everything wrong with one experiment.
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
    say(!id_ok, "an id is made of dotted parts of letters, digits, `-` and `_`");
    say(e.treatment.is_some() && !e.variants.is_empty(), "`treatment` and `variants` exclude each other");
    let has_treatment = e.treatment.is_some() || !e.variants.is_empty();
    say(
        e.sampling.is_some() && (has_treatment || e.effect.is_some() || !e.challenge.is_empty()),
        "`spread` decides alone: no `treatment`, `variants`, `effect` or `challenge` beside it",
    );
    let by_answer = e.reply.is_some() || e.compare.is_some();
    say(
        by_answer && (e.sampling.is_some() || e.effect.is_some() || !e.challenge.is_empty() || e.genuine.is_some()),
        "`reply` and `compare` decide alone: no `spread`, `effect`, `challenge` or `genuine` beside them",
    );
    say(e.reply.is_some() && e.compare.is_some(), "`reply` and `compare` exclude each other");
    say(
        by_answer && !has_treatment,
        "`reply` and `compare` need a `treatment` or `variants` whose answer they look at",
    );
    say(!e.alternatives.is_empty() && e.reply.is_none(), "`otherwise` needs a `reply`");
    say(
        e.compare.is_some() && !e.variants.is_empty(),
        "`compare` holds one `treatment` against the negative arm: no `variants`",
    );
    say(
        matches!(&e.compare, Some(ArmComparison::Agree(aspects)) if aspects.is_empty()),
        "`agree` lists what must agree",
    );
    let tests = || e.reply.iter().chain(e.alternatives.iter().map(|o| &o.when));
    say(tests().any(|t| t.status.is_empty()), "a test of an answer lists the `status` that it may have");
    say(
        tests().any(|t| t.status.iter().any(|status| !(100..600).contains(status))),
        "a `status` of HTTP lies between 100 and 599",
    );
    say(
        tests().any(|t| t.json.keys().any(|pointer| !pointer.is_empty() && !pointer.starts_with('/'))),
        "the keys of `json` are JSON pointers, which begin with a slash: `/data/0/id`",
    );
    say(e.depends_on.iter().any(|other| other == e.id()), "a row cannot work `through` itself");
    let is_stream = |a: &Arm| a.body.get("stream") == Some(&Value::Bool(true));
    say(
        e.compare == Some(ArmComparison::Gradual) && !e.treatment.iter().chain([&e.base]).any(is_stream),
        "`gradual` looks at a stream: the base or the treatment asks for one with `stream: true`",
    );
    say(
        e.alternatives.iter().any(|o| o.verdict == VerdictStatus::Skipped),
        "the `verdict` of an `otherwise` is supported, ignored, rejected, substituted or inconclusive",
    );
    say(
        !by_answer && e.sampling.is_none() && e.effect.is_none() && e.challenge.is_empty(),
        "nothing can decide it: write an `effect`, a `challenge`, a `spread`, a `reply` or a `compare`",
    );
    say(e.failures.contains(&0), "the entries of the failure catalogue are counted from 1");
    say(
        e.faults.values().any(|v| !v.is_decided() || !e.statuses.contains(v)),
        "the verdicts of `faults` are among the row's `statuses`",
    );
    say(e.effect.is_some() && !has_treatment, "an `effect` needs a `treatment` or `variants` to show in");
    say(e.effect.is_none() && e.contrary.is_some(), "a `contrary` needs an `effect`");
    say(e.effect.is_none() && !e.partial.is_empty(), "a `partial` effect needs an `effect`");
    say(
        e.effect.is_none() && e.meter.is_some(),
        "a `meter` needs an `effect`: it stands in where the model does not show it",
    );
    say(
        e.meter.is_some() && e.positive.is_none() && e.variants.values().all(|v| v.positive.is_none()),
        "a `meter` needs a `positive` arm, which shows that the meter moves at all",
    );
    say(e.genuine.is_some() && e.treatment.is_none(), "`genuine` needs a `treatment` that may be refused");
    say(
        !has_treatment && e.sampling.is_none() && !by_answer && e.challenge.iter().any(|c| c.because.is_empty()),
        "without a `treatment`, each `challenge` must say `because` of which words a refusal counts",
    );
    say(matches!(e.by_chance, ChanceRate::OneIn(n) if n < 2), "`one_in` is 2 or more");
    say(
        e.screen.is_some() && (e.sampling.is_some() || !(e.positive.is_none() && e.contrary.is_none())),
        "a `screen` serves rows without `spread`, `positive` and `contrary`",
    );
    say(e.repeat == 0 || e.repeat > 4, "`repeat` is 1 to 4");
    say(e.statuses.is_empty(), "`statuses` is empty: the row could reach no verdict");
    say(
        e.statuses.iter().any(|s| !s.is_decided()),
        "`statuses` lists decided verdicts: supported, ignored, rejected, substituted",
    );
    say(
        e.accepted_means == AcceptedMeans::Substituted && !e.statuses.contains(&VerdictStatus::Substituted),
        "`accepted_means: substituted` needs `substituted` among its `statuses`",
    );
    if let Some(what) = e.field.as_ref().and_then(FieldSpec::validation_message) {
        problems.push(what.to_owned().into());
    }
    let base_words = e.ask.is_some() || e.turns.is_some() || has_prompt(&e.base);
    for (name, arm) in collect_arms(e) {
        let words_below = base_words || matches!(name, "insist" | "narrow" | "widen");
        validate_arm(name, arm, words_below, &mut problems);
    }
    visit_texts(e, &mut |text| problems.extend(validate_variables(text)));
    problems.dedup();
    problems
}

/// Everything wrong with arms that rows share.
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

fn validate_arm(name: &str, arm: &Arm, words_below: bool, problems: &mut Vec<ValidationError>) {
    if !(words_below || has_prompt(arm)) {
        problems.push(format!("the {name} arm asks nothing: write an `ask` or `turns`, there or for the row").into());
    }
    if arm.ask.is_some() && arm.turns.is_some() {
        problems.push(format!("the {name} arm has both `ask` and `turns`").into());
    }
    if arm.raw.is_some() && (!arm.body.is_empty() || !arm.drop.is_empty()) {
        problems.push(format!("the {name} arm has a `raw` body, which no keys can be laid over").into());
    }
    if arm.path.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains(char::is_whitespace)) {
        problems.push(format!("the `path` of the {name} arm begins with a slash, and has no blanks").into());
    }
    let has_body = matches!(arm.method, None | Some(ArmMethod::Post));
    if (!arm.then.is_empty() && (arm.raw.is_some() || !has_body)) || (arm.raw.is_some() && !has_body) {
        problems.push(format!("the {name} arm has a `then` or a `raw` body that its request cannot carry").into());
    }
    for then in &arm.then {
        if then.results.is_none() && then.user.is_none() {
            problems.push(format!("a `then` of the {name} arm says nothing: write `results`, `user` or both").into());
        }
        if then.user.as_ref().is_some_and(|content| !(content.is_string() || content.is_array())) {
            problems.push(
                format!("what the user says in a `then` of the {name} arm is neither a text nor a list of blocks")
                    .into(),
            );
        }
    }
    for turn in arm.turns.iter().flatten() {
        let (Turn::User(content) | Turn::Assistant(content) | Turn::System(content)) = turn;
        if !(content.is_string() || content.is_array()) {
            problems.push(format!("a turn of the {name} arm is neither a text nor a list of blocks").into());
        }
    }
}

fn validate_variables(text: &str) -> Option<ValidationError> {
    find_unknown_variable(text).map(|name| {
        let known: Vec<&str> = VARIABLES.iter().map(|v| v.name).collect();
        let what = format!("there is no variable `{{{{{name}}}}}`; there are: {}", known.join(", "));
        ValidationError { message: what, quote: Some(format!("{{{{{name}}}}}")) }
    })
}

/// Every arm of an experiment that is sent, with the name used in messages.
fn collect_arms(e: &Experiment) -> Vec<(&str, &Arm)> {
    let mut arms: Vec<(&str, &Arm)> = vec![("negative", &e.negative)];
    arms.extend(e.treatment.iter().map(|a| ("treatment", a)));
    arms.extend(e.insist.iter().map(|a| ("insist", a)));
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

/// The names of all variables that an experiment uses, and arms that are laid over it.
pub fn collect_variables(experiment: &Experiment, layers: &[&Arm]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut note = |text: &str| {
        names.extend(parse_template(text).into_iter().filter_map(|piece| match piece {
            TemplateSegment::Variable(name) => Some(name.to_owned()),
            TemplateSegment::Text(_) => None,
        }));
    };
    visit_texts(experiment, &mut note);
    layers.iter().for_each(|layer| visit_arm(layer, &mut note));
    names
}

/// Hands every text of an experiment that may hold variables to `visit`.
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
    e.partial.iter().for_each(|p| visit_predicate(&p.when, visit));
    e.genuine.iter().flat_map(|g| [&g.when, &g.carries]).for_each(|p| visit_predicate(p, visit));
    e.reply.iter().chain(e.alternatives.iter().map(|o| &o.when)).for_each(|t| visit_response_predicate(t, visit));
}

fn visit_response_predicate(test: &ResponsePredicate, visit: &mut dyn FnMut(&str)) {
    // Destructured without `..`, so that a new test cannot be forgotten here.
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
    // Destructured without `..`, so that a new test cannot be forgotten here.
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
