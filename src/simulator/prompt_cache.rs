//! The prompt cache: which part of a prompt was seen before, and what is kept of it now.
//!
//! A prefix of a prompt is known by a hash of all pieces up to its end. Only marked prefixes are kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::simulator::hash::Digest;
use crate::simulator::prompt::{Choice, Marker, Role, View};

/// The shortest prefix that is kept, in tokens.
const MINIMUM: u64 = 1024;

/// How many pieces before a marker an earlier entry may end.
const LOOKBACK: usize = 20;

/// The number of entries at which the outdated ones are thrown away.
const CROWDED: usize = 10_000;

/// What a prompt is charged as, in tokens. The parts add up to the whole prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Charge {
    pub input: u64,
    pub read: u64,
    pub written_5m: u64,
    pub written_1h: u64,
}

impl Charge {
    pub fn written(&self) -> u64 {
        self.written_5m + self.written_1h
    }
}

/// What the server remembers of earlier prompts.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    entries: Mutex<HashMap<u64, Entry>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    life: Duration,
    end: Instant,
}

impl PromptCache {
    /// Looks a prompt up, keeps what it marks, and says what it costs.
    pub fn charge(&self, view: &View, now: Instant) -> Charge {
        let tokens = view.running_tokens();
        let total = tokens.last().copied().unwrap_or(0);
        let markers: Vec<(usize, Marker)> =
            view.pieces.iter().enumerate().filter_map(|(i, piece)| Some((i, piece.marker?))).collect();
        if markers.is_empty() {
            return Charge { input: total, ..Charge::default() };
        }
        let keys = keys(view);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() > CROWDED {
            entries.retain(|_, entry| entry.end > now);
        }
        let known = markers
            .iter()
            .flat_map(|(at, _)| at.saturating_sub(LOOKBACK)..=*at)
            .filter(|at| entries.get(&keys[*at]).is_some_and(|entry| entry.end > now))
            .max();
        let mut charge = Charge::default();
        if let Some(at) = known {
            charge.read = tokens[at];
            if let Some(entry) = entries.get_mut(&keys[at]) {
                entry.end = now + entry.life;
            }
        }
        let mut reached = charge.read;
        for (at, marker) in markers {
            if tokens[at] < MINIMUM || tokens[at] <= reached {
                continue;
            }
            let (written, life) = match marker {
                Marker::Minutes => (&mut charge.written_5m, Duration::from_secs(5 * 60)),
                Marker::Hour => (&mut charge.written_1h, Duration::from_secs(60 * 60)),
            };
            *written += tokens[at] - reached;
            reached = tokens[at];
            entries.insert(keys[at], Entry { life, end: now + life });
        }
        charge.input = total - reached;
        charge
    }
}

/// A key for the prefix that ends with each piece.
fn keys(view: &View) -> Vec<u64> {
    let mut prefix = Digest::new("prefix");
    let mut in_messages = false;
    view.pieces
        .iter()
        .map(|piece| {
            if !in_messages && matches!(piece.role, Role::User | Role::Assistant) {
                in_messages = true;
                // Tools and system stay known when only these change; the messages do not.
                let choice = match &view.choice {
                    Choice::Auto => "auto",
                    Choice::Any => "any",
                    Choice::None => "none",
                    Choice::Tool(name) => name,
                };
                prefix = prefix.clone().text(choice).number(u64::from(view.is_single));
                prefix = prefix.clone().number(u64::from(view.thinking.is_some()));
            }
            prefix = prefix.clone().number(piece.digest);
            prefix.value()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn view(system: &str, ttl: &str, ask: &str) -> View {
        let body = json!({
            "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral", "ttl": ttl}}],
            "messages": [{"role": "user", "content": ask}],
        });
        match body {
            Value::Object(map) => View::of(&map),
            _ => unreachable!(),
        }
    }

    #[test]
    fn a_marked_prefix_is_written_once_and_then_read() {
        let cache = PromptCache::default();
        let now = Instant::now();
        let long = "The quick fox walks on. ".repeat(400);
        let first = cache.charge(&view(&long, "5m", "One?"), now);
        assert!(first.written_5m > 1024 && first.read == 0 && first.input > 0);
        let second = cache.charge(&view(&long, "5m", "Two, then?"), now);
        assert_eq!((second.read, second.written()), (first.written_5m, 0));
        let other = cache.charge(&view(&format!("A{long}"), "1h", "One?"), now);
        assert!(other.read == 0 && other.written_1h > 1024);
    }

    #[test]
    fn an_entry_lives_five_minutes_after_its_last_use() {
        let cache = PromptCache::default();
        let now = Instant::now();
        let long = "The quick fox walks on. ".repeat(400);
        cache.charge(&view(&long, "5m", "One?"), now);
        assert!(cache.charge(&view(&long, "5m", "One?"), now + Duration::from_secs(299)).read > 0);
        assert!(cache.charge(&view(&long, "5m", "One?"), now + Duration::from_secs(598)).read > 0);
        assert_eq!(cache.charge(&view(&long, "5m", "One?"), now + Duration::from_secs(900)).read, 0);
    }

    #[test]
    fn short_prefixes_are_not_kept() {
        let cache = PromptCache::default();
        let charge = cache.charge(&view("Be brief.", "5m", "One?"), Instant::now());
        assert_eq!((charge.written(), charge.read), (0, 0));
    }
}
