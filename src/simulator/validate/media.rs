//! The checks of images, documents and search results: that the data is what it says it is.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::simulator::api_error::Refusal;
use crate::simulator::content_block::Place;
use crate::simulator::error_path::Path;
use crate::simulator::media::{image, pdf};
use crate::simulator::validate::messages::text_block;
use crate::simulator::validate::types::{
    Checked, array, boolean, known_keys, object, one_of, required, required_string, required_words, string, words,
};
use crate::simulator::validate::{Endpoint, Rules};

/// An address from which a picture could come. Nothing is fetched: only names that can lead nowhere are refused.
fn fetchable(source: &Map<String, Value>, path: &Path) -> Checked {
    let at = path.key("url");
    known_keys(source, Some(path), &[&["type", "url"]])?;
    let uri: Uri = required_words(source, path, "url")?.parse().map_err(|_| Refusal::at(&at, "not a URL"))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.host().filter(|_| is_web) {
        None => Err(Refusal::at(&at, "expected a URL of the web")),
        Some(host) if host.ends_with(".invalid") => Err(Refusal::at(&at, "could not be fetched")),
        Some(_) => Ok(()),
    }
}

/// Sources that this server would have to fetch: it reaches nothing.
fn elsewhere(source: &Map<String, Value>, path: &Path, kind: &str) -> Checked {
    let path = path.key(kind);
    let (key, what) = match kind {
        "url" => ("url", "could not be fetched"),
        _ => ("file_id", "no such file was found"),
    };
    required_words(source, &path, key)?;
    Err(Refusal::at(&path.key(key), what))
}

fn base64_data(source: &Map<String, Value>, path: &Path) -> Checked<Vec<u8>> {
    let text = required_words(source, path, "data")?;
    STANDARD.decode(text).map_err(|fault| Refusal::at(&path.key("data"), format!("not base64: {fault}")))
}

impl Rules<'_> {
    pub(super) fn image(&self, map: &Map<String, Value>, path: &Path) -> Checked {
        let path = path.key("source");
        let source = object(map.get("source").ok_or_else(|| Refusal::at(&path, "required"))?, &path)?;
        match one_of(required(source, &path, "type")?, &path.key("type"), &["base64", "url", "file"])? {
            "base64" => {
                let path = path.key("base64");
                known_keys(source, Some(&path), &[&["type", "media_type", "data"]])?;
                let media =
                    one_of(required(source, &path, "media_type")?, &path.key("media_type"), image::MEDIA_TYPES)?;
                let bytes = base64_data(source, &path)?;
                match image::read(&bytes, media) {
                    Ok(_) => Ok(()),
                    Err(fault) => Err(Refusal::at(&path.key("data"), fault)),
                }
            }
            "url" if self.endpoint == Endpoint::Messages => fetchable(source, &path.key("url")),
            other => elsewhere(source, &path, other),
        }
    }

    pub(super) fn document(&self, map: &Map<String, Value>, path: &Path, place: Place) -> Checked {
        if self.is_newer_contract() && place == Place::Assistant {
            return Err(Refusal::at(path, "not allowed in assistant messages under anthropic-version 2026-10-21"));
        }
        for key in ["title", "context"] {
            if let Some(value) = map.get(key).filter(|v| !v.is_null()) {
                words(value, &path.key(key))?;
            }
        }
        citations_config(map, path)?;
        let path = path.key("source");
        let source = object(map.get("source").ok_or_else(|| Refusal::at(&path, "required"))?, &path)?;
        let kinds = &["text", "base64", "content", "url", "file"];
        match one_of(required(source, &path, "type")?, &path.key("type"), kinds)? {
            "text" => {
                let path = path.key("text");
                known_keys(source, Some(&path), &[&["type", "media_type", "data"]])?;
                one_of(required(source, &path, "media_type")?, &path.key("media_type"), &["text/plain"])?;
                required_words(source, &path, "data").map(drop)
            }
            "base64" => {
                let path = path.key("base64");
                known_keys(source, Some(&path), &[&["type", "media_type", "data"]])?;
                one_of(required(source, &path, "media_type")?, &path.key("media_type"), &["application/pdf"])?;
                match pdf::is_pdf(&base64_data(source, &path)?) {
                    true => Ok(()),
                    false => Err(Refusal::at(&path.key("data"), "not a PDF document")),
                }
            }
            "content" => {
                let path = path.key("content");
                known_keys(source, Some(&path), &[&["type", "content"]])?;
                self.document_content(required(source, &path, "content")?, &path.key("content"))
            }
            other => elsewhere(source, &path, other),
        }
    }

    fn document_content(&self, content: &Value, path: &Path) -> Checked {
        match content {
            Value::String(_) => words(content, path).map(drop),
            Value::Array(blocks) => {
                for (i, block) in blocks.iter().enumerate() {
                    self.block(block, &path.index(i), Place::Document)?;
                }
                Ok(())
            }
            _ => Err(Refusal::at(path, "expected a string or an array of blocks")),
        }
    }

    pub(super) fn search_result(&self, map: &Map<String, Value>, path: &Path) -> Checked {
        for key in ["source", "title"] {
            required_string(map, path, key)?;
        }
        citations_config(map, path)?;
        let at = path.key("content");
        for (i, block) in array(required(map, path, "content")?, &at)?.iter().enumerate() {
            text_block(block, &at.index(i))?;
        }
        Ok(())
    }
}

/// `citations` of a document or a search result: a switch, not the list that text blocks have.
fn citations_config(map: &Map<String, Value>, path: &Path) -> Checked {
    let Some(value) = map.get("citations").filter(|v| !v.is_null()) else { return Ok(()) };
    let path = path.key("citations");
    let config = object(value, &path)?;
    known_keys(config, Some(&path), &[&["enabled"]])?;
    match config.get("enabled") {
        Some(flag) => boolean(flag, &path.key("enabled")).map(drop),
        None => Ok(()),
    }
}

/// A string, or blocks of text.
pub(super) fn string_or_blocks(value: &Value, path: &Path) -> Checked {
    match value {
        Value::Array(blocks) => {
            for (i, block) in blocks.iter().enumerate() {
                text_block(block, &path.index(i))?;
            }
            Ok(())
        }
        other => string(other, path).map(drop),
    }
}
