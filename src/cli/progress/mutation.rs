//! [`MutationProgressBar`]: the progress of a mutation proof.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::mutation::MutationEvent;

/// A progress bar on standard error.
pub struct MutationProgressBar {
    bar: ProgressBar,
}

impl MutationProgressBar {
    /// A bar that may be invisible.
    pub fn new(visible: bool) -> Self {
        let bar = ProgressBar::with_draw_target(
            None,
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} mutants  {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Shows the progress.
    pub fn update(&mut self, event: MutationEvent<'_>) {
        match event {
            MutationEvent::SubjectStarted(name) => {
                self.bar.set_prefix(name.to_owned());
                self.bar.set_position(0);
            }
            MutationEvent::MutantsPlanned(n) => self.bar.set_length(n),
            MutationEvent::MutantsDone(n) => self.bar.inc(n),
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
