//! Runs against simulated servers that get into trouble at random moments: [`MeasuredServers`].
//!
//! The truth is the run of the same server without trouble. Trouble must change no verdict into
//! another one.

pub mod endpoint;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use endpoint::{KeptResponses, TroubledRun, error_response, run_rows, text_response};
use fieldtest::catalog::{Outcome, VerdictStatus};
use fieldtest::results::model::Results;
use fieldtest::wire::exchange::Response;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::common::judge_recording;

/// A kind of trouble, as servers report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InjectedTrouble {
    /// 400, the credit is used up.
    Credit,
    /// 400, the quota is exceeded.
    Quota,
    /// 400, too many requests.
    RateLimit,
    /// 404, the tested model does not exist.
    Deployment,
    /// 403, not allowed in this region.
    Region,
    /// 401, the key has expired.
    ExpiredKey,
    /// 200 with a web page.
    Page,
    /// 502 with a web page.
    BadGateway,
    /// 400 with words that nobody knows.
    UnknownWords,
    /// 200 with JSON that is not a message.
    UnknownJson,
}

impl InjectedTrouble {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Credit,
        Self::Quota,
        Self::RateLimit,
        Self::Deployment,
        Self::Region,
        Self::ExpiredKey,
        Self::Page,
        Self::BadGateway,
        Self::UnknownWords,
        Self::UnknownJson,
    ];

    /// The title in the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Credit => "400, credit used up",
            Self::Quota => "400, quota exceeded",
            Self::RateLimit => "400, too many requests",
            Self::Deployment => "404, no such model",
            Self::Region => "403, not in this region",
            Self::ExpiredKey => "401, key expired",
            Self::Page => "200, web page",
            Self::BadGateway => "502, web page",
            Self::UnknownWords => "400, unknown words",
            Self::UnknownJson => "200, unknown JSON",
        }
    }

    fn response(self, model: &str) -> Response {
        let invalid = |text: &str| error_response(400, "invalid_request_error", text);
        let page = |status| text_response(status, "text/html", "<html><body>Please wait</body></html>");
        match self {
            Self::Credit => invalid("Your credit balance is too low to access the API."),
            Self::Quota => invalid("quota exceeded"),
            Self::RateLimit => invalid("Too many requests, please slow down (rate limit exceeded)"),
            Self::Deployment => error_response(404, "not_found_error", &format!("model: {model}")),
            Self::Region => error_response(403, "permission_error", "The model is not available in your region."),
            Self::ExpiredKey => error_response(401, "authentication_error", "the key has expired"),
            Self::Page => page(200),
            Self::BadGateway => page(502),
            Self::UnknownWords => invalid("the request could not be processed"),
            Self::UnknownJson => text_response(200, "application/json", r#"{"code":7,"status":"busy"}"#),
        }
    }
}

/// How long the trouble lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleLength {
    /// Until the end of the run.
    ForEver,
    /// 5 seconds.
    Seconds,
    /// Some 25 requests.
    HalfSecond,
    /// One to six requests.
    Moment,
}

impl TroubleLength {
    /// All lengths.
    pub const ALL: [Self; 4] = [Self::ForEver, Self::Seconds, Self::HalfSecond, Self::Moment];

    /// The title in the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::ForEver => "to the end",
            Self::Seconds => "5 s",
            Self::HalfSecond => "0.5 s",
            Self::Moment => "1 to 6 requests",
        }
    }

    fn draw(self, rng: &mut ChaCha8Rng) -> Duration {
        match self {
            Self::ForEver => Duration::MAX,
            Self::Seconds => Duration::from_secs(5),
            Self::HalfSecond => Duration::from_millis(500),
            Self::Moment => Duration::from_millis(rng.random_range(20..130)),
        }
    }
}

/// The results of the runs with one kind of trouble.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TroubleTally {
    /// Runs.
    pub runs: u64,
    /// Runs in which a request met the trouble.
    pub met: u64,
    /// Rows that contradict their claim, and do not without the trouble.
    pub contradictions: Vec<String>,
    /// Other rows whose verdict is decided and differs from the verdict without the trouble.
    pub changed: Vec<String>,
    /// Rows that are decided without the trouble.
    pub decided_rows: u64,
    /// Those that are not decided with it.
    pub open_rows: u64,
    /// Rows that call the endpoint inconsistent.
    pub inconsistent: Vec<String>,
    /// Runs that ended early.
    pub ended: u64,
    /// The maximum number of requests after the trouble began, of runs that ended early.
    pub max_requests_after: u64,
    /// All requests, and those of the same runs without trouble.
    pub requests: u64,
    /// The requests without trouble.
    pub calm_requests: u64,
}

impl TroubleTally {
    fn add(&mut self, label: &str, calm: &CalmRun, run: &TroubledRun, results: &Results) {
        self.runs += 1;
        self.met += u64::from(run.intercepted > 0);
        self.requests += run.requests;
        self.calm_requests += calm.requests;
        if results.partial.is_some() {
            self.ended += 1;
            self.max_requests_after = self.max_requests_after.max(run.intercepted);
        }
        for row in &results.rows {
            let (calm_status, calm_outcome) = calm.rows[&row.id];
            let is_decided = row.verdict.status.is_decided();
            self.decided_rows += u64::from(calm_status.is_decided());
            self.open_rows += u64::from(calm_status.is_decided() && !is_decided);
            if row.verdict.code.as_deref() == Some("unsteady") {
                self.inconsistent.push(format!("{label}: {}: {}", row.id, row.verdict.reason));
            }
            let describe = || format!("{label}: {}: {}: {}", row.id, row.verdict.status, row.verdict.reason);
            if row.outcome == Outcome::Contradicts && calm_outcome != Outcome::Contradicts {
                self.contradictions.push(describe());
            } else if is_decided && row.verdict.status != calm_status && !is_weaker(row.verdict.status, calm_status) {
                self.changed.push(describe());
            }
        }
    }

    /// The share of rows that the trouble left open.
    pub fn open_share(&self) -> f64 {
        self.open_rows as f64 / self.decided_rows.max(1) as f64
    }

    /// The requests, as a multiple of those without trouble.
    pub fn request_ratio(&self) -> f64 {
        self.requests as f64 / self.calm_requests.max(1) as f64
    }
}

/// The run of a server without trouble.
struct CalmRun {
    rows: BTreeMap<String, (VerdictStatus, Outcome)>,
    requests: u64,
    duration: Duration,
}

impl CalmRun {
    fn new(kept: &KeptResponses, concurrency: usize) -> Self {
        let run = run_rows(kept, &[], concurrency, &|_, _| None);
        let results = judge_recording(&run.recording);
        let rows = results.rows.into_iter().map(|row| (row.id, (row.verdict.status, row.outcome))).collect();
        Self { rows, requests: run.requests, duration: run.duration }
    }
}

/// The numbers of rows in flight that are measured.
const CONCURRENCIES: [usize; 2] = [1, 4];

/// Servers, and their runs without trouble.
pub struct MeasuredServers<'a> {
    servers: &'a [KeptResponses],
    calm: Vec<[CalmRun; CONCURRENCIES.len()]>,
}

impl<'a> MeasuredServers<'a> {
    /// Makes the runs without trouble.
    pub fn new(servers: &'a [KeptResponses]) -> Self {
        let calm = servers.iter().map(|kept| CONCURRENCIES.map(|n| CalmRun::new(kept, n))).collect();
        Self { servers, calm }
    }

    /// Makes `runs` runs with one kind and length of trouble, spread over the servers.
    pub fn measure(&self, trouble: InjectedTrouble, length: TroubleLength, runs: Range<u64>) -> TroubleTally {
        let mut tally = TroubleTally::default();
        for n in runs {
            let mut rng = ChaCha8Rng::seed_from_u64(n ^ ((trouble as u64) << 40) ^ ((length as u64) << 50));
            let server = n as usize % self.servers.len();
            let at = n as usize / self.servers.len() % CONCURRENCIES.len();
            let (kept, calm) = (&self.servers[server], &self.calm[server][at]);
            let start = calm.duration.mul_f64(rng.random_range(0.0..1.0));
            let end = start.saturating_add(length.draw(&mut rng));
            let model = &kept.target.model;
            let run = run_rows(kept, &[], CONCURRENCIES[at], &|now, _| {
                (start <= now && now < end).then(|| trouble.response(model))
            });
            let label = format!("{trouble:?}, {length:?}, run {n}");
            tally.add(&label, calm, &run, &judge_recording(&run.recording));
        }
        tally
    }

    /// Makes runs in which a content filter rejects this share of all requests at random.
    pub fn measure_filter(&self, runs: u64, share: f64) -> TroubleTally {
        let mut tally = TroubleTally::default();
        for n in 0..runs {
            let server = n as usize % self.servers.len();
            let rng = Mutex::new(ChaCha8Rng::seed_from_u64(n));
            let run = run_rows(&self.servers[server], &[], CONCURRENCIES[1], &|_, _| {
                let text = "Input data may contain inappropriate content.";
                rng.lock().unwrap().random_bool(share).then(|| error_response(400, "invalid_request_error", text))
            });
            tally.add(&format!("filter, run {n}"), &self.calm[server][1], &run, &judge_recording(&run.recording));
        }
        tally
    }
}

/// True if a verdict says less than another one and nothing else: the rows that it needs for more
/// were not run.
fn is_weaker(status: VerdictStatus, than: VerdictStatus) -> bool {
    matches!(
        (status, than),
        (VerdictStatus::Accepted, VerdictStatus::Supported | VerdictStatus::Validated)
            | (VerdictStatus::Validated, VerdictStatus::Supported)
    )
}
