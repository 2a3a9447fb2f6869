//! The mutating proxy itself: a list of mutations, applied to every request, each with a count of how often it did
//! anything at all. A mutation that was never applied proves nothing, so whoever reads a result must read its count.

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
    /// A proxy with these mutations; with none it lets everything pass.
    pub fn new(mutations: &[Mutation], own: Own) -> Self {
        let mutations = mutations.iter().map(|mutation| (*mutation, AtomicUsize::new(0))).collect();
        Self { mutations, own, cache: Cache::default() }
    }

    /// How often each mutation was applied.
    pub fn applied(&self) -> Vec<(Mutation, usize)> {
        self.mutations.iter().map(|(mutation, count)| (*mutation, count.load(Ordering::Relaxed))).collect()
    }
}

/// The mark that a refusal carries, so that it can be told whose doing it is.
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

/// A refusal of a field, in words of the proxy's own.
fn refusal(row: &str) -> Answer {
    let message = format!("this gateway does not take such requests {}", mark(row));
    // A credential that is not taken is refused as one.
    if row.starts_with("header.") && row != "header.anthropic-beta" {
        Answer::error(401, "authentication_error", &message)
    } else {
        Answer::refusal(&message)
    }
}
