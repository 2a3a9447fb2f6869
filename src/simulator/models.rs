//! The model list with its only model: [`list_models`] and [`get_model`].

use serde_json::{Value, json};

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::error_path::{ErrorPath, truncate_text};
use crate::simulator::fault::BehaviourFault;

/// The largest page size.
const MAX_PAGE_SIZE: u64 = 1000;

/// The requested page of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModelPageQuery {
    limit: Option<String>,
    after_id: Option<String>,
    before_id: Option<String>,
}

impl ModelPageQuery {
    /// Reads a query. Unknown keys are ignored.
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

/// Returns a page of the list.
pub(super) fn list_models(config: &SimulatorConfig, page: &ModelPageQuery) -> Result<Value, ApiError> {
    let in_bounds = |limit: &String| limit.parse::<u64>().is_ok_and(|limit| (1..=MAX_PAGE_SIZE).contains(&limit));
    if page.limit.as_ref().is_some_and(|limit| !in_bounds(limit)) {
        return Err(ApiError::invalid_field(
            &ErrorPath::root("limit"),
            format!("expected a whole number from 1 to {MAX_PAGE_SIZE}"),
        ));
    }
    // There is only one model, so there is none before or after it.
    let models: Vec<Value> = match (&page.after_id, &page.before_id) {
        (None, None) => vec![model_object(config)],
        _ => Vec::new(),
    };
    if config.has_fault(BehaviourFault::ModelsOpenaiShape) {
        return Ok(json!({ "object": "list", "data": models }));
    }
    let id = models.first().map(|_| &config.model);
    Ok(json!({ "data": models, "has_more": false, "first_id": id, "last_id": id }))
}

/// Returns one model.
pub(super) fn get_model(config: &SimulatorConfig, id: &str) -> Result<Value, ApiError> {
    match id == config.model {
        true => Ok(model_object(config)),
        false => {
            Err(ApiError::new(ApiErrorKind::NotFound, format!("model: no model '{}' was found", truncate_text(id))))
        }
    }
}

fn model_object(config: &SimulatorConfig) -> Value {
    if config.has_fault(BehaviourFault::ModelsOpenaiShape) {
        return json!({ "id": config.model, "object": "model", "created": 1_735_689_600, "owned_by": "simulator" });
    }
    json!({
        "type": "model",
        "id": config.model,
        "display_name": config.model,
        "created_at": "2025-01-01T00:00:00Z",
        "max_input_tokens": config.context_tokens,
        "max_tokens": config.max_output_tokens,
    })
}
