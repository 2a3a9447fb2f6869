//! The catalogue of models: a list of the one that is served, and the model by itself.

use serde_json::{Value, json};

use crate::simulator::api_error::{Kind, Refusal};
use crate::simulator::config::Behaviour;
use crate::simulator::error_path::{Path, clip};
use crate::simulator::fault::ConductFault;

/// The most models of one page.
const MOST: u64 = 1000;

/// The part of the list that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    limit: Option<String>,
    after: Option<String>,
    before: Option<String>,
}

impl Page {
    /// Reads a query; what it does not know, it passes over.
    pub fn of(query: &str) -> Self {
        let mut page = Self::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let place = match key {
                "limit" => &mut page.limit,
                "after_id" => &mut page.after,
                "before_id" => &mut page.before,
                _ => continue,
            };
            *place = Some(value.to_owned());
        }
        page
    }
}

/// The page of the list.
pub(super) fn list(behaviour: &Behaviour, page: &Page) -> Result<Value, Refusal> {
    let in_bounds = |limit: &String| limit.parse::<u64>().is_ok_and(|limit| (1..=MOST).contains(&limit));
    if page.limit.as_ref().is_some_and(|limit| !in_bounds(limit)) {
        return Err(Refusal::at(&Path::root("limit"), format!("expected a whole number from 1 to {MOST}")));
    }
    // There is one model: nothing stands before or behind it.
    let models: Vec<Value> = match (&page.after, &page.before) {
        (None, None) => vec![model(behaviour)],
        _ => Vec::new(),
    };
    if behaviour.commits(ConductFault::ModelsOpenaiShape) {
        return Ok(json!({ "object": "list", "data": models }));
    }
    let id = models.first().map(|_| &behaviour.model);
    Ok(json!({ "data": models, "has_more": false, "first_id": id, "last_id": id }))
}

/// One model.
pub(super) fn one(behaviour: &Behaviour, id: &str) -> Result<Value, Refusal> {
    match id == behaviour.model {
        true => Ok(model(behaviour)),
        false => Err(Refusal::new(Kind::NotFound, format!("model: no model '{}' was found", clip(id)))),
    }
}

fn model(behaviour: &Behaviour) -> Value {
    if behaviour.commits(ConductFault::ModelsOpenaiShape) {
        return json!({ "id": behaviour.model, "object": "model", "created": 1_735_689_600, "owned_by": "simulator" });
    }
    json!({
        "type": "model",
        "id": behaviour.model,
        "display_name": behaviour.model,
        "created_at": "2025-01-01T00:00:00Z",
        "max_input_tokens": behaviour.context_tokens,
        "max_tokens": behaviour.max_output_tokens,
    })
}
