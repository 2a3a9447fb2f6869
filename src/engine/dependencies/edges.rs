//! [`find_edges`]: the rows that can be the cause of a verdict, and the role of each.
//!
//! The requests that were sent decide, because only they contain what the endpoint itself
//! contributed. Arms that were not sent are built from the case files.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::catalog::{Experiment, VerdictStatus, collect_variables};
use crate::engine::dependencies::RowTrials;
use crate::engine::dependencies::reading::{ResponseReading, effect_values};
use crate::engine::request::arms;
use crate::engine::request::build::{BuildContext, build_request};
use crate::engine::request::follow_up::next_request;
use crate::engine::request::sent::{PlacedField, SentRequest};
use crate::engine::trial::CompletedTrial;
use crate::recording::request_settings::{RequestSettings, TextForm};
use crate::recording::run::ArmKind;
use crate::results::model::{DependencyRole, EvidenceKind, Verdict};
use crate::variables::TrialValues;
use crate::wire::message::{InterpretedExchange, Message};

/// A row that can be the cause of another row's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct DependencyEdge {
    /// The row.
    pub row: Cow<'static, str>,
    /// How the other row uses its field.
    pub role: DependencyRole,
}

/// What the requests of case files depend on in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestTemplates<'a> {
    /// The settings of the run.
    pub settings: &'a RequestSettings,
    /// The form of texts that the endpoint reads.
    pub text_form: TextForm,
}

/// The arms on which a verdict rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EvidenceSource {
    /// The request with the field.
    Treatment,
    /// The request with an invalid value.
    Challenge,
}

impl EvidenceSource {
    fn new(row: &RowTrials<'_>, verdict: &Verdict) -> Self {
        let is_rejected = |trial: &CompletedTrial| {
            is_treatment(trial.arm) && trial.responses.iter().any(|r| matches!(r, InterpretedExchange::HttpError(_)))
        };
        match (verdict.evidence, verdict.status) {
            (Some(EvidenceKind::Validated), _) if row.experiment.genuine.is_none() => Self::Challenge,
            (Some(EvidenceKind::Refusal), VerdictStatus::Rejected) if !row.trials.iter().any(is_rejected) => {
                Self::Challenge
            }
            _ => Self::Treatment,
        }
    }

    fn contains(self, arm: ArmKind) -> bool {
        match self {
            Self::Treatment => is_treatment(arm) || arm == ArmKind::Genuine,
            Self::Challenge => matches!(arm, ArmKind::Challenge(_)),
        }
    }
}

fn is_treatment(arm: ArmKind) -> bool {
    // What the insisting request adds is no condition: the row can be decided without it.
    matches!(arm, ArmKind::Treatment | ArmKind::Narrow | ArmKind::NarrowWide)
}

impl RequestTemplates<'_> {
    /// The requests of an arm, with invented responses where the endpoint contributes to a request.
    fn build_arm(&self, experiment: &Experiment, variant: Option<&str>, arm: ArmKind) -> Vec<SentRequest> {
        let chains = match arm {
            ArmKind::Genuine => arms::own_block_layers(experiment).into_iter().flatten().collect(),
            arm => vec![arms::layers(experiment, variant, arm)],
        };
        let mut requests = Vec::new();
        for layers in chains.iter().filter(|layers| !layers.is_empty()) {
            let values = TrialValues::new(0, arm.to_string());
            let names = collect_variables(experiment, layers);
            let short_values = values.short_values(&names);
            // The text that overflows the context window is not needed.
            let settings = RequestSettings { context_tokens: Some(0), ..self.settings.clone() };
            let invented = json!([{ "type": "thinking", "thinking": "", "signature": "" }]);
            let context = BuildContext {
                settings: &settings,
                text_form: self.text_form,
                values: &values,
                first_content: Some(&invented),
                step: 1,
            };
            let mut request = build_request(experiment, layers, context).request;
            requests.push(SentRequest::new(&request, experiment, &short_values));
            for follow_up in arms::follow_ups(layers) {
                let needs_thinking = follow_up.when.as_ref().is_some_and(|when| when.blocks.contains_key("thinking"));
                let response = invent_response(needs_thinking, follow_up.results.is_some());
                request = next_request(&request, &response, follow_up, context);
                requests.push(SentRequest::new(&request, experiment, &short_values));
            }
        }
        requests
    }

    /// The rows whose fields are in the simplest request. The first requests of the run show that
    /// they work.
    fn is_in_simplest_request(&self, row: &str) -> bool {
        match row {
            "field.model" | "field.max_tokens" | "header.anthropic-version" => true,
            "content.string" => self.text_form == TextForm::String,
            "content.text.text" => self.text_form == TextForm::Blocks,
            row => row.strip_prefix("header.").is_some_and(|name| self.settings.headers.contains_key(name)),
        }
    }

    /// The fields of the requests with which a verdict is compared.
    fn control_rows(&self, experiment: &Experiment, variant: Option<&str>, source: EvidenceSource) -> BTreeSet<String> {
        let variants: Vec<Option<&str>> = match (variant, experiment.variants.is_empty()) {
            (None, false) => experiment.variants.keys().map(|name| Some(name.as_str())).collect(),
            (variant, _) => vec![variant],
        };
        let has_treatment = experiment.treatment.is_some() || !experiment.variants.is_empty();
        let arms: &[ArmKind] = match source {
            EvidenceSource::Challenge if has_treatment => &[ArmKind::Treatment],
            EvidenceSource::Treatment | EvidenceSource::Challenge => &[ArmKind::Negative, ArmKind::Wide],
        };
        let requests = variants.iter().flat_map(|variant| arms.iter().map(move |arm| (*variant, *arm)));
        let requests = requests.flat_map(|(variant, arm)| self.build_arm(experiment, variant, arm));
        requests.flat_map(|request| request.places).map(|field| field.place.row.into_owned()).collect()
    }
}

/// A response that contains what the next request of a trial sends back.
fn invent_response(has_thinking: bool, has_call: bool) -> Message {
    let thinking = json!({ "type": "thinking", "thinking": "", "signature": "" });
    let call = json!({ "type": "tool_use", "id": "", "name": "", "input": {} });
    let text = json!({ "type": "text", "text": "" });
    let blocks = [has_thinking.then_some(thinking), Some(text), has_call.then_some(call)];
    Message { content: blocks.into_iter().flatten().collect::<Vec<Value>>(), ..Message::default() }
}

/// The rows that can be the cause of a verdict.
pub(super) fn find_edges(
    row: &RowTrials<'_>,
    variant: Option<&str>,
    verdict: &Verdict,
    templates: &RequestTemplates<'_>,
) -> Vec<DependencyEdge> {
    let source = EvidenceSource::new(row, verdict);
    // The verdict that a made-up block is ignored does not need a block of the endpoint.
    let needs_own_block = verdict.status == VerdictStatus::Rejected;
    let is_wanted = |trial: &&CompletedTrial| {
        source.contains(trial.arm)
            && (trial.arm != ArmKind::Genuine || needs_own_block)
            && (variant.is_none() || trial.variant.is_none() || trial.variant.as_deref() == variant)
    };
    let fields: Vec<&PlacedField> =
        row.trials.iter().filter(is_wanted).flat_map(|trial| &trial.sent).flat_map(|sent| &sent.places).collect();
    let control = templates.control_rows(row.experiment, variant, source);
    let mut edges = classify_fields(row.experiment, variant, &fields, &control, templates);
    if needs_own_block && row.experiment.genuine.is_some() {
        let own_block = DependencyEdge { row: "field.thinking".into(), role: DependencyRole::Reads };
        let thinks = |field: &&PlacedField| field.place.row == "field.thinking";
        if fields.iter().any(thinks) {
            edges.retain(|edge| edge.row != "field.thinking");
            edges.push(own_block);
        }
    }
    edges
}

/// The rows on which a row can depend by its case file, each with its closest role. Fields that the
/// request and its control share are left out.
pub(super) fn find_possible_edges(
    experiment: &Experiment,
    templates: &RequestTemplates<'_>,
) -> BTreeMap<String, DependencyRole> {
    let mut roles: BTreeMap<String, DependencyRole> = BTreeMap::new();
    let variants: Vec<Option<&str>> =
        experiment.variants.keys().map(|name| Some(name.as_str())).chain([None]).collect();
    for variant in variants {
        let treatments = [ArmKind::Treatment, ArmKind::Narrow, ArmKind::NarrowWide, ArmKind::Genuine];
        let challenges: Vec<ArmKind> = (0..experiment.challenge.len()).map(|n| ArmKind::Challenge(n as u8)).collect();
        for (source, kinds) in
            [(EvidenceSource::Treatment, &treatments[..]), (EvidenceSource::Challenge, &challenges[..])]
        {
            let requests: Vec<SentRequest> =
                kinds.iter().flat_map(|arm| templates.build_arm(experiment, variant, *arm)).collect();
            let fields: Vec<&PlacedField> = requests.iter().flat_map(|request| &request.places).collect();
            let control = templates.control_rows(experiment, variant, source);
            let edges = classify_fields(experiment, variant, &fields, &control, templates);
            for edge in edges.into_iter().filter(|edge| edge.role != DependencyRole::Shared) {
                let role = roles.entry(edge.row.into_owned()).or_insert(edge.role);
                *role = edge.role.min(*role);
            }
        }
    }
    if let Some(contrast) = &experiment.contrast {
        roles.entry(contrast.clone()).or_insert(DependencyRole::Reads);
    }
    roles
}

/// The rows whose field a row is about: the row itself, or the rows that it refers to.
struct RowSubject<'a>(Vec<&'a str>);

impl<'a> RowSubject<'a> {
    fn new(experiment: &'a Experiment) -> Self {
        let others: Vec<&str> = experiment.field.iter().flat_map(|field| field.at.rows()).map(String::as_str).collect();
        Self(if others.is_empty() { vec![experiment.id()] } else { others })
    }

    fn contains(&self, row: &str) -> bool {
        self.0.contains(&row)
    }
}

/// The role of each field in requests. `control` has the rows of the requests without the field.
fn classify_fields(
    experiment: &Experiment,
    variant: Option<&str>,
    fields: &[&PlacedField],
    control: &BTreeSet<String>,
    templates: &RequestTemplates<'_>,
) -> Vec<DependencyEdge> {
    let subject = RowSubject::new(experiment);
    let reading = ResponseReading::new(experiment, variant);
    let values = effect_values(experiment);
    let own: Vec<&PlacedField> = fields.iter().copied().filter(|field| subject.contains(&field.place.row)).collect();
    let mut by_row: BTreeMap<&str, Vec<&PlacedField>> = BTreeMap::new();
    for field in fields.iter().filter(|field| field.place.is_field) {
        by_row.entry(&field.place.row).or_default().push(field);
    }
    let mut edges = Vec::new();
    for (row, places) in by_row {
        if subject.contains(row) || row == experiment.id() || templates.is_in_simplest_request(row) {
            continue;
        }
        let is_inside = |own: &&PlacedField| places.iter().any(|other| own.place.is_inside(&other.place));
        let is_part = !own.is_empty() && own.iter().all(is_inside);
        // A part of the field of the row belongs to it.
        if places.iter().all(|other| own.iter().any(|own| other.place.is_inside(&own.place))) {
            continue;
        }
        let is_read = || {
            is_part
                || experiment.depends_on.iter().any(|needed| needed == row)
                || reading.needs(row)
                || (!is_called(row) && places.iter().any(|place| place.values.iter().any(|v| values.contains(v))))
                || links_results(row, fields)
                || (experiment.compare.is_some() && !control.contains(row))
        };
        let role = if is_part && is_part_in_all_variants(experiment, &subject, row, templates) {
            DependencyRole::PartOf
        } else if is_read() {
            DependencyRole::Reads
        } else if control.contains(row) {
            DependencyRole::Shared
        } else {
            DependencyRole::Beside
        };
        edges.push(DependencyEdge { row: Cow::Owned(row.to_owned()), role });
    }
    // A dependency that no request shows.
    for needed in &experiment.depends_on {
        if edges.iter().all(|edge| edge.row != needed.as_str()) {
            edges.push(DependencyEdge { row: Cow::Owned(needed.clone()), role: DependencyRole::Reads });
        }
    }
    edges
}

/// True if the row is about the link between calls and results, and the request has several results
/// in one turn: only the link shows which result belongs to which call, and only their inputs
/// distinguish the calls.
fn links_results(row: &str, fields: &[&PlacedField]) -> bool {
    let is_link = matches!(row, "content.tool_use.id" | "content.tool_use.input" | "content.tool_result.tool_use_id");
    let results = fields.iter().filter(|field| field.place.row == "content.tool_result.tool_use_id");
    let places: BTreeSet<&str> = results.map(|field| field.place.pointer.as_str()).collect();
    let turns: BTreeSet<&str> = places.iter().filter_map(|place| Some(place.split_once("/content/")?.0)).collect();
    is_link && places.len() > turns.len()
}

/// True for the parts of a tool that a call repeats. Whether a row reads them follows from what it reads
/// of the call.
fn is_called(row: &str) -> bool {
    matches!(row, "tools.name" | "tools.input_schema")
}

/// True if the field of a row is a part of another field in every variant of the row.
fn is_part_in_all_variants(
    experiment: &Experiment,
    subject: &RowSubject<'_>,
    row: &str,
    templates: &RequestTemplates<'_>,
) -> bool {
    experiment.variants.keys().all(|variant| {
        let requests = templates.build_arm(experiment, Some(variant), ArmKind::Treatment);
        let fields: Vec<&PlacedField> = requests.iter().flat_map(|request| &request.places).collect();
        let is_inside = |own: &&&PlacedField| {
            fields.iter().any(|other| other.place.row == row && own.place.is_inside(&other.place))
        };
        let own: Vec<&&PlacedField> = fields.iter().filter(|field| subject.contains(&field.place.row)).collect();
        own.iter().all(is_inside)
    })
}
