//! Attempts held against servers of every kind: what they teach, and how much a server has to refuse in the long run.

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

/// How long so many requests take, each of which is answered with `status` at once.
async fn measure_requests(pause: &AccountBackpressure, requests: u32, status: u16) -> Duration {
    let started = Instant::now();
    for _ in 0..requests {
        pause.acquire(1).await.record_outcome(&response_result(status, &[]), date());
    }
    started.elapsed()
}

#[tokio::test]
async fn nothing_is_slowed_until_the_server_asks_for_it() {
    let pause = AccountBackpressure::new(Duration::from_secs(1));
    assert!(measure_requests(&pause, 50, 200).await + measure_requests(&pause, 50, 400).await < Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_that_one_request_is_told_holds_for_all() {
    let pause = AccountBackpressure::new(Duration::ZERO);
    pause.acquire(1).await.record_outcome(&response_result(429, &[("retry-after", "0.1")]), date());
    let waited = measure_requests(&pause, 1, 200).await;
    assert!(waited >= Duration::from_millis(95), "{waited:?}");
}

#[test]
fn a_refusal_that_tells_only_when_the_limit_is_filled_again_is_heard_as_well() {
    // What it tells, and how long nothing is sent then.
    for (retry_after, reset, wait) in [
        (None, 60, 60),
        (Some("soon"), 60, 60),
        (Some("5"), 60, 5),
        // As long as that nobody waits; the requests fail instead.
        (None, 3600, 0),
    ] {
        let reset = (date() + Duration::from_secs(reset)).to_string();
        let told = [("anthropic-ratelimit-requests-remaining", "0"), ("anthropic-ratelimit-requests-reset", &reset)];
        let headers: Vec<_> = told.into_iter().chain(retry_after.map(|wait| ("retry-after", wait))).collect();
        let AttemptResult::Response(refusal) = response_result(429, &headers) else { unreachable!() };
        let now = Instant::now();
        let mut state = BackpressureState::new(Duration::ZERO, now);
        state.observe_response(&refusal, now, now, date());
        assert_eq!(
            state.due_at(RequestDemand::from_tokens(1), now) - now,
            Duration::from_secs(wait),
            "{retry_after:?} {reset}"
        );
    }
}

#[tokio::test]
async fn what_nobody_waits_for_holds_nobody() {
    let pause = AccountBackpressure::new(Duration::ZERO);
    pause.acquire(1).await.record_outcome(&response_result(429, &[("retry-after", "3600")]), date());
    assert!(measure_requests(&pause, 1, 200).await < Duration::from_secs(60));
}

#[tokio::test]
async fn refusals_set_requests_apart() {
    let pause = AccountBackpressure::new(INITIAL_INTERVAL);
    let waited = measure_requests(&pause, 4, 529).await;
    assert!(waited >= INITIAL_INTERVAL + 2 * INITIAL_INTERVAL + 4 * INITIAL_INTERVAL, "{waited:?}");
}

#[tokio::test]
async fn the_end_of_one_attempt_wakes_those_that_wait_for_what_it_tells() {
    let pause = AccountBackpressure::new(INITIAL_INTERVAL);
    let tell = |left: &str| {
        let (kind, reset) = ("anthropic-ratelimit-requests", date() + jiff::SignedDuration::from_secs(60));
        let headers = [("limit", "50"), ("remaining", left), ("reset", &reset.to_string())];
        response(200, headers.iter().map(|(what, n)| (format!("{kind}-{what}"), (*n).to_owned())).collect())
    };
    let first = pause.acquire(1).await;
    first.record_outcome(&AttemptResult::Response(tell("1")), date());
    // One is under way, and one is left: it may be taken already.
    let next = tokio::time::timeout(Duration::from_millis(20), pause.acquire(1));
    assert!(next.await.is_err());
    let (started, tell) = (Instant::now(), AttemptResult::Response(tell("49")));
    let (_leave, ()) = tokio::join!(pause.acquire(1), async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        first.record_outcome(&tell, date());
        drop(first);
    });
    assert!(started.elapsed() < Duration::from_secs(30));
}

/// What a server does when its limit is used up, and what it says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum LimitAnnouncement {
    /// It refuses, and says nothing.
    Silent,
    /// It says when to come back, in whole seconds.
    RetryAfter,
    /// It tells of its limits with each answer, as the Messages API does, and when to come back.
    Headers,
    /// It tells of its limits with each answer and each refusal, though of no other time to come back.
    HeadersOnly,
}

/// Whether a limit fills up bit by bit, or all at once at the end of each window.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RefillMode {
    Evenly,
    AtOnce,
}

/// A server that takes `limit` requests in a `window`.
struct RateLimitedServer {
    announcement: LimitAnnouncement,
    refill_mode: RefillMode,
    limit: f64,
    window: Duration,
    remaining: f64,
    updated_at: Duration,
}

impl RateLimitedServer {
    fn new(speech: LimitAnnouncement, fills: RefillMode, limit: u32, window: Duration) -> Self {
        let limit = f64::from(limit);
        Self { announcement: speech, refill_mode: fills, limit, window, remaining: limit, updated_at: Duration::ZERO }
    }

    /// The time until so much is there.
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
                let gone = (now - self.updated_at).as_secs_f64() / self.window.as_secs_f64();
                (self.remaining, self.updated_at) = ((self.remaining + self.limit * gone).min(self.limit), now);
            }
            RefillMode::AtOnce => {
                while now >= self.updated_at + self.window {
                    (self.remaining, self.updated_at) = (self.limit, self.updated_at + self.window);
                }
            }
        }
        let is_refused = self.remaining < 1.0;
        if !is_refused {
            self.remaining -= 1.0;
        }
        let mut headers = Vec::new();
        if matches!(self.announcement, LimitAnnouncement::Headers | LimitAnnouncement::HeadersOnly) {
            let reset = date() + (now + self.time_until_available(self.limit, now));
            for (what, value) in [
                ("limit", self.limit.to_string()),
                ("remaining", self.remaining.floor().to_string()),
                ("reset", reset.to_string()),
            ] {
                headers.push((format!("anthropic-ratelimit-requests-{what}"), value));
            }
        }
        if is_refused && matches!(self.announcement, LimitAnnouncement::RetryAfter | LimitAnnouncement::Headers) {
            headers
                .push(("retry-after".to_owned(), self.time_until_available(1.0, now).as_secs_f64().ceil().to_string()));
        }
        response(if is_refused { 429 } else { 200 }, headers)
    }
}

/// Eight targets that are asked side by side, four requests at once each.
#[derive(Debug, Clone, Copy)]
struct LoadProfile {
    /// Requests to each.
    requests_per_target: usize,
    latency: Duration,
    /// The first gap. A refused request waits five of them before it comes back, then twice as long, and so on.
    initial_interval: Duration,
    /// Whether they know of each other.
    shares_account: bool,
}

const TARGET_COUNT: usize = 8;
const CONCURRENCY: usize = 4;

/// What came of it.
#[derive(Debug)]
struct LoadResult {
    requests: u32,
    throttled: u32,
    elapsed: Duration,
}

/// A request that is to be sent, and how often it was refused.
#[derive(Debug, Clone, Copy)]
struct QueuedRequest {
    target: usize,
    throttle_count: u32,
}

fn simulate_load(load: LoadProfile, mut take: impl FnMut(Duration) -> Response) -> LoadResult {
    let start = Instant::now();
    let of = |target: usize| if load.shares_account { 0 } else { target };
    let mut states: Vec<BackpressureState> =
        (0..=of(TARGET_COUNT - 1)).map(|_| BackpressureState::new(load.initial_interval, start)).collect();
    let mut waiting: Vec<VecDeque<QueuedRequest>> = (0..TARGET_COUNT)
        .map(|target| vec![QueuedRequest { target, throttle_count: 0 }; load.requests_per_target].into())
        .collect();
    let mut under_way: BTreeMap<(Duration, u32), (QueuedRequest, Duration, Response)> = BTreeMap::new();
    let mut backing_off: BTreeMap<(Duration, u32), QueuedRequest> = BTreeMap::new();
    let (mut busy, mut now, mut came, mut refused) = ([0; TARGET_COUNT], Duration::ZERO, 0, 0);
    loop {
        while let Some(entry) = under_way.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, number), (mut asked, sent, response)) = entry.remove_entry();
            let state = &mut states[of(asked.target)];
            state.observe_response(&response, start + sent, start + now, date() + now);
            state.in_flight.subtract(RequestDemand::from_tokens(1));
            busy[asked.target] -= 1;
            if response.status != 200 {
                let told = min_retry_delay(&response, date() + now).unwrap();
                let wait = told.max(load.initial_interval * (5 << asked.throttle_count.min(6)));
                asked.throttle_count += 1;
                backing_off.insert((now + wait, number), asked);
            }
        }
        while let Some(entry) = backing_off.first_entry().filter(|entry| entry.key().0 <= now) {
            let asked = entry.remove();
            waiting[asked.target].push_back(asked);
        }
        let mut next = under_way.keys().chain(backing_off.keys()).map(|key| key.0).min();
        for queue in &mut waiting {
            while let Some(asked) = queue.front().copied().filter(|asked| busy[asked.target] < CONCURRENCY) {
                let state = &mut states[of(asked.target)];
                let due = state.due_at(RequestDemand::from_tokens(1), start + now) - start;
                if due > now {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    break;
                }
                state.record_sent(RequestDemand::from_tokens(1), start + now);
                busy[asked.target] += 1;
                queue.pop_front();
                let response = take(now);
                // Refusals come at once.
                let is_refused = response.status != 200;
                (came, refused) = (came + 1, refused + u32::from(is_refused));
                let answered = now + if is_refused { Duration::from_millis(10) } else { load.latency };
                under_way.insert((answered, came), (asked, now, response));
                next = Some(next.map_or(answered, |next| next.min(answered)));
            }
        }
        match next {
            Some(next) => now = now.max(next),
            None => return LoadResult { requests: came, throttled: refused, elapsed: now },
        }
    }
}

/// Servers of every kind that take twenty requests a second.
#[test]
fn few_are_refused_whatever_a_server_says_of_its_limit_and_none_more_for_sharing() {
    let first_volley = (TARGET_COUNT * CONCURRENCY) as u32 - 20;
    for speech in [
        LimitAnnouncement::Silent,
        LimitAnnouncement::RetryAfter,
        LimitAnnouncement::Headers,
        LimitAnnouncement::HeadersOnly,
    ] {
        for fills in [RefillMode::Evenly, RefillMode::AtOnce] {
            for latency in [10, 300, 2000] {
                for gap in [10, 100] {
                    let (latency, gap) = (Duration::from_millis(latency), Duration::from_millis(gap));
                    let load =
                        LoadProfile { requests_per_target: 50, latency, initial_interval: gap, shares_account: true };
                    let play = |load| {
                        let mut server = RateLimitedServer::new(speech, fills, 20, Duration::from_secs(1));
                        simulate_load(load, |now| server.respond(now))
                    };
                    let (shared, alone) = (play(load), play(LoadProfile { shares_account: false, ..load }));
                    let told = format!("{speech:?} {fills:?} {latency:?} {gap:?}: {shared:?}, alone {alone:?}");
                    assert!(shared.throttled <= alone.throttled + 2, "{told}");
                    // What the server tells leaves nothing to be found out; else one in ten or so is refused.
                    let most = match (speech, fills) {
                        (LimitAnnouncement::Headers | LimitAnnouncement::HeadersOnly, _) => 50,
                        (LimitAnnouncement::Silent, RefillMode::AtOnce) => 6,
                        _ => 8,
                    };
                    assert!(shared.throttled - first_volley <= shared.requests / most, "{told}");
                    // So long it takes at the least: at twenty a second after the first, or with so many at once.
                    let at_once =
                        latency * (TARGET_COUNT * load.requests_per_target).div_ceil(TARGET_COUNT * CONCURRENCY) as u32;
                    let least = Duration::from_secs(19).max(at_once);
                    let is_guessed = matches!(speech, LimitAnnouncement::Silent | LimitAnnouncement::RetryAfter);
                    let times = if fills == RefillMode::AtOnce && is_guessed { 1.7 } else { 1.3 };
                    assert!(shared.elapsed <= least.mul_f64(times), "{told}");
                }
            }
        }
    }
}

/// Refusals that have nothing to do with the pace do not bring a run to a halt.
#[test]
fn a_server_that_is_overloaded_now_and_then_is_not_asked_slower_and_slower() {
    for latency in [10, 300, 2000] {
        for gap in [10, 100] {
            let (latency, gap) = (Duration::from_millis(latency), Duration::from_millis(gap));
            let load = LoadProfile { requests_per_target: 50, latency, initial_interval: gap, shares_account: true };
            for one_in in [4, 6, 10] {
                // Any of them, though the same each time: numbers that are mixed by a multiplication.
                let (mut came, mut mixed) = (0_u32, 0_u64);
                let busy = simulate_load(load, |_| {
                    mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    came += 1;
                    response(if (mixed >> 33) % one_in == 0 { 529 } else { 200 }, Vec::new())
                });
                let told = format!("{latency:?} {gap:?} one in {one_in}: {busy:?}");
                // So long it takes without them, and with each request kept the first gap apart.
                let calm =
                    latency * (TARGET_COUNT * load.requests_per_target).div_ceil(TARGET_COUNT * CONCURRENCY) as u32;
                let apart = gap * (TARGET_COUNT * load.requests_per_target) as u32;
                assert!(busy.elapsed <= calm * 4 + apart, "{told}");
            }
        }
    }
}
