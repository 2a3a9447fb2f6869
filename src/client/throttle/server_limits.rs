//! What a server tells of its own limits (`anthropic-ratelimit-*`), so that it is obeyed before it has to refuse.
//!
//! What is told is what was left when an answer was begun: requests that are under way may have taken of it since, so
//! no more are let through than it leaves room for. Where half of a limit is used up, what is left is spread over the
//! time until it is filled again. Time comes in as an argument.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::client::retry::MAX_RETRY_AFTER;
use crate::wire::exchange::Response;

/// The kinds of limit that the Messages API tells of, as they stand in its headers' names.
const LIMIT_KINDS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];

/// What requests take of limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RequestDemand {
    pub requests: u64,
    /// As they are estimated before sending.
    pub tokens: u64,
}

impl RequestDemand {
    /// One request of about so many tokens.
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

/// The last that a server told of each kind.
#[derive(Debug, Default)]
pub(crate) struct AdvertisedLimits([Option<LimitWindow>; LIMIT_KINDS.len()]);

impl AdvertisedLimits {
    /// Learns from the answer to a request that was sent at `sent`; `date` is the time of day `now`.
    pub(crate) fn observe(&mut self, response: &Response, sent: Instant, now: Instant, date: Timestamp) {
        for (known, kind) in self.0.iter_mut().zip(LIMIT_KINDS) {
            let Some(left) = LimitWindow::from_response(response, kind, sent, now, date) else { continue };
            // Requests that are under way together are answered in any order: of what they tell, the least counts.
            if known.is_none_or(|old| sent >= old.observed_at || now >= old.resets_at || left.remaining < old.remaining)
            {
                *known = Some(left);
            }
        }
    }

    /// Until when nothing is to be sent that takes `one`, while `under_way` is not answered.
    pub(crate) fn blocked_until(&self, one: RequestDemand, under_way: RequestDemand, now: Instant) -> Option<Instant> {
        let short = self.0.iter().flatten().filter(|left| now < left.resets_at && !left.has_room_for(one, under_way));
        short.map(|left| left.resets_at).max()
    }

    /// How far apart requests that take `one` each are to be, so that what is left lasts until the limit is filled again.
    pub(crate) fn min_interval(&self, one: RequestDemand, under_way: RequestDemand, now: Instant) -> Duration {
        self.0.iter().flatten().map(|left| left.min_interval(one, under_way, now)).max().unwrap_or_default()
    }
}

/// What is left of one kind of limit, by the server's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LimitWindow {
    counts_tokens: bool,
    limit: Option<u64>,
    remaining: u64,
    observed_at: Instant,
    /// When it is filled again.
    resets_at: Instant,
    /// How long that takes from when the request was sent.
    window: Duration,
}

impl LimitWindow {
    fn from_response(response: &Response, kind: &str, sent: Instant, now: Instant, date: Timestamp) -> Option<Self> {
        let header = |what: &str| response.header(&format!("anthropic-ratelimit-{kind}-{what}")).map(str::trim);
        let number = |what: &str| header(what).and_then(|number| number.parse::<u64>().ok());
        let reset: Timestamp = header("reset")?.parse().ok()?;
        let wait = reset.duration_since(date);
        let until_filled = Duration::try_from(wait).unwrap_or_default();
        // Nobody waits so long to be refused again: what is refused until then is soon given up.
        if matches!(response.status, 429 | 529) && until_filled > MAX_RETRY_AFTER {
            return None;
        }
        // An answer may take longer than the filling: what is told is as old as the request.
        let whole =
            Duration::try_from(wait.saturating_add(now.duration_since(sent).try_into().ok()?)).unwrap_or_default();
        // A limit of nothing that comes with an answer is no limit, and there is always nothing left of it.
        let (limit, remaining) = (number("limit"), number("remaining")?);
        if (limit, remaining) == (Some(0), 0) {
            return None;
        }
        Some(Self {
            counts_tokens: kind != "requests",
            limit: limit.filter(|limit| *limit > 0),
            remaining,
            observed_at: now,
            resets_at: now + until_filled.min(MAX_RETRY_AFTER),
            window: whole.min(MAX_RETRY_AFTER),
        })
    }

    fn count_units(self, load: RequestDemand) -> u64 {
        if self.counts_tokens { load.tokens } else { load.requests }
    }

    /// What is certainly left: what was, or all of it once it is filled again, without what is under way. `None` where
    /// nobody knows.
    fn available(self, under_way: RequestDemand, now: Instant) -> Option<u64> {
        let left = if now < self.resets_at { self.remaining } else { self.limit? };
        Some(left.saturating_sub(self.count_units(under_way)))
    }

    fn has_room_for(self, one: RequestDemand, under_way: RequestDemand) -> bool {
        // What takes more than all there is can only be tried.
        let wanted = self.count_units(one).min(self.limit.unwrap_or(u64::MAX));
        wanted <= self.remaining.saturating_sub(self.count_units(under_way))
    }

    /// Nothing while there is plenty.
    fn min_interval(self, one: RequestDemand, under_way: RequestDemand, now: Instant) -> Duration {
        let Some(free) = self.available(under_way, now) else { return Duration::ZERO };
        if self.limit.is_some_and(|limit| limit - free.min(limit) < free) {
            return Duration::ZERO;
        }
        let used = self.limit.map_or(0, |limit| limit.saturating_sub(self.remaining));
        // A limit that fills up bit by bit gives back by then what is used up; one that fills at once keeps what is left.
        let lasts = self.remaining.max(used).max(1);
        let part = self.count_units(one) as f64 / lasts as f64;
        self.window.mul_f64(part.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::BodyBytes;

    fn date() -> Timestamp {
        "2026-11-06T08:49:37Z".parse().unwrap()
    }

    /// What a server tells of one kind: its limit, what is left, and in how many seconds it is filled again.
    fn limit_headers(kind: &str, limit: Option<u64>, remaining: u64, seconds: i64) -> Vec<(String, String)> {
        let reset = date() + jiff::SignedDuration::from_secs(seconds);
        let name = |what: &str| format!("anthropic-ratelimit-{kind}-{what}");
        let mut headers = vec![(name("remaining"), remaining.to_string()), (name("reset"), reset.to_string())];
        headers.extend(limit.map(|limit| (name("limit"), limit.to_string())));
        headers
    }

    fn ok_response(headers: Vec<(String, String)>) -> Response {
        Response { status: 200, headers, body: BodyBytes::default(), arrivals: Vec::new(), cut: None }
    }

    /// What is known after an answer that took no time.
    fn observe_headers(headers: Vec<(String, String)>) -> (AdvertisedLimits, Instant) {
        let (mut told, now) = (AdvertisedLimits::default(), Instant::now());
        told.observe(&ok_response(headers), now, now, date());
        (told, now)
    }

    fn request_demand(requests: u64) -> RequestDemand {
        RequestDemand { requests, tokens: 0 }
    }

    const NO_DEMAND: RequestDemand = RequestDemand { requests: 0, tokens: 0 };

    #[test]
    fn a_limit_with_nothing_left_is_waited_for_until_it_is_filled() {
        let seconds = |headers: Vec<(String, String)>| {
            let (told, now) = observe_headers(headers);
            told.blocked_until(RequestDemand::from_tokens(100), NO_DEMAND, now)
                .map_or(0, |until| (until - now).as_secs())
        };
        assert_eq!(seconds(limit_headers("requests", None, 0, 3)), 3);
        assert_eq!(
            seconds([limit_headers("requests", None, 0, 3), limit_headers("output-tokens", None, 0, 10)].concat()),
            10
        );
        assert_eq!(seconds(limit_headers("requests", None, 1, 3)), 0);
        assert_eq!(seconds(limit_headers("tokens", None, 99, 3)), 3, "too little for this one");
        assert_eq!(seconds(limit_headers("tokens", None, 100, 3)), 0);
        assert_eq!(seconds(limit_headers("tokens", Some(50), 50, 3)), 0, "more than there ever is can only be tried");
        assert_eq!(seconds(limit_headers("requests", Some(0), 0, 60)), 0, "a limit of nothing is none");
        assert_eq!(seconds(limit_headers("requests", None, 0, -1_000_000)), 0);
        assert_eq!(seconds(limit_headers("requests", None, 0, 1_000_000)), MAX_RETRY_AFTER.as_secs());
        assert_eq!(seconds(vec![("anthropic-ratelimit-requests-remaining".to_owned(), "0".to_owned())]), 0);
    }

    #[test]
    fn what_is_under_way_may_have_taken_of_it() {
        let (told, now) = observe_headers(limit_headers("requests", Some(50), 3, 60));
        let filled = now + Duration::from_secs(60);
        for (under_way, until) in [(0, None), (2, None), (3, Some(filled)), (30, Some(filled))] {
            assert_eq!(told.blocked_until(request_demand(1), request_demand(under_way), now), until, "{under_way}");
        }
        // Once it is filled, those that were sent before no longer count.
        assert_eq!(told.blocked_until(request_demand(1), request_demand(3), filled), None);
        // With so many under way, the next one may be beyond half of the limit.
        let (told, now) = observe_headers(limit_headers("requests", Some(50), 40, 60));
        for (under_way, apart) in [(0, 0.0), (14, 0.0), (15, 1.5), (39, 1.5)] {
            assert_eq!(
                told.min_interval(request_demand(1), request_demand(under_way), now),
                Duration::from_secs_f64(apart),
                "{under_way}"
            );
        }
    }

    #[test]
    fn what_is_left_is_spread_over_the_time_until_the_limit_is_filled() {
        let apart = |headers: Vec<(String, String)>| {
            let (told, now) = observe_headers(headers);
            told.min_interval(RequestDemand::from_tokens(200), NO_DEMAND, now)
        };
        assert_eq!(apart(limit_headers("requests", Some(50), 40, 60)), Duration::ZERO, "plenty");
        assert_eq!(apart(limit_headers("requests", Some(50), 20, 60)), Duration::from_secs(2));
        assert_eq!(apart(limit_headers("requests", None, 10, 60)), Duration::from_secs(6), "no limit is told");
        assert_eq!(
            apart(limit_headers("requests", Some(0), 10, 60)),
            Duration::from_secs(6),
            "a limit of nothing is none"
        );
        assert_eq!(apart(limit_headers("tokens", Some(40_000), 10_000, 30)), Duration::from_millis(200));
        let both =
            [limit_headers("requests", Some(50), 20, 60), limit_headers("input-tokens", Some(1000), 100, 60)].concat();
        assert_eq!(apart(both), Duration::from_secs_f64(60.0 * 200.0 / 900.0));
        assert!(apart(limit_headers("tokens", None, 1, 1_000_000)) <= MAX_RETRY_AFTER);
    }

    #[test]
    fn a_slow_answer_tells_what_was_left_when_it_was_asked_for() {
        let (mut told, sent) = (AdvertisedLimits::default(), Instant::now());
        let now = sent + Duration::from_secs(5);
        // Nothing was left when it was asked for, and all of it a second later.
        told.observe(&ok_response(limit_headers("requests", Some(20), 0, -4)), sent, now, date());
        assert_eq!(told.blocked_until(request_demand(1), request_demand(30), now), None);
        assert_eq!(told.min_interval(request_demand(1), request_demand(30), now), Duration::from_millis(50));
        assert_eq!(told.min_interval(request_demand(1), request_demand(5), now), Duration::ZERO);
    }

    #[test]
    fn of_answers_to_requests_that_were_under_way_together_the_least_counts() {
        let (mut told, start) = observe_headers(limit_headers("requests", Some(20), 0, 1));
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut hear = |remaining: u64, seconds: i64, sent: Instant, now: Instant| {
            told.observe(&ok_response(limit_headers("requests", Some(20), remaining, seconds)), sent, now, date());
            told.0[0].map(|left| left.remaining)
        };
        let before = start.checked_sub(Duration::from_millis(9)).unwrap();
        assert_eq!(hear(7, 1, before, at(10)), Some(0));
        assert_eq!(hear(12, 2, at(1), at(20)), Some(12), "sent later");
        assert_eq!(hear(11, 2, at(2), at(21)), Some(11));
        assert_eq!(hear(13, 2, at(2), at(22)), Some(11));
        assert_eq!(hear(19, 60, at(3), at(3000)), Some(19), "the old word is outdated");
    }

    #[test]
    fn once_there_is_plenty_again_nothing_is_spread() {
        let (mut told, start) = observe_headers(limit_headers("requests", Some(50), 5, 60));
        let mut after = |headers: Vec<(String, String)>| {
            told.observe(&ok_response(headers), start, start, date());
            told.min_interval(request_demand(1), NO_DEMAND, start)
        };
        assert!(after(Vec::new()) > Duration::ZERO, "an answer that tells nothing takes nothing back");
        assert_eq!(after(limit_headers("requests", Some(50), 49, 1)), Duration::ZERO);
    }
}
