//! The mutating proxy: it applies a list of mutations to every request, and counts how often each
//! changed one. A mutation with count 0 proves nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::answer::Answer;
use super::cache::Cache;
use super::mutation::{Done, Mutation, Own};
use super::upstream::Upstream;
use super::{Asked, Between};

/// Applies mutations.
pub struct Mutator {
    mutations: Vec<(Mutation, AtomicUsize)>,
    own: Own,
    cache: Cache,
}

impl Mutator {
    /// A proxy with these mutations. Without any, it changes nothing.
    pub fn new(mutations: &[Mutation], own: Own) -> Self {
        let mutations = mutations.iter().map(|mutation| (*mutation, AtomicUsize::new(0))).collect();
        Self { mutations, own, cache: Cache::default() }
    }

    /// How often each mutation was applied.
    pub fn applied(&self) -> Vec<(Mutation, usize)> {
        self.mutations.iter().map(|(mutation, count)| (*mutation, count.load(Ordering::Relaxed))).collect()
    }
}

/// The mark in the errors of the proxy, which distinguishes them from those of the upstream.
pub fn mark(row: &str) -> String {
    format!("[turned away for {row}]")
}

impl Between for Mutator {
    async fn answer(&self, mut asked: Asked, upstreams: &[Upstream]) -> Answer {
        let mut cached = None;
        for (mutation, count) in &self.mutations {
            if *mutation == Mutation::CacheByPrompt {
                cached = Some(count);
            }
            match mutation.apply(&mut asked, &self.own) {
                Done::Nothing => {}
                Done::Changed => {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Done::Refused => {
                    count.fetch_add(1, Ordering::Relaxed);
                    return refusal(mutation.row().unwrap_or_default());
                }
            }
        }
        let Some(count) = cached else { return upstreams[0].ask(&asked).await };
        let (answer, hit) = self.cache.answer(&asked, &upstreams[0]).await;
        count.fetch_add(usize::from(hit), Ordering::Relaxed);
        answer
    }
}

/// The rejection of a field.
fn refusal(row: &str) -> Answer {
    let message = format!("this gateway does not take such requests {}", mark(row));
    // A rejected credential gets an authentication error.
    if row.starts_with("header.") && row != "header.anthropic-beta" {
        Answer::error(401, "authentication_error", &message)
    } else {
        Answer::refusal(&message)
    }
}
