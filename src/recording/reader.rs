//! Reads a [`Recording`] from its file: validates the order of the lines and replaces the lines of
//! resumed runs.

use std::collections::HashSet;
use std::io::BufRead;

use crate::recording::jsonl::{RecordingError, RecordingLine, read_lines, verify_count};
use crate::recording::positions::{RecordingPositions, upsert};
use crate::recording::run::{Recording, RunHeader, RunLine, SCHEMA, is_complete};
use crate::results::json;

impl RecordingLine for RunLine {
    const SCHEMA: &'static str = SCHEMA;

    fn header_schema(&self) -> Option<&str> {
        match self {
            Self::Header(header) => Some(&header.schema),
            _ => None,
        }
    }

    fn is_footer(&self) -> bool {
        matches!(self, Self::Footer(_))
    }

    fn may_follow_footer(&self) -> bool {
        matches!(self, Self::Resumed(_))
    }
}

/// The line of each exchange, from 1, in the order of [`Recording::exchanges`].
pub type LineNumbers = Vec<usize>;

/// Reads a recording.
///
/// # Errors
/// The first problem, with its line.
pub fn read_recording(reader: impl BufRead) -> Result<Recording, RecordingError> {
    read_recording_with_lines(reader).map(|(recording, _)| recording)
}

/// Reads a recording, and the line of each exchange.
///
/// # Errors
/// The first problem, with its line.
pub fn read_recording_with_lines(reader: impl BufRead) -> Result<(Recording, LineNumbers), RecordingError> {
    let mut builder: Option<RecordingBuilder> = None;
    read_lines(reader, |line, parsed: RunLine| match (parsed, &mut builder) {
        (RunLine::Header(header), _) if !(0.5..1.0).contains(&header.confidence) => {
            let problem = format!("the confidence is {}. It must be from 0.5 to 1", header.confidence);
            Err(RecordingError::InvalidLine { line, problem })
        }
        (RunLine::Header(header), _) => {
            builder = Some(RecordingBuilder::new(*header));
            Ok(())
        }
        (parsed, Some(builder)) => builder.add_line(line, parsed),
        (_, None) => Err(RecordingError::NoHeader(SCHEMA)),
    })?;
    builder.ok_or(RecordingError::NoHeader(SCHEMA))?.finish()
}

/// A recording that is being read.
struct RecordingBuilder {
    recording: Recording,
    exchange_lines: LineNumbers,
    trial_lines: LineNumbers,
    /// Exchanges and trials replace earlier ones: a request may be sent again.
    positions: RecordingPositions,
}

impl RecordingBuilder {
    fn new(header: RunHeader) -> Self {
        let recording = Recording::new(header);
        Self {
            recording,
            exchange_lines: Vec::new(),
            trial_lines: Vec::new(),
            positions: RecordingPositions::default(),
        }
    }

    fn add_line(&mut self, line: usize, parsed: RunLine) -> Result<(), RecordingError> {
        let invalid = |problem: &str| Err(RecordingError::InvalidLine { line, problem: problem.to_owned() });
        let recording = &mut self.recording;
        match parsed {
            // The caller handles headers.
            RunLine::Header(_) => {}
            RunLine::Exchange(exchange) => {
                let position = self.positions.upsert_exchange(recording, *exchange);
                upsert(&mut self.exchange_lines, position, line);
            }
            RunLine::Trial(trial) => {
                let position = self.positions.upsert_trial(recording, trial);
                upsert(&mut self.trial_lines, position, line);
            }
            RunLine::Resumed(_) if is_complete(recording) => {
                return invalid("a resumed run follows the footer of a complete run");
            }
            RunLine::Resumed(_) => {
                verify_counts(recording)?;
                recording.footer = None;
            }
            RunLine::Withdrawn(withdrawn) => {
                let is_kept: Vec<bool> = recording.trials.iter().map(|trial| !withdrawn.contains(&trial.key)).collect();
                let (mut kept_trials, mut kept_lines) = (is_kept.iter(), is_kept.iter());
                recording.trials.retain(|_| kept_trials.next().copied().unwrap_or(true));
                self.trial_lines.retain(|_| kept_lines.next().copied().unwrap_or(true));
                self.positions = RecordingPositions::new(recording);
            }
            RunLine::Results(_) if !recording.header.scope.texts_removed => {
                return invalid("results in a recording that has its texts");
            }
            RunLine::Results(results) => {
                if let Err(problem) = json::validate(&results) {
                    return invalid(&format!("the results: {problem}"));
                }
                recording.header.scope.results = Some(results);
            }
            RunLine::Footer(footer) => recording.footer = Some(footer),
        }
        Ok(())
    }

    fn finish(self) -> Result<(Recording, LineNumbers), RecordingError> {
        let ids: HashSet<&str> = self.recording.exchanges.iter().map(|exchange| exchange.id.as_str()).collect();
        for (trial, line) in self.recording.trials.iter().zip(self.trial_lines) {
            if let Some(missing) = trial.exchanges.iter().find(|id| !ids.contains(id.as_str())) {
                let (trial, exchange) = (trial.key.clone(), missing.clone());
                return Err(RecordingError::MissingExchange { line, trial, exchange });
            }
        }
        verify_counts(&self.recording)?;
        Ok((self.recording, self.exchange_lines))
    }
}

/// Compares the counts of the footer with the lines before it.
fn verify_counts(recording: &Recording) -> Result<(), RecordingError> {
    let Some(counts) = recording.footer.as_ref().and_then(|footer| footer.counts) else { return Ok(()) };
    verify_count("exchange", counts.exchanges, recording.exchanges.len())?;
    verify_count("trial", counts.trials, recording.trials.len())
}
