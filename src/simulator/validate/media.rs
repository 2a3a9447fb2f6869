//! Validation of images, documents and search results: whether the data has the declared type.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::simulator::content_block::BlockLocation;
use crate::simulator::media::{image, pdf};
use crate::simulator::route::MessagesRoute;
use crate::simulator::validate::RequestValidator;
use crate::simulator::validate::messages::validate_text_block;
use crate::simulator::validate::request_value::{
    ApiResult, KeyPresence, RequestObject, RequestValue, ValueRule, reject,
};

/// Validates the URL of an image. Nothing is fetched: only URLs that cannot work are rejected.
fn validate_image_url(source: &RequestObject) -> ApiResult {
    source.reject_unknown_keys(&[&["type", "url"]])?;
    let url = source.required("url")?;
    let Ok(uri) = url.non_empty_string()?.parse::<Uri>() else { return url.reject("not a URL") };
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.host().filter(|_| is_web) {
        None => url.reject("expected a URL of the web"),
        Some(host) if host.ends_with(".invalid") => url.reject("could not be fetched"),
        Some(_) => Ok(()),
    }
}

/// Rejects a source that the server would have to fetch: this server has no access to a network.
fn reject_remote_source(source: &RequestObject, kind: &str) -> ApiResult {
    let (key, what) = match kind {
        "url" => ("url", "could not be fetched"),
        _ => ("file_id", "no such file was found"),
    };
    let value = source.tag(kind).required(key)?;
    value.non_empty_string()?;
    value.reject(what)
}

/// Decodes the data of a source with one of these media types. Returns its media type too.
fn decode_source<'a>(
    source: &RequestObject<'a>,
    media_types: &[&str],
) -> ApiResult<(&'a str, RequestValue<'a>, Vec<u8>)> {
    source.reject_unknown_keys(&[&["type", "media_type", "data"]])?;
    let media_type = source.required("media_type")?.one_of(media_types)?;
    let data = source.required("data")?;
    match STANDARD.decode(data.non_empty_string()?) {
        Ok(bytes) => Ok((media_type, data, bytes)),
        Err(fault) => data.reject(format!("not base64: {fault}")),
    }
}

impl RequestValidator<'_> {
    pub(super) fn validate_image(&self, map: &RequestObject) -> ApiResult {
        let source = map.required("source")?.object()?;
        match source.required("type")?.one_of(&["base64", "url", "file"])? {
            "base64" => {
                let (media_type, data, bytes) = decode_source(&source.tag("base64"), image::IMAGE_MEDIA_TYPES)?;
                image::decode_image(&bytes, media_type).map_or_else(|fault| data.reject(fault), |_| Ok(()))
            }
            "url" if self.endpoint == MessagesRoute::Messages => validate_image_url(&source.tag("url")),
            other => reject_remote_source(&source, other),
        }
    }

    pub(super) fn validate_document(&self, map: &RequestObject, location: BlockLocation) -> ApiResult {
        if self.is_newer_version() && location == BlockLocation::Assistant {
            return reject(&map.path, "not allowed in assistant messages under anthropic-version 2026-10-21");
        }
        map.validate_keys(&[
            (KeyPresence::NonNull, "title", ValueRule::NonEmptyString),
            (KeyPresence::NonNull, "context", ValueRule::NonEmptyString),
        ])?;
        validate_citations_config(map)?;
        let source = map.required("source")?.object()?;
        let kind = source.required("type")?.one_of(&["text", "base64", "content", "url", "file"])?;
        let tagged = source.tag(kind);
        match kind {
            "text" => {
                tagged.reject_unknown_keys(&[&["type", "media_type", "data"]])?;
                tagged.validate_keys(&[
                    (KeyPresence::Required, "media_type", ValueRule::OneOf(&["text/plain"])),
                    (KeyPresence::Required, "data", ValueRule::NonEmptyString),
                ])
            }
            "base64" => {
                let (_, data, bytes) = decode_source(&tagged, &["application/pdf"])?;
                if pdf::is_pdf(&bytes) { Ok(()) } else { data.reject("not a PDF document") }
            }
            "content" => {
                tagged.reject_unknown_keys(&[&["type", "content"]])?;
                let content = tagged.required("content")?;
                match content.json {
                    Value::String(_) => content.validate(ValueRule::NonEmptyString),
                    Value::Array(_) => {
                        let mut blocks = content.items()?.into_iter();
                        blocks.try_for_each(|block| self.validate_block(&block, BlockLocation::Document))
                    }
                    _ => content.reject("expected a string or an array of blocks"),
                }
            }
            other => reject_remote_source(&source, other),
        }
    }
}

pub(super) fn validate_search_result(map: &RequestObject) -> ApiResult {
    map.validate_keys(&[
        (KeyPresence::Required, "source", ValueRule::String),
        (KeyPresence::Required, "title", ValueRule::String),
    ])?;
    validate_citations_config(map)?;
    map.required("content")?.items()?.iter().try_for_each(validate_text_block)
}

/// Validates `citations` of a document or a search result: a switch, not the list of text blocks.
fn validate_citations_config(map: &RequestObject) -> ApiResult {
    let Some(value) = map.non_null("citations") else { return Ok(()) };
    let config = value.object()?;
    config.reject_unknown_keys(&[&["enabled"]])?;
    config.validate_keys(&[(KeyPresence::Given, "enabled", ValueRule::Boolean)])
}
