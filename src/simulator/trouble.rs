//! Trouble of the account or the service: [`TroubleSchedule`] makes the server reject every request
//! for a while, and a content filter rejects requests at random.
//!
//! Neither depends on the content of a request.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::{SimulatedTroubleKind, SimulatorConfig};
use crate::simulator::hash::RunningHash;

/// The response to a request that meets trouble.
#[derive(Debug)]
pub(super) enum TroubleResponse {
    /// An error of the API.
    Error(ApiError),
    /// A web page under HTTP 200.
    Page,
}

/// The requests so far, and the start of the trouble.
#[derive(Debug, Default)]
pub(super) struct TroubleSchedule {
    request_count: AtomicU64,
    began: OnceLock<Instant>,
}

impl TroubleSchedule {
    /// Counts a request. Returns the response if it meets trouble.
    pub fn intercept_request(&self, config: &SimulatorConfig, now: Instant) -> Option<TroubleResponse> {
        let earlier_requests = self.request_count.fetch_add(1, Ordering::Relaxed);
        let impairments = &config.impairments;
        if let Some(trouble) = impairments.trouble.filter(|trouble| earlier_requests >= trouble.after_requests) {
            let elapsed = now.saturating_duration_since(*self.began.get_or_init(|| now));
            if trouble.duration.is_none_or(|duration| elapsed < duration) {
                return Some(trouble.kind.response(&config.model));
            }
        }
        let drawn = RunningHash::new("content filter").with_number(config.seed).with_number(earlier_requests).value();
        let is_filtered = (drawn as f64) < impairments.rate_filter * u64::MAX as f64;
        is_filtered.then(|| invalid_request("Input data may contain inappropriate content."))
    }
}

impl SimulatedTroubleKind {
    fn response(self, model: &str) -> TroubleResponse {
        let error = |kind, message: &str| TroubleResponse::Error(ApiError::new(kind, message));
        match self {
            Self::Credit => invalid_request("Your credit balance is too low to access this API."),
            Self::Quota => invalid_request("You exceeded your current quota."),
            Self::RateLimit => invalid_request("Too many requests, please slow down."),
            Self::Deployment => error(ApiErrorKind::NotFound, &format!("model: {model}")),
            Self::Region => error(ApiErrorKind::Permission, "the model is not available in your region"),
            Self::Key => error(ApiErrorKind::Authentication, "the API key has expired"),
            Self::Internal => error(ApiErrorKind::Internal, "internal server error"),
            Self::Page => TroubleResponse::Page,
        }
    }
}

fn invalid_request(message: &str) -> TroubleResponse {
    TroubleResponse::Error(ApiError::new(ApiErrorKind::InvalidRequest, message))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::simulator::config::{SimulatedTrouble, SimulatorImpairments};

    fn config(impairments: SimulatorImpairments) -> SimulatorConfig {
        SimulatorConfig { impairments, ..SimulatorConfig::default() }
    }

    #[test]
    fn trouble_begins_after_a_number_of_requests_and_ends_after_a_time() {
        let trouble = SimulatedTrouble {
            kind: SimulatedTroubleKind::Credit,
            after_requests: 2,
            duration: Some(Duration::from_secs(5)),
        };
        let config = config(SimulatorImpairments { trouble: Some(trouble), ..SimulatorImpairments::default() });
        let (schedule, now) = (TroubleSchedule::default(), Instant::now());
        let meets_trouble = |seconds| schedule.intercept_request(&config, now + Duration::from_secs(seconds)).is_some();
        assert_eq!([0, 1, 2, 6, 7].map(meets_trouble), [false, false, true, true, false]);
    }

    #[test]
    fn a_content_filter_rejects_a_share_of_the_requests() {
        let config = config(SimulatorImpairments { rate_filter: 0.05, ..SimulatorImpairments::default() });
        let (schedule, now) = (TroubleSchedule::default(), Instant::now());
        let rejected = (0..10_000).filter(|_| schedule.intercept_request(&config, now).is_some()).count();
        assert!((400..600).contains(&rejected), "{rejected}");
    }
}
