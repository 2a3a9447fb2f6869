//! Who listens to a run: the recording on disk, the recording in memory, and the progress bar. None knows another.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::sending::Redact;
use super::watch::{Bar, Bars};
use crate::engine::recording::{Line, write_line};
use crate::engine::{Event, Listener, texts};
use crate::gateway;
use crate::proof::Told;

/// Writes a recording as it goes. The first error is kept, and writing ends there.
pub struct RecordingFile<W: Write + Send> {
    writer: W,
    redact: Redact,
    error: Option<io::Error>,
}

impl<W: Write + Send> RecordingFile<W> {
    /// A recording that writes to `writer`.
    pub fn new(writer: W, redact: Redact) -> Self {
        Self { writer, redact, error: None }
    }

    /// Writes a line.
    pub fn line(&mut self, line: &Line) {
        if self.error.is_none() {
            self.error = write_line(&mut self.writer, line).err();
        }
    }

    /// What went wrong, if anything did.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }
}

impl<W: Write + Send> Listener for RecordingFile<W> {
    fn on(&mut self, event: Event<'_>) {
        match (event, self.redact) {
            // Secrets never come this far: the client takes them out of whatever it gets.
            (Event::Exchange(exchange), Redact::Secrets) => self.line(&Line::Exchange(Box::new(exchange.clone()))),
            (Event::Exchange(exchange), Redact::Texts) => {
                self.line(&Line::Exchange(Box::new(texts::without(exchange))))
            }
            (Event::Trial(trial), Redact::Secrets) => self.line(&Line::Trial(trial.clone())),
            (Event::Trial(trial), Redact::Texts) => self.line(&Line::Trial(texts::without_values(trial))),
            (Event::RowStarted(_) | Event::AskedAgain(_) | Event::Verdict(..), _) => {}
        }
    }
}

/// Writes the recording of a gateway as it goes, and shows how far it is.
pub struct GatewayListener<W: Write + Send> {
    writer: W,
    error: Option<io::Error>,
    bar: Option<Bar>,
    requests: u64,
}

impl<W: Write + Send> GatewayListener<W> {
    /// A recording that writes to `writer`, and a bar for so many rows, where it is to be shown.
    pub fn new(writer: W, name: &str, rows: usize, shown: bool) -> Self {
        let bar = shown.then(|| Bars::new(1).run(name, rows as u64));
        Self { writer, error: None, bar, requests: 0 }
    }

    /// Writes a line.
    pub fn line(&mut self, line: &gateway::recording::Line) {
        if self.error.is_none() {
            self.error = gateway::recording::write_line(&mut self.writer, line).err();
        }
    }

    /// What went wrong with the recording, if anything did.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.iter().for_each(Bar::clear);
    }
}

impl<W: Write + Send> gateway::Listener for GatewayListener<W> {
    fn on(&mut self, event: gateway::Event<'_>) {
        match event {
            gateway::Event::Trial(trial) => {
                self.requests += 1;
                if let Some(bar) = &self.bar {
                    bar.say(format!("{} requests, {}", self.requests, trial.row));
                }
                self.line(&gateway::recording::Line::Trial(Box::new(trial.clone())));
            }
            gateway::Event::Call(call) => self.line(&gateway::recording::Line::Call(Box::new(call.clone()))),
            gateway::Event::Row(_) => self.bar.iter().for_each(Bar::row),
        }
    }
}

/// A progress bar for a proof, on standard error.
pub struct MutantsBar {
    bar: ProgressBar,
}

impl MutantsBar {
    /// A bar; hidden unless `shown`.
    pub fn new(shown: bool) -> Self {
        let bar = ProgressBar::with_draw_target(
            None,
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} mutants  {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Shows how far it is.
    pub fn on(&mut self, told: Told<'_>) {
        match told {
            Told::Ground(name) => {
                self.bar.set_prefix(name.to_owned());
                self.bar.set_position(0);
            }
            Told::Mutants(n) => self.bar.set_length(n),
            Told::Done(n) => self.bar.inc(n),
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
