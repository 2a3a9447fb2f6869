//! Simulated servers of every kind: what their responses teach, and how many requests they
//! throttle.

use std::collections::{BTreeMap, VecDeque};

use crate::client::throttle::backpressure::*;
use crate::wire::exchange::BodyBytes;

const INITIAL_INTERVAL: Duration = Duration::from_millis(20);

fn response(status: u16, headers: Vec<(String, String)>) -> Response {
    Response { status, headers, body: BodyBytes::default(), arrivals: Vec::new(), cut: None }
}

fn response_result(status: u16, headers: &[(&str, &str)]) -> AttemptResult {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    AttemptResult::Response(response(status, headers))
}

fn date() -> Timestamp {
    "2026-11-06T08:49:37Z".parse().unwrap()
}

/// The time for this many requests, with an immediate response of `status` to each.
async fn measure_requests(backpressure: &AccountBackpressure, requests: u32, status: u16) -> Duration {
    let started = Instant::now();
    for _ in 0..requests {
        backpressure.acquire(1).await.record_outcome(&response_result(status, &[]), date());
    }
    started.elapsed()
}

#[tokio::test]
async fn requests_are_not_delayed_before_the_first_throttled_response() {
    let backpressure = AccountBackpressure::new(Duration::from_secs(1));
    assert!(
        measure_requests(&backpressure, 50, 200).await + measure_requests(&backpressure, 50, 400).await
            < Duration::from_secs(1)
    );
}

#[tokio::test]
async fn the_retry_after_of_one_response_delays_all_requests() {
    let backpressure = AccountBackpressure::new(Duration::ZERO);
    backpressure.acquire(1).await.record_outcome(&response_result(429, &[("retry-after", "0.1")]), date());
    let waited = measure_requests(&backpressure, 1, 200).await;
    assert!(waited >= Duration::from_millis(95), "{waited:?}");
}

#[test]
fn a_throttled_response_with_only_a_reset_time_delays_requests() {
    // The headers of the response, and the expected wait.
    for (retry_after, reset, wait) in [
        (None, 60, 60),
        (Some("soon"), 60, 60),
        (Some("5"), 60, 5),
        // Too long to wait. The requests fail instead.
        (None, 3600, 0),
    ] {
        let reset = (date() + Duration::from_secs(reset)).to_string();
        let limits = [("anthropic-ratelimit-requests-remaining", "0"), ("anthropic-ratelimit-requests-reset", &reset)];
        let headers: Vec<_> = limits.into_iter().chain(retry_after.map(|wait| ("retry-after", wait))).collect();
        let AttemptResult::Response(throttled) = response_result(429, &headers) else { unreachable!() };
        let now = Instant::now();
        let mut state = BackpressureState::new(Duration::ZERO, now);
        state.observe_response(&throttled, now, now, date());
        assert_eq!(
            state.due_at(RequestDemand::from_tokens(1), now) - now,
            Duration::from_secs(wait),
            "{retry_after:?} {reset}"
        );
    }
}

#[tokio::test]
async fn a_retry_after_above_the_limit_delays_no_request() {
    let backpressure = AccountBackpressure::new(Duration::ZERO);
    backpressure.acquire(1).await.record_outcome(&response_result(429, &[("retry-after", "3600")]), date());
    assert!(measure_requests(&backpressure, 1, 200).await < Duration::from_secs(60));
}

#[tokio::test]
async fn throttled_responses_increase_the_interval() {
    let backpressure = AccountBackpressure::new(INITIAL_INTERVAL);
    let waited = measure_requests(&backpressure, 4, 529).await;
    assert!(waited >= INITIAL_INTERVAL + 2 * INITIAL_INTERVAL + 4 * INITIAL_INTERVAL, "{waited:?}");
}

#[tokio::test]
async fn the_end_of_an_attempt_wakes_waiting_requests() {
    let backpressure = AccountBackpressure::new(INITIAL_INTERVAL);
    let new_response = |remaining: &str| {
        let (kind, reset) = ("anthropic-ratelimit-requests", date() + jiff::SignedDuration::from_secs(60));
        let headers = [("limit", "50"), ("remaining", remaining), ("reset", &reset.to_string())];
        response(200, headers.iter().map(|(name, n)| (format!("{kind}-{name}"), (*n).to_owned())).collect())
    };
    let first = backpressure.acquire(1).await;
    first.record_outcome(&AttemptResult::Response(new_response("1")), date());
    // One request is in flight and one remains, which the one in flight may have used.
    let next = tokio::time::timeout(Duration::from_millis(20), backpressure.acquire(1));
    assert!(next.await.is_err());
    let (started, result) = (Instant::now(), AttemptResult::Response(new_response("49")));
    let (_permit, ()) = tokio::join!(backpressure.acquire(1), async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        first.record_outcome(&result, date());
        drop(first);
    });
    assert!(started.elapsed() < Duration::from_secs(59));
}

/// How a server announces its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum LimitAnnouncement {
    /// Not at all.
    Silent,
    /// With `retry-after`, in whole seconds, when it throttles.
    RetryAfter,
    /// With rate-limit headers in each response and `retry-after`, as the Messages API does.
    Headers,
    /// With rate-limit headers in each response, without `retry-after`.
    HeadersOnly,
}

/// Whether a limit refills continuously, or completely at the end of each window.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RefillMode {
    Evenly,
    AtOnce,
}

/// A server that accepts `limit` requests per `window`.
struct RateLimitedServer {
    announcement: LimitAnnouncement,
    refill_mode: RefillMode,
    limit: f64,
    window: Duration,
    remaining: f64,
    updated_at: Duration,
}

impl RateLimitedServer {
    fn new(announcement: LimitAnnouncement, refill_mode: RefillMode, limit: u32, window: Duration) -> Self {
        let limit = f64::from(limit);
        Self { announcement, refill_mode, limit, window, remaining: limit, updated_at: Duration::ZERO }
    }

    /// The time until this many requests are available.
    fn time_until_available(&self, wanted: f64, now: Duration) -> Duration {
        match self.refill_mode {
            _ if self.remaining >= wanted => Duration::ZERO,
            RefillMode::Evenly => self.window.mul_f64((wanted - self.remaining) / self.limit),
            RefillMode::AtOnce => self.updated_at + self.window - now,
        }
    }

    fn respond(&mut self, now: Duration) -> Response {
        match self.refill_mode {
            RefillMode::Evenly => {
                let elapsed = (now - self.updated_at).as_secs_f64() / self.window.as_secs_f64();
                (self.remaining, self.updated_at) = ((self.remaining + self.limit * elapsed).min(self.limit), now);
            }
            RefillMode::AtOnce => {
                while now >= self.updated_at + self.window {
                    (self.remaining, self.updated_at) = (self.limit, self.updated_at + self.window);
                }
            }
        }
        let is_throttled = self.remaining < 1.0;
        if !is_throttled {
            self.remaining -= 1.0;
        }
        let mut headers = Vec::new();
        if matches!(self.announcement, LimitAnnouncement::Headers | LimitAnnouncement::HeadersOnly) {
            let reset = date() + (now + self.time_until_available(self.limit, now));
            for (name, value) in [
                ("limit", self.limit.to_string()),
                ("remaining", self.remaining.floor().to_string()),
                ("reset", reset.to_string()),
            ] {
                headers.push((format!("anthropic-ratelimit-requests-{name}"), value));
            }
        }
        if is_throttled && matches!(self.announcement, LimitAnnouncement::RetryAfter | LimitAnnouncement::Headers) {
            headers
                .push(("retry-after".to_owned(), self.time_until_available(1.0, now).as_secs_f64().ceil().to_string()));
        }
        response(if is_throttled { 429 } else { 200 }, headers)
    }
}

/// The load of eight parallel targets with four concurrent requests each.
#[derive(Debug, Clone, Copy)]
struct LoadProfile {
    requests_per_target: usize,
    latency: Duration,
    /// A throttled request is retried after five of these, then after twice as long, and so on.
    initial_interval: Duration,
    shares_account: bool,
}

const TARGET_COUNT: usize = 8;
const CONCURRENCY: usize = 4;

#[derive(Debug)]
struct LoadResult {
    requests: u32,
    throttled: u32,
    elapsed: Duration,
}

/// A request that waits to be sent.
#[derive(Debug, Clone, Copy)]
struct QueuedRequest {
    target: usize,
    throttle_count: u32,
}

fn simulate_load(load: LoadProfile, mut respond: impl FnMut(Duration) -> Response) -> LoadResult {
    let start = Instant::now();
    let state_index = |target: usize| if load.shares_account { 0 } else { target };
    let mut states: Vec<BackpressureState> =
        (0..=state_index(TARGET_COUNT - 1)).map(|_| BackpressureState::new(load.initial_interval, start)).collect();
    let mut waiting: Vec<VecDeque<QueuedRequest>> = (0..TARGET_COUNT)
        .map(|target| vec![QueuedRequest { target, throttle_count: 0 }; load.requests_per_target].into())
        .collect();
    let mut in_flight: BTreeMap<(Duration, u32), (QueuedRequest, Duration, Response)> = BTreeMap::new();
    let mut backing_off: BTreeMap<(Duration, u32), QueuedRequest> = BTreeMap::new();
    let (mut busy, mut now, mut requests, mut throttled) = ([0; TARGET_COUNT], Duration::ZERO, 0, 0);
    loop {
        while let Some(entry) = in_flight.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, number), (mut queued, sent, response)) = entry.remove_entry();
            let state = &mut states[state_index(queued.target)];
            state.observe_response(&response, start + sent, start + now, date() + now);
            state.in_flight.subtract(RequestDemand::from_tokens(1));
            busy[queued.target] -= 1;
            if response.status != 200 {
                let min_wait = min_retry_delay(&response, date() + now).unwrap();
                let wait = min_wait.max(load.initial_interval * (5 << queued.throttle_count.min(6)));
                queued.throttle_count += 1;
                backing_off.insert((now + wait, number), queued);
            }
        }
        while let Some(entry) = backing_off.first_entry().filter(|entry| entry.key().0 <= now) {
            let queued = entry.remove();
            waiting[queued.target].push_back(queued);
        }
        let mut next = in_flight.keys().chain(backing_off.keys()).map(|key| key.0).min();
        for queue in &mut waiting {
            while let Some(queued) = queue.front().copied().filter(|queued| busy[queued.target] < CONCURRENCY) {
                let state = &mut states[state_index(queued.target)];
                let due = state.due_at(RequestDemand::from_tokens(1), start + now) - start;
                if due > now {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    break;
                }
                state.record_sent(RequestDemand::from_tokens(1), start + now);
                busy[queued.target] += 1;
                queue.pop_front();
                let response = respond(now);
                // Throttled responses are fast.
                let is_throttled = response.status != 200;
                (requests, throttled) = (requests + 1, throttled + u32::from(is_throttled));
                let finished = now + if is_throttled { Duration::from_millis(10) } else { load.latency };
                in_flight.insert((finished, requests), (queued, now, response));
                next = Some(next.map_or(finished, |next| next.min(finished)));
            }
        }
        match next {
            Some(next) => now = now.max(next),
            None => return LoadResult { requests, throttled, elapsed: now },
        }
    }
}

/// Servers of every kind that accept 20 requests per second.
#[test]
fn few_requests_are_throttled_and_sharing_an_account_adds_none() {
    let first_volley = (TARGET_COUNT * CONCURRENCY) as u32 - 20;
    for announcement in [
        LimitAnnouncement::Silent,
        LimitAnnouncement::RetryAfter,
        LimitAnnouncement::Headers,
        LimitAnnouncement::HeadersOnly,
    ] {
        for refill_mode in [RefillMode::Evenly, RefillMode::AtOnce] {
            for latency in [10, 300, 2000] {
                for interval in [10, 100] {
                    let (latency, interval) = (Duration::from_millis(latency), Duration::from_millis(interval));
                    let load = LoadProfile {
                        requests_per_target: 50,
                        latency,
                        initial_interval: interval,
                        shares_account: true,
                    };
                    let simulate = |load| {
                        let mut server = RateLimitedServer::new(announcement, refill_mode, 20, Duration::from_secs(1));
                        simulate_load(load, |now| server.respond(now))
                    };
                    let (shared, separate) = (simulate(load), simulate(LoadProfile { shares_account: false, ..load }));
                    let case = format!(
                        "{announcement:?} {refill_mode:?} {latency:?} {interval:?}: {shared:?}, separate {separate:?}"
                    );
                    assert!(shared.throttled <= separate.throttled + 2, "{case}");
                    // With headers, nothing has to be learned. Otherwise about one in ten is
                    // throttled.
                    let divisor = match (announcement, refill_mode) {
                        (LimitAnnouncement::Headers | LimitAnnouncement::HeadersOnly, _) => 50,
                        (LimitAnnouncement::Silent, RefillMode::AtOnce) => 6,
                        _ => 8,
                    };
                    assert!(shared.throttled - first_volley <= shared.requests / divisor, "{case}");
                    // The minimum time: 20 per second after the first second, or the concurrency
                    // limit.
                    let latency_bound =
                        latency * (TARGET_COUNT * load.requests_per_target).div_ceil(TARGET_COUNT * CONCURRENCY) as u32;
                    let min_time = Duration::from_secs(19).max(latency_bound);
                    let is_learned = matches!(announcement, LimitAnnouncement::Silent | LimitAnnouncement::RetryAfter);
                    let factor = if refill_mode == RefillMode::AtOnce && is_learned { 1.7 } else { 1.3 };
                    assert!(shared.elapsed <= min_time.mul_f64(factor), "{case}");
                }
            }
        }
    }
}

/// Throttled responses for other reasons do not stop a run.
#[test]
fn random_overload_responses_do_not_slow_a_run_more_and_more() {
    for latency in [10, 300, 2000] {
        for interval in [10, 100] {
            let (latency, interval) = (Duration::from_millis(latency), Duration::from_millis(interval));
            let load =
                LoadProfile { requests_per_target: 50, latency, initial_interval: interval, shares_account: true };
            for one_in in [4, 6, 10] {
                // Pseudorandom, and the same in each run: a linear congruential generator.
                let mut random = 0_u64;
                let overloaded = simulate_load(load, |_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    response(if (random >> 33).is_multiple_of(one_in) { 529 } else { 200 }, Vec::new())
                });
                let case = format!("{latency:?} {interval:?} one in {one_in}: {overloaded:?}");
                // The time without overload, plus the initial interval for each request.
                let latency_bound =
                    latency * (TARGET_COUNT * load.requests_per_target).div_ceil(TARGET_COUNT * CONCURRENCY) as u32;
                let spacing = interval * (TARGET_COUNT * load.requests_per_target) as u32;
                assert!(overloaded.elapsed <= latency_bound * 4 + spacing, "{case}");
            }
        }
    }
}
