//! The catalogue of models: a list of the one that is served, and the model by itself.

use serde_json::{Value, json};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fault::BehaviourFault;

/// The most models of one page.
const MAX_PAGE_SIZE: u64 = 1000;

/// The part of the list that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModelPageQuery {
    limit: Option<String>,
    after_id: Option<String>,
    before_id: Option<String>,
}

impl ModelPageQuery {
    /// Reads a query; what it does not know, it passes over.
    pub fn from_query(query: &str) -> Self {
        let mut page = Self::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let place = match key {
                "limit" => &mut page.limit,
                "after_id" => &mut page.after_id,
                "before_id" => &mut page.before_id,
                _ => continue,
            };
            *place = Some(value.to_owned());
        }
        page
    }
}

/// The page of the list.
pub(super) fn list_models(behaviour: &SimulatorConfig, page: &ModelPageQuery) -> Result<Value, ApiError> {
    let in_bounds = |limit: &String| limit.parse::<u64>().is_ok_and(|limit| (1..=MAX_PAGE_SIZE).contains(&limit));
    if page.limit.as_ref().is_some_and(|limit| !in_bounds(limit)) {
        return Err(ApiError::invalid_field(
            &ErrorPath::root("limit"),
            format!("expected a whole number from 1 to {MAX_PAGE_SIZE}"),
        ));
    }
    // There is one model: nothing stands before or behind it.
    let models: Vec<Value> = match (&page.after_id, &page.before_id) {
        (None, None) => vec![model_object(behaviour)],
        _ => Vec::new(),
    };
    if behaviour.has_fault(BehaviourFault::ModelsOpenaiShape) {
        return Ok(json!({ "object": "list", "data": models }));
    }
    let id = models.first().map(|_| &behaviour.model);
    Ok(json!({ "data": models, "has_more": false, "first_id": id, "last_id": id }))
}

/// One model.
pub(super) fn get_model(behaviour: &SimulatorConfig, id: &str) -> Result<Value, ApiError> {
    match id == behaviour.model {
        true => Ok(model_object(behaviour)),
        false => {
            Err(ApiError::new(ApiErrorKind::NotFound, format!("model: no model '{}' was found", truncate_text(id))))
        }
    }
}

fn model_object(behaviour: &SimulatorConfig) -> Value {
    if behaviour.has_fault(BehaviourFault::ModelsOpenaiShape) {
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
