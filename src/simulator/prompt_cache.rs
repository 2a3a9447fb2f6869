//! The prompt cache: which part of a prompt was seen before, and what is kept of it now.
//!
//! A prefix of a prompt is known by a hash of all pieces up to its end. Only marked prefixes are kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::simulator::hash::RunningHash;
use crate::simulator::prompt::{CacheTtl, ModelPrompt, PromptRole, ToolChoice};

/// The shortest prefix that is kept, in tokens.
const MIN_PREFIX_TOKENS: u64 = 1024;

/// How many pieces before a marker an earlier entry may end.
const LOOKBACK_SEGMENTS: usize = 20;

/// The number of entries at which the outdated ones are thrown away.
const PRUNE_THRESHOLD_ENTRIES: usize = 10_000;

/// What a prompt is charged as, in tokens. The parts add up to the whole prompt.
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

/// What the server remembers of earlier prompts.
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
    /// Looks a prompt up, keeps what it marks, and says what it costs.
    pub fn lookup_and_store(&self, view: &ModelPrompt, now: Instant) -> CacheUsage {
        let tokens = view.cumulative_tokens();
        let total = tokens.last().copied().unwrap_or(0);
        let markers: Vec<(usize, CacheTtl)> =
            view.segments.iter().enumerate().filter_map(|(i, piece)| Some((i, piece.cache_ttl?))).collect();
        if markers.is_empty() {
            return CacheUsage { input: total, ..CacheUsage::default() };
        }
        let keys = prefix_keys(view);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() > PRUNE_THRESHOLD_ENTRIES {
            entries.retain(|_, entry| entry.expires_at > now);
        }
        let known = markers
            .iter()
            .flat_map(|(at, _)| at.saturating_sub(LOOKBACK_SEGMENTS)..=*at)
            .filter(|at| entries.get(&keys[*at]).is_some_and(|entry| entry.expires_at > now))
            .max();
        let mut charge = CacheUsage::default();
        if let Some(at) = known {
            charge.read = tokens[at];
            if let Some(entry) = entries.get_mut(&keys[at]) {
                entry.expires_at = now + entry.lifetime;
            }
        }
        let mut reached = charge.read;
        for (at, marker) in markers {
            if tokens[at] < MIN_PREFIX_TOKENS || tokens[at] <= reached {
                continue;
            }
            let (written, life) = match marker {
                CacheTtl::FiveMinutes => (&mut charge.written_5m, Duration::from_secs(5 * 60)),
                CacheTtl::OneHour => (&mut charge.written_1h, Duration::from_secs(60 * 60)),
            };
            *written += tokens[at] - reached;
            reached = tokens[at];
            entries.insert(keys[at], PromptCacheEntry { lifetime: life, expires_at: now + life });
        }
        charge.input = total - reached;
        charge
    }
}

/// A key for the prefix that ends with each piece.
fn prefix_keys(view: &ModelPrompt) -> Vec<u64> {
    let mut prefix = RunningHash::new("prefix");
    let mut in_messages = false;
    view.segments
        .iter()
        .map(|piece| {
            if !in_messages && matches!(piece.role, PromptRole::User | PromptRole::Assistant) {
                in_messages = true;
                // Tools and system stay known when only these change; the messages do not.
                let choice = match &view.tool_choice {
                    ToolChoice::Auto => "auto",
                    ToolChoice::Any => "any",
                    ToolChoice::None => "none",
                    ToolChoice::Tool(name) => name,
                };
                prefix = prefix.clone().with_text(choice).with_number(u64::from(view.is_single_call));
                prefix = prefix.clone().with_number(u64::from(view.thinking.is_some()));
            }
            prefix = prefix.clone().with_number(piece.content_hash);
            prefix.value()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn build_prompt(system: &str, ttl: &str, ask: &str) -> ModelPrompt {
        let body = json!({
            "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral", "ttl": ttl}}],
            "messages": [{"role": "user", "content": ask}],
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
    fn an_entry_lives_five_minutes_after_its_last_use() {
        let cache = PromptCache::default();
        let now = Instant::now();
        let long = "The quick fox walks on. ".repeat(400);
        cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now);
        assert!(cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now + Duration::from_secs(299)).read > 0);
        assert!(cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now + Duration::from_secs(598)).read > 0);
        assert_eq!(cache.lookup_and_store(&build_prompt(&long, "5m", "One?"), now + Duration::from_secs(900)).read, 0);
    }

    #[test]
    fn short_prefixes_are_not_kept() {
        let cache = PromptCache::default();
        let charge = cache.lookup_and_store(&build_prompt("Be brief.", "5m", "One?"), Instant::now());
        assert_eq!((charge.total_written(), charge.read), (0, 0));
    }
}
