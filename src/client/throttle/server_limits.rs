//! [`AdvertisedLimits`]: the limits in the `anthropic-ratelimit-*` headers of the server, followed
//! before the server has to reject requests.
//!
//! The headers say what remained at the start of a response. Requests in flight may have used a
//! part of it since, so they are subtracted. When half of a limit is used, requests are spread over
//! the time until its reset. Time is an argument.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::client::retry::MAX_RETRY_AFTER;
use crate::wire::exchange::Response;

/// The kinds of limits, as in the names of the headers.
const LIMIT_KINDS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];

/// The part of the limits that requests use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RequestDemand {
    pub requests: u64,
    /// Estimated before sending.
    pub tokens: u64,
}

impl RequestDemand {
    /// One request of about this many tokens.
    pub(crate) fn from_tokens(tokens: u32) -> Self {
        Self { requests: 1, tokens: tokens.into() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens += other.tokens;
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.requests = self.requests.saturating_sub(other.requests);
        self.tokens = self.tokens.saturating_sub(other.tokens);
    }
}

/// The last advertised state of each kind of limit.
#[derive(Debug, Default)]
pub(crate) struct AdvertisedLimits([Option<LimitWindow>; LIMIT_KINDS.len()]);

impl AdvertisedLimits {
    /// Learns from the response to a request sent at `sent`. `date` is the date at `now`.
    pub(crate) fn observe(&mut self, response: &Response, sent: Instant, now: Instant, date: Timestamp) {
        for (known, kind) in self.0.iter_mut().zip(LIMIT_KINDS) {
            let Some(new) = LimitWindow::from_response(response, kind, sent, now, date) else { continue };
            // Responses to concurrent requests arrive in any order, so the lowest value counts.
            if known.is_none_or(|old| sent >= old.observed_at || now >= old.resets_at || new.remaining < old.remaining)
            {
                *known = Some(new);
            }
        }
    }

    /// The time before which a request with this demand must not be sent, if there is one.
    pub(crate) fn blocked_until(
        &self,
        demand: RequestDemand,
        in_flight: RequestDemand,
        now: Instant,
    ) -> Option<Instant> {
        let windows = self.0.iter().flatten();
        let exhausted = windows.filter(|window| now < window.resets_at && !window.has_room_for(demand, in_flight));
        exhausted.map(|window| window.resets_at).max()
    }

    /// The interval between requests with this demand that makes the limits last until their reset.
    pub(crate) fn min_interval(&self, demand: RequestDemand, in_flight: RequestDemand, now: Instant) -> Duration {
        self.0.iter().flatten().map(|window| window.min_interval(demand, in_flight, now)).max().unwrap_or_default()
    }
}

/// The advertised state of one kind of limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LimitWindow {
    counts_tokens: bool,
    limit: Option<u64>,
    remaining: u64,
    observed_at: Instant,
    /// When the limit is full again.
    resets_at: Instant,
    /// The time from sending the request to the reset.
    window: Duration,
}

impl LimitWindow {
    fn from_response(response: &Response, kind: &str, sent: Instant, now: Instant, date: Timestamp) -> Option<Self> {
        let header = |name: &str| response.header(&format!("anthropic-ratelimit-{kind}-{name}")).map(str::trim);
        let number = |name: &str| header(name).and_then(|number| number.parse::<u64>().ok());
        let reset: Timestamp = header("reset")?.parse().ok()?;
        let wait = reset.duration_since(date);
        let until_reset = Duration::try_from(wait).unwrap_or_default();
        // Too long to wait. The requests fail instead, and the run soon ends.
        if matches!(response.status, 429 | 529) && until_reset > MAX_RETRY_AFTER {
            return None;
        }
        // The values are as old as the request, and a slow response may even arrive after the
        // reset.
        let window =
            Duration::try_from(wait.saturating_add(now.duration_since(sent).try_into().ok()?)).unwrap_or_default();
        // A limit of 0 in the headers of a response means that there is no limit.
        let (limit, remaining) = (number("limit"), number("remaining")?);
        if (limit, remaining) == (Some(0), 0) {
            return None;
        }
        Some(Self {
            counts_tokens: kind != "requests",
            limit: limit.filter(|limit| *limit > 0),
            remaining,
            observed_at: now,
            resets_at: now + until_reset.min(MAX_RETRY_AFTER),
            window: window.min(MAX_RETRY_AFTER),
        })
    }

    fn count_units(self, demand: RequestDemand) -> u64 {
        if self.counts_tokens { demand.tokens } else { demand.requests }
    }

    /// The units that remain for certain: the remaining ones, or after the reset the full limit,
    /// minus those in flight. `None` if unknown.
    fn available(self, in_flight: RequestDemand, now: Instant) -> Option<u64> {
        let remaining = if now < self.resets_at { self.remaining } else { self.limit? };
        Some(remaining.saturating_sub(self.count_units(in_flight)))
    }

    fn has_room_for(self, demand: RequestDemand, in_flight: RequestDemand) -> bool {
        // A request above the full limit never fits, so send it as soon as the limit is full.
        let needed = self.count_units(demand).min(self.limit.unwrap_or(u64::MAX));
        needed <= self.remaining.saturating_sub(self.count_units(in_flight))
    }

    /// Zero while more than half of the limit remains.
    fn min_interval(self, demand: RequestDemand, in_flight: RequestDemand, now: Instant) -> Duration {
        let Some(available) = self.available(in_flight, now) else { return Duration::ZERO };
        if self.limit.is_some_and(|limit| limit - available.min(limit) < available) {
            return Duration::ZERO;
        }
        let used = self.limit.map_or(0, |limit| limit.saturating_sub(self.remaining));
        // Until the reset, a limit that refills continuously returns the used units, and one that
        // refills at the reset has the remaining units. The headers do not say which kind it is.
        let units = self.remaining.max(used).max(1);
        let share = self.count_units(demand) as f64 / units as f64;
        self.window.mul_f64(share.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::BodyBytes;

    fn date() -> Timestamp {
        "2026-11-06T08:49:37Z".parse().unwrap()
    }

    /// The headers of one kind of limit. `seconds` is the time until the reset.
    fn limit_headers(kind: &str, limit: Option<u64>, remaining: u64, seconds: i64) -> Vec<(String, String)> {
        let reset = date() + jiff::SignedDuration::from_secs(seconds);
        let name = |suffix: &str| format!("anthropic-ratelimit-{kind}-{suffix}");
        let mut headers = vec![(name("remaining"), remaining.to_string()), (name("reset"), reset.to_string())];
        headers.extend(limit.map(|limit| (name("limit"), limit.to_string())));
        headers
    }

    fn ok_response(headers: Vec<(String, String)>) -> Response {
        Response { status: 200, headers, body: BodyBytes::default(), arrivals: Vec::new(), cut: None }
    }

    /// The limits after a response that took no time.
    fn observe_headers(headers: Vec<(String, String)>) -> (AdvertisedLimits, Instant) {
        let (mut limits, now) = (AdvertisedLimits::default(), Instant::now());
        limits.observe(&ok_response(headers), now, now, date());
        (limits, now)
    }

    fn request_demand(requests: u64) -> RequestDemand {
        RequestDemand { requests, tokens: 0 }
    }

    const NO_DEMAND: RequestDemand = RequestDemand { requests: 0, tokens: 0 };

    #[test]
    fn an_exhausted_limit_blocks_until_its_reset() {
        let seconds = |headers: Vec<(String, String)>| {
            let (limits, now) = observe_headers(headers);
            limits
                .blocked_until(RequestDemand::from_tokens(100), NO_DEMAND, now)
                .map_or(0, |until| (until - now).as_secs())
        };
        assert_eq!(seconds(limit_headers("requests", None, 0, 3)), 3);
        assert_eq!(
            seconds([limit_headers("requests", None, 0, 3), limit_headers("output-tokens", None, 0, 10)].concat()),
            10
        );
        assert_eq!(seconds(limit_headers("requests", None, 1, 3)), 0);
        assert_eq!(seconds(limit_headers("tokens", None, 99, 3)), 3, "less than this request needs");
        assert_eq!(seconds(limit_headers("tokens", None, 100, 3)), 0);
        assert_eq!(seconds(limit_headers("tokens", Some(50), 50, 3)), 0, "more than the full limit");
        assert_eq!(seconds(limit_headers("requests", Some(0), 0, 60)), 0, "a limit of 0 is no limit");
        assert_eq!(seconds(limit_headers("requests", None, 0, -1_000_000)), 0);
        assert_eq!(seconds(limit_headers("requests", None, 0, 1_000_000)), MAX_RETRY_AFTER.as_secs());
        assert_eq!(seconds(vec![("anthropic-ratelimit-requests-remaining".to_owned(), "0".to_owned())]), 0);
    }

    #[test]
    fn requests_in_flight_count_as_used() {
        let (limits, now) = observe_headers(limit_headers("requests", Some(50), 3, 60));
        let reset = now + Duration::from_secs(60);
        for (in_flight, until) in [(0, None), (2, None), (3, Some(reset)), (30, Some(reset))] {
            assert_eq!(limits.blocked_until(request_demand(1), request_demand(in_flight), now), until, "{in_flight}");
        }
        // After the reset, earlier requests do not count.
        assert_eq!(limits.blocked_until(request_demand(1), request_demand(3), reset), None);
        // With this many in flight, the next request may be beyond half of the limit.
        let (limits, now) = observe_headers(limit_headers("requests", Some(50), 40, 60));
        for (in_flight, interval) in [(0, 0.0), (14, 0.0), (15, 1.5), (39, 1.5)] {
            assert_eq!(
                limits.min_interval(request_demand(1), request_demand(in_flight), now),
                Duration::from_secs_f64(interval),
                "{in_flight}"
            );
        }
    }

    #[test]
    fn remaining_requests_are_spread_over_the_time_until_the_reset() {
        let interval = |headers: Vec<(String, String)>| {
            let (limits, now) = observe_headers(headers);
            limits.min_interval(RequestDemand::from_tokens(200), NO_DEMAND, now)
        };
        assert_eq!(interval(limit_headers("requests", Some(50), 40, 60)), Duration::ZERO, "more than half remains");
        assert_eq!(interval(limit_headers("requests", Some(50), 20, 60)), Duration::from_secs(2));
        assert_eq!(interval(limit_headers("requests", None, 10, 60)), Duration::from_secs(6), "the limit is unknown");
        assert_eq!(
            interval(limit_headers("requests", Some(0), 10, 60)),
            Duration::from_secs(6),
            "a limit of 0 is no limit"
        );
        assert_eq!(interval(limit_headers("tokens", Some(40_000), 10_000, 30)), Duration::from_millis(200));
        let both =
            [limit_headers("requests", Some(50), 20, 60), limit_headers("input-tokens", Some(1000), 100, 60)].concat();
        assert_eq!(interval(both), Duration::from_secs_f64(60.0 * 200.0 / 900.0));
        assert!(interval(limit_headers("tokens", None, 1, 1_000_000)) <= MAX_RETRY_AFTER);
    }

    #[test]
    fn the_headers_of_a_slow_response_are_as_old_as_its_request() {
        let (mut limits, sent) = (AdvertisedLimits::default(), Instant::now());
        let now = sent + Duration::from_secs(5);
        // Nothing remained when the request was sent, and the limit was full a second later.
        limits.observe(&ok_response(limit_headers("requests", Some(20), 0, -4)), sent, now, date());
        assert_eq!(limits.blocked_until(request_demand(1), request_demand(30), now), None);
        assert_eq!(limits.min_interval(request_demand(1), request_demand(30), now), Duration::from_millis(50));
        assert_eq!(limits.min_interval(request_demand(1), request_demand(5), now), Duration::ZERO);
    }

    #[test]
    fn the_lowest_value_of_concurrent_responses_counts() {
        let (mut limits, start) = observe_headers(limit_headers("requests", Some(20), 0, 1));
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut observe = |remaining: u64, seconds: i64, sent: Instant, now: Instant| {
            limits.observe(&ok_response(limit_headers("requests", Some(20), remaining, seconds)), sent, now, date());
            limits.0[0].map(|window| window.remaining)
        };
        let before = start.checked_sub(Duration::from_millis(9)).unwrap();
        assert_eq!(observe(7, 1, before, at(10)), Some(0));
        assert_eq!(observe(12, 2, at(1), at(20)), Some(12), "sent later");
        assert_eq!(observe(11, 2, at(2), at(21)), Some(11));
        assert_eq!(observe(13, 2, at(2), at(22)), Some(11));
        assert_eq!(observe(19, 60, at(3), at(3000)), Some(19), "the old window is over");
    }

    #[test]
    fn requests_are_not_spread_once_more_than_half_remains() {
        let (mut limits, start) = observe_headers(limit_headers("requests", Some(50), 5, 60));
        let mut after = |headers: Vec<(String, String)>| {
            limits.observe(&ok_response(headers), start, start, date());
            limits.min_interval(request_demand(1), NO_DEMAND, start)
        };
        assert!(after(Vec::new()) > Duration::ZERO, "a response without headers changes nothing");
        assert_eq!(after(limit_headers("requests", Some(50), 49, 1)), Duration::ZERO);
    }
}
