//! Removes secrets from responses before anything is kept ([`SecretRedactor`]) and, on request, the
//! content of requests and responses ([`ContentPolicy`]).

mod compressed;
pub(crate) mod content;
mod escape;
mod headers;
mod key_patterns;
mod known_secrets;
mod normalized_text;
mod protocol_words;
mod redactor;
mod replacement;
mod secret_search;
mod stream_strings;
#[cfg(test)]
mod tests;

pub(crate) use crate::redact::compressed::decompress_once;
pub(crate) use crate::redact::content::ContentPolicy;
pub(crate) use crate::redact::known_secrets::SECRET_VARIABLES;
pub use crate::redact::redactor::SecretRedactor;
