//! The verdict and the gateway verdict of an observation: [`DecidedRow`]. Pure.

use crate::catalog::GatewayRowSubject;
use crate::gateway::outcome::behaviour::BehaviourObservation;
use crate::gateway::outcome::matcher::GatewayObservation;
use crate::gateway::outcome::undetermined::UndeterminedReason;
use crate::recording::gateway::GatewayTrial;
use crate::results::gateway::{GatewayVerdict, GatewayVerdictKind, GatewayWay};
use crate::results::model::{EvidenceKind, Verdict};
use crate::results::reason::ReasonData;

/// The way that a row is about.
pub(super) fn find_way(subject: GatewayRowSubject<'_>) -> GatewayWay {
    match subject {
        GatewayRowSubject::Request { .. } => GatewayWay::Request,
        GatewayRowSubject::Response { .. } => GatewayWay::Response,
        GatewayRowSubject::Behaviour(_) => GatewayWay::Behaviour,
    }
}

/// A row with its verdicts and the trial that shows them best.
#[derive(Debug)]
pub(super) struct DecidedRow<'a> {
    /// The ordinary verdict.
    pub verdict: Verdict,
    /// The gateway verdict.
    pub gateway_verdict: GatewayVerdict,
    /// The trial that shows it.
    pub deciding_trial: Option<&'a GatewayTrial>,
}

impl<'a> DecidedRow<'a> {
    /// A row about a field of a request or a part of a response.
    pub(super) fn from_value(
        observation: &GatewayObservation,
        subject: GatewayRowSubject<'_>,
        deciding_trial: Option<&'a GatewayTrial>,
    ) -> Self {
        let is_request = matches!(subject, GatewayRowSubject::Request { .. });
        let (because, gateway_verdict) = match observation {
            GatewayObservation::Forwarded { place } => {
                let place = place.clone();
                let gateway_verdict =
                    GatewayVerdict { place: Some(place.clone()), ..empty_verdict(GatewayVerdictKind::Forwarded) };
                let because = if is_request {
                    ReasonData::ValueReachedUpstream { place }
                } else {
                    ReasonData::ValueReachedClient { place }
                };
                (because, gateway_verdict)
            }
            GatewayObservation::Changed { from, to, place } => {
                let (from, to, place) = (from.clone(), to.clone(), place.clone());
                let gateway_verdict = GatewayVerdict {
                    place: Some(place.clone()),
                    from: Some(from.clone()),
                    to: Some(to.clone()),
                    ..empty_verdict(GatewayVerdictKind::Changed)
                };
                (ReasonData::ValueChanged { from, to, place }, gateway_verdict)
            }
            GatewayObservation::Dropped { note } => {
                let note = note.clone();
                let because = if is_request {
                    ReasonData::RequestLacksValue { note }
                } else {
                    ReasonData::ResponseLacksValue { note }
                };
                (because, empty_verdict(GatewayVerdictKind::Dropped))
            }
            GatewayObservation::Refused { message } => {
                let message = message.clone();
                let gateway_verdict =
                    GatewayVerdict { to: Some(message.clone()), ..empty_verdict(GatewayVerdictKind::Refused) };
                let because = if is_request {
                    ReasonData::GatewayRejects { message }
                } else {
                    ReasonData::GatewayReplacesResponse { message }
                };
                (because, gateway_verdict)
            }
            GatewayObservation::Undetermined(code, because) => {
                return Self::undetermined(*code, because.clone(), deciding_trial);
            }
        };
        Self::decided(because, gateway_verdict, deciding_trial)
    }

    /// A row about a behaviour.
    pub(super) fn from_behaviour(observation: BehaviourObservation, deciding_trial: Option<&'a GatewayTrial>) -> Self {
        match observation {
            BehaviourObservation::AsExpected(observed) => {
                let because = ReasonData::BehaviourAsExpected { observed };
                Self::decided(because, empty_verdict(GatewayVerdictKind::Forwarded), deciding_trial)
            }
            BehaviourObservation::Differs { expected, observed, place } => {
                let gateway_verdict = GatewayVerdict {
                    place: Some(place.to_owned()),
                    from: Some(expected.to_string()),
                    to: Some(observed.to_string()),
                    ..empty_verdict(GatewayVerdictKind::Changed)
                };
                Self::decided(ReasonData::BehaviourDiffers { expected, observed }, gateway_verdict, deciding_trial)
            }
            BehaviourObservation::Undetermined(code, because) => Self::undetermined(code, because, deciding_trial),
        }
    }

    /// A row without a decision.
    pub(super) fn undetermined(
        code: UndeterminedReason,
        because: ReasonData,
        deciding_trial: Option<&'a GatewayTrial>,
    ) -> Self {
        let kind = match code {
            UndeterminedReason::NotFinished => GatewayVerdictKind::Skipped,
            UndeterminedReason::NotAsked
            | UndeterminedReason::GatewayFailed
            | UndeterminedReason::ClientRefused
            | UndeterminedReason::Uncorrelated
            | UndeterminedReason::AskedTwiceDifferently
            | UndeterminedReason::BaseRefused
            | UndeterminedReason::Crossed
            | UndeterminedReason::Merged
            | UndeterminedReason::AlreadyThere
            | UndeterminedReason::Unsteady => GatewayVerdictKind::Undetermined,
        };
        let verdict = Verdict { code: Some(code.as_str().to_owned()), ..Verdict::new(kind.status(), because) };
        Self { verdict, gateway_verdict: empty_verdict(kind), deciding_trial }
    }

    fn decided(because: ReasonData, gateway_verdict: GatewayVerdict, deciding_trial: Option<&'a GatewayTrial>) -> Self {
        let verdict = Verdict::new(gateway_verdict.kind.status(), because);
        let verdict = Verdict { evidence: Some(EvidenceKind::Seen), ..verdict };
        Self { verdict, gateway_verdict, deciding_trial }
    }
}

fn empty_verdict(kind: GatewayVerdictKind) -> GatewayVerdict {
    GatewayVerdict { kind, way: None, place: None, from: None, to: None, upstream: None }
}
