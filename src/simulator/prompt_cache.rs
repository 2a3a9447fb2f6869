//! The prompt cache: a [`PromptCache`] remembers prefixes of earlier prompts and computes the
//! [`CacheUsage`] of a prompt.
//!
//! The key of a prefix is a hash of all segments up to its end. Only prefixes with a marker are
//! stored.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::simulator::hash::RunningHash;
use crate::simulator::prompt::{CacheTtl, ModelPrompt, PromptRole, ToolChoice};

/// The shortest stored prefix, in tokens.
const MIN_PREFIX_TOKENS: u64 = 1024;

/// The number of segments before a marker in which an earlier entry is found.
const LOOKBACK_SEGMENTS: usize = 20;

/// The number of entries at which expired ones are removed.
const PRUNE_THRESHOLD_ENTRIES: usize = 10_000;

/// The tokens of a prompt by price. Their sum is the whole prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CacheUsage {
    pub input: u64,
    pub read: u64,
    pub written_5m: u64,
    pub written_1h: u64,
}

impl CacheUsage {
    pub fn total_written(&self) -> u64 {
        self.written_5m + self.written_1h
    }
}

/// The prefixes of earlier prompts.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    entries: Mutex<HashMap<u64, PromptCacheEntry>>,
}

#[derive(Debug, Clone, Copy)]
struct PromptCacheEntry {
    lifetime: Duration,
    expires_at: Instant,
}

impl PromptCache {
    /// Looks up a prompt, stores its marked prefixes, and returns its usage.
    pub fn lookup_and_store(&self, prompt: &ModelPrompt, now: Instant) -> CacheUsage {
        let tokens = prompt.cumulative_tokens();
        let total = tokens.last().copied().unwrap_or(0);
        let markers: Vec<(usize, CacheTtl)> =
            prompt.segments.iter().enumerate().filter_map(|(i, segment)| Some((i, segment.cache_ttl?))).collect();
        if markers.is_empty() {
            return CacheUsage { input: total, ..CacheUsage::default() };
        }
        let keys = prefix_keys(prompt);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() > PRUNE_THRESHOLD_ENTRIES {
            entries.retain(|_, entry| entry.expires_at > now);
        }
        let hit = markers
            .iter()
            .flat_map(|(at, _)| at.saturating_sub(LOOKBACK_SEGMENTS)..=*at)
            .filter(|at| entries.get(&keys[*at]).is_some_and(|entry| entry.expires_at > now))
            .max();
        let mut usage = CacheUsage::default();
        if let Some(at) = hit {
            usage.read = tokens[at];
            if let Some(entry) = entries.get_mut(&keys[at]) {
                entry.expires_at = now + entry.lifetime;
            }
        }
        let mut counted = usage.read;
        for (at, marker) in markers {
            if tokens[at] < MIN_PREFIX_TOKENS || tokens[at] <= counted {
                continue;
            }
            let (written, lifetime) = match marker {
                CacheTtl::FiveMinutes => (&mut usage.written_5m, Duration::from_secs(5 * 60)),
                CacheTtl::OneHour => (&mut usage.written_1h, Duration::from_secs(60 * 60)),
            };
            *written += tokens[at] - counted;
            counted = tokens[at];
            entries.insert(keys[at], PromptCacheEntry { lifetime, expires_at: now + lifetime });
        }
        usage.input = total - counted;
        usage
    }
}

/// A key for the prefix up to the end of each segment.
fn prefix_keys(prompt: &ModelPrompt) -> Vec<u64> {
    let mut prefix = RunningHash::new("prefix");
    let mut in_messages = false;
    prompt
        .segments
        .iter()
        .map(|segment| {
            if !in_messages && matches!(segment.role, PromptRole::User | PromptRole::Assistant) {
                in_messages = true;
                // A change of these keeps the prefixes of tools and system, but not those of
                // messages.
                let choice = match &prompt.tool_choice {
                    ToolChoice::Auto => "auto",
                    ToolChoice::Any => "any",
                    ToolChoice::None => "none",
                    ToolChoice::Tool(name) => name,
                };
                prefix = prefix.clone().with_text(choice).with_number(u64::from(prompt.is_single_call));
                prefix = prefix.clone().with_number(u64::from(prompt.thinking.is_some()));
            }
            prefix = prefix.clone().with_number(segment.content_hash);
            prefix.value()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn build_prompt(system: &str, ttl: &str, question: &str) -> ModelPrompt {
        let body = json!({
            "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral", "ttl": ttl}}],
            "messages": [{"role": "user", "content": question}],
        });
        match body {
            Value::Object(map) => ModelPrompt::from_body(&map),
            _ => unreachable!(),
        }
    }

    #[test]
    fn a_marked_prefix_is_written_once_and_then_read() {
        let cache = PromptCache::default();
        let now = Instant::now();
        let long = "The quick fox walks on. ".repeat(400);
        let first = cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now);
        assert!(first.written_5m > 1024 && first.read == 0 && first.input > 0);
        let second = cache.lookup_and_store(&build_prompt(&long, "5m", "Two, then?"), now);
        assert_eq!((second.read, second.total_written()), (first.written_5m, 0));
        let other = cache.lookup_and_store(&build_prompt(&format!("A{long}"), "1h", "One?"), now);
        assert!(other.read == 0 && other.written_1h > 1024);
    }

    #[test]
    fn an_entry_expires_five_minutes_after_its_last_use() {
        let cache = PromptCache::default();
        let now = Instant::now();
        let long = "The quick fox walks on. ".repeat(400);
        cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now);
        assert!(cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now + Duration::from_secs(299)).read > 0);
        assert!(cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now + Duration::from_secs(598)).read > 0);
        assert_eq!(cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now + Duration::from_secs(900)).read, 0);
    }

    #[test]
    fn short_prefixes_are_not_stored() {
        let cache = PromptCache::default();
        let usage = cache.lookup_and_store(&build_prompt("Be brief.", "5m", "One?"), Instant::now());
        assert_eq!((usage.total_written(), usage.read), (0, 0));
    }
}
