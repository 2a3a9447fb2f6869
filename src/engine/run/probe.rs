//! Runs the probes: the requests before the first row. `engine/probes.rs` says which, and what their
//! responses show.

use futures_util::future::join_all;

use crate::client::MessagesEndpoint;
use crate::engine::instructions::{INSTRUCTION_PROBE, label_arm, next_instruction};
use crate::engine::probes::{self, ProbeTrials};
use crate::engine::rules::RunFacts;
use crate::engine::run::RowRunner;
use crate::engine::run::scheduler::RowPriority;
use crate::engine::trial::CompletedTrial;
use crate::recording::request_settings::TextForm;
use crate::recording::run::{ArmKind, TrialKey};

impl<E: MessagesEndpoint> RowRunner<'_, E> {
    /// Finds the form of texts that the endpoint reads. All later requests use it.
    pub(super) async fn probe_text_form(&mut self) -> Vec<CompletedTrial> {
        let (probe, text_form_arm) = (probes::probe_experiment(), label_arm());
        let mut trials: Vec<CompletedTrial> = Vec::new();
        loop {
            let arm = match probes::text_form(&trials) {
                Ok(text_form) => {
                    self.text_form = text_form;
                    return trials;
                }
                Err(arm) => arm,
            };
            self.text_form = if arm == ArmKind::Positive { TextForm::Blocks } else { TextForm::String };
            let earlier_trials = trials.iter().filter(|trial| trial.arm == arm).count() as u32;
            let key =
                TrialKey { row: probes::TEXT_FORM_PROBE.to_owned(), variant: None, arm, trial: earlier_trials + 1 };
            let slot = self.scheduler.create_slot(0, RowPriority::InOrder);
            let trial = self.run_simple_trial(&probe, &[&text_form_arm], key, &slot).await;
            drop(slot);
            match trial {
                Some(trial) => trials.push(trial),
                None => {
                    self.text_form = TextForm::String;
                    return trials;
                }
            }
        }
    }

    /// Sends further instructions if the endpoint followed none so far. `None` if the run ends.
    async fn probe_instructions(&self, text_form_trials: &[CompletedTrial]) -> Option<Vec<CompletedTrial>> {
        let probe = probes::probe_experiment();
        let mut trials: Vec<CompletedTrial> = Vec::new();
        while let Some((arm, instruction)) = next_instruction(text_form_trials, &trials) {
            let earlier_trials = trials.iter().filter(|trial| trial.arm == arm).count() as u32;
            let key = TrialKey { row: INSTRUCTION_PROBE.to_owned(), variant: None, arm, trial: earlier_trials + 1 };
            let slot = self.scheduler.create_slot(0, RowPriority::InOrder);
            trials.push(self.run_simple_trial(&probe, &[&instruction], key, &slot).await?);
        }
        Some(trials)
    }

    /// Runs the instruction probe and the strictness probe. `None` if the simple request gets no
    /// message: then no row can be decided, and nothing more is sent.
    pub(super) async fn find_facts(&self, text_form_trials: &[CompletedTrial]) -> Option<RunFacts> {
        let instruction_trials = self.probe_instructions(text_form_trials).await?;
        let probe = &probes::probe_experiment();
        let has_answer = text_form_trials.iter().any(|trial| trial.message().is_some());
        let mut trials: Vec<CompletedTrial> = Vec::new();
        loop {
            let needed = probes::next_strictness_arms(&trials, has_answer);
            if needed.is_empty() {
                break;
            }
            let run_arm = |(rank, (arm, probe_arm))| async move {
                let key = TrialKey { row: probes::STRICTNESS_PROBE.to_owned(), variant: None, arm, trial: 1 };
                let slot = self.scheduler.create_slot(rank, RowPriority::InOrder);
                self.run_simple_trial(probe, &[&probe_arm], key, &slot).await
            };
            let completed = join_all(needed.into_iter().enumerate().map(run_arm)).await;
            trials.extend(completed.into_iter().collect::<Option<Vec<CompletedTrial>>>()?);
        }
        trials.first()?.message()?;
        let trials =
            ProbeTrials { text_form: text_form_trials, instructions: &instruction_trials, strictness: &trials };
        Some(probes::run_facts(self.options.confidence, self.options.seed, trials))
    }
}
