//! Validation of images, documents and search results: whether the data has the declared type.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::simulator::api_error::ApiError;
use crate::simulator::content_block::BlockLocation;
use crate::simulator::error_path::ErrorPath;
use crate::simulator::fields::lookup::non_null;
use crate::simulator::media::{image, pdf};
use crate::simulator::route::MessagesRoute;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::messages::validate_text_block;
use crate::simulator::validate::types::{
    ApiResult, array, boolean, non_empty_string, object, reject, reject_unknown_keys, required_non_empty_string,
    required_one_of, required_string, required_value, string,
};

/// Validates the URL of an image. Nothing is fetched: only URLs that cannot work are rejected.
fn validate_image_url(source: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
    let at = path.key("url");
    reject_unknown_keys(source, Some(path), &[&["type", "url"]])?;
    let uri: Uri = required_non_empty_string(source, path, "url")?
        .parse()
        .map_err(|_| ApiError::invalid_field(&at, "not a URL"))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.host().filter(|_| is_web) {
        None => reject(&at, "expected a URL of the web"),
        Some(host) if host.ends_with(".invalid") => reject(&at, "could not be fetched"),
        Some(_) => Ok(()),
    }
}

/// Rejects a source that the server would have to fetch: this server has no access to a network.
fn reject_remote_source(source: &Map<String, Value>, path: &ErrorPath, kind: &str) -> ApiResult {
    let path = path.key(kind);
    let (key, what) = match kind {
        "url" => ("url", "could not be fetched"),
        _ => ("file_id", "no such file was found"),
    };
    required_non_empty_string(source, &path, key)?;
    reject(&path.key(key), what)
}

fn decode_base64(source: &Map<String, Value>, path: &ErrorPath) -> ApiResult<Vec<u8>> {
    let text = required_non_empty_string(source, path, "data")?;
    STANDARD.decode(text).map_err(|fault| ApiError::invalid_field(&path.key("data"), format!("not base64: {fault}")))
}

impl RequestValidator<'_> {
    pub(super) fn validate_image(&self, map: &Map<String, Value>, parent: &ErrorPath) -> ApiResult {
        let path = parent.key("source");
        let source = object(required_value(map, parent, "source")?, &path)?;
        match required_one_of(source, &path, "type", &["base64", "url", "file"])? {
            "base64" => {
                let path = path.key("base64");
                reject_unknown_keys(source, Some(&path), &[&["type", "media_type", "data"]])?;
                let media = required_one_of(source, &path, "media_type", image::IMAGE_MEDIA_TYPES)?;
                let bytes = decode_base64(source, &path)?;
                match image::decode_image(&bytes, media) {
                    Ok(_) => Ok(()),
                    Err(fault) => reject(&path.key("data"), fault),
                }
            }
            "url" if self.endpoint == MessagesRoute::Messages => validate_image_url(source, &path.key("url")),
            other => reject_remote_source(source, &path, other),
        }
    }

    pub(super) fn validate_document(
        &self,
        map: &Map<String, Value>,
        path: &ErrorPath,
        location: BlockLocation,
    ) -> ApiResult {
        if self.is_newer_version() && location == BlockLocation::Assistant {
            return reject(path, "not allowed in assistant messages under anthropic-version 2026-10-21");
        }
        for key in ["title", "context"] {
            if let Some(value) = non_null(map, key) {
                non_empty_string(value, &path.key(key))?;
            }
        }
        validate_citations_config(map, path)?;
        let source = object(required_value(map, path, "source")?, &path.key("source"))?;
        let path = path.key("source");
        let kinds = &["text", "base64", "content", "url", "file"];
        match required_one_of(source, &path, "type", kinds)? {
            "text" => {
                let path = path.key("text");
                reject_unknown_keys(source, Some(&path), &[&["type", "media_type", "data"]])?;
                required_one_of(source, &path, "media_type", &["text/plain"])?;
                required_non_empty_string(source, &path, "data").map(drop)
            }
            "base64" => {
                let path = path.key("base64");
                reject_unknown_keys(source, Some(&path), &[&["type", "media_type", "data"]])?;
                required_one_of(source, &path, "media_type", &["application/pdf"])?;
                match pdf::is_pdf(&decode_base64(source, &path)?) {
                    true => Ok(()),
                    false => reject(&path.key("data"), "not a PDF document"),
                }
            }
            "content" => {
                let path = path.key("content");
                reject_unknown_keys(source, Some(&path), &[&["type", "content"]])?;
                self.validate_document_content(required_value(source, &path, "content")?, &path.key("content"))
            }
            other => reject_remote_source(source, &path, other),
        }
    }

    fn validate_document_content(&self, content: &Value, path: &ErrorPath) -> ApiResult {
        match content {
            Value::String(_) => non_empty_string(content, path).map(drop),
            Value::Array(blocks) => {
                for (i, block) in blocks.iter().enumerate() {
                    self.validate_block(block, &path.index(i), BlockLocation::Document)?;
                }
                Ok(())
            }
            _ => reject(path, "expected a string or an array of blocks"),
        }
    }

    pub(super) fn validate_search_result(&self, map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
        for key in ["source", "title"] {
            required_string(map, path, key)?;
        }
        validate_citations_config(map, path)?;
        let at = path.key("content");
        for (i, block) in array(required_value(map, path, "content")?, &at)?.iter().enumerate() {
            validate_text_block(block, &at.index(i))?;
        }
        Ok(())
    }
}

/// Validates `citations` of a document or a search result: a switch, not the list of text blocks.
fn validate_citations_config(map: &Map<String, Value>, path: &ErrorPath) -> ApiResult {
    let Some(value) = non_null(map, "citations") else { return Ok(()) };
    let path = path.key("citations");
    let config = object(value, &path)?;
    reject_unknown_keys(config, Some(&path), &[&["enabled"]])?;
    match config.get("enabled") {
        Some(flag) => boolean(flag, &path.key("enabled")).map(drop),
        None => Ok(()),
    }
}

/// Validates a string or a list of text blocks.
pub(super) fn validate_string_or_blocks(value: &Value, path: &ErrorPath) -> ApiResult {
    match value {
        Value::Array(blocks) => {
            for (i, block) in blocks.iter().enumerate() {
                validate_text_block(block, &path.index(i))?;
            }
            Ok(())
        }
        other => string(other, path).map(drop),
    }
}
