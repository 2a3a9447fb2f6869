//! Running: the one part of the engine that talks to an endpoint.
//!
//! Rows run side by side, each asking the rules after every trial what comes next, so many requests at once. Whatever happens is told to the
//! listeners as it happens; they know nothing of each other. A run that is stopped keeps what it has.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::Poll;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::OnceCell;

use super::arms;
use super::build::{Built, Channel, Context, Settings, build};
use super::decide::{self, Facts, Step};
use super::dialogue;
use super::draw::Draw;
use super::effect;
use super::kept::Kept;
use super::known::Known;
use super::plan;
use super::probes;
use super::recording::{ArmKind, Ended, Recording, TrialKey, TrialRecord};
use super::trial::Trial;
use super::turns::{Turn, Turns, Way, way};
use crate::case::{Arm, CatalogRow, Experiment, Predicate, variables};
use crate::client::{Budget, Endpoint, Reservation};
use crate::report::results::Verdict;
use crate::wire::answer::answer;
use crate::wire::exchange::{Attempt, AttemptResult, Credential, Exchange, Failure, FailureKind, Request};
use crate::wire::message::{Reading, read};

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// What requests take from the target and the options.
    pub settings: Settings,
    /// The seed of every draw.
    pub seed: u64,
    /// The confidence that statistical verdicts must reach.
    pub confidence: f64,
    /// How many requests are under way at once.
    pub concurrency: usize,
    /// When to stop before the end; runs that go side by side may share it.
    pub budget: Budget,
}

/// Begins the ids of the question whether the endpoint is still there.
pub(super) const IS_THERE: &str = "probe.there/";

/// What happens in a run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A row is begun.
    RowStarted(&'a str),
    /// An exchange is done.
    Exchange(&'a Exchange),
    /// A trial is done.
    Trial(&'a TrialRecord),
    /// The endpoint was seen to treat equal requests unequally: so many rows are asked again.
    AskedAgain(usize),
    /// A row has its verdict.
    Verdict(&'a str, &'a Verdict),
}

/// Hears what happens in a run.
pub trait Listener: Send {
    /// Called for each event, in order.
    fn on(&mut self, event: Event<'_>);
}

/// Stops a run from outside.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<tokio::sync::watch::Sender<bool>>);

impl Stop {
    /// Stops the run: nothing more is sent, and what is under way is given up.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Waits until somebody stops the run.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// True once somebody stopped it.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Whether it came to its end.
    pub ended: Ended,
    /// The form in which texts were put into messages.
    pub channel: Channel,
}

/// Requests in a row without an answer, each after its retries, or with a credential that is no longer taken, after
/// which the plainest request is asked once more. Where that brings no message either, the endpoint is gone, and
/// waiting for the time-out of every row that is left would tell nothing more.
pub(super) const GIVE_UP: u64 = 8;

/// Runs the rows against an endpoint.
pub async fn run<'a, E: Endpoint>(
    endpoint: &'a E,
    rows: &[&CatalogRow],
    options: &'a Options,
    listeners: Vec<&'a mut (dyn Listener + 'a)>,
    stop: &'a Stop,
) -> Finished {
    run_named(endpoint, rows, rows, options, listeners, stop).await
}

/// Runs rows that are some of a larger plan. Requests that rows share are named after the first row of the plan that
/// sends them, so that every part of it gives them the same names.
pub async fn run_named<'a, E: Endpoint>(
    endpoint: &'a E,
    plan: &[&CatalogRow],
    rows: &[&CatalogRow],
    options: &'a Options,
    listeners: Vec<&'a mut (dyn Listener + 'a)>,
    stop: &'a Stop,
) -> Finished {
    static NOTHING: LazyLock<Known> = LazyLock::new(Known::default);
    resume(endpoint, plan, rows, options, &NOTHING, listeners, stop).await
}

/// Goes on with a run that was cut: what is `known` already is not sent again, and not told of. Trials are told of
/// whether they are known or not.
pub async fn resume<'a, E: Endpoint>(
    endpoint: &'a E,
    plan: &[&CatalogRow],
    rows: &[&CatalogRow],
    options: &'a Options,
    known: &'a Known,
    listeners: Vec<&'a mut (dyn Listener + 'a)>,
    stop: &'a Stop,
) -> Finished {
    let mut runner = Runner {
        endpoint,
        options,
        stop,
        listeners: Mutex::new(listeners),
        shared: Mutex::default(),
        owners: HashMap::new(),
        lost: AtomicU64::new(0),
        gone: AtomicBool::new(false),
        channel: Channel::String,
        turns: Turns::new(options.concurrency),
        kept: Kept::default(),
        asked: AtomicU64::new(0),
        known,
    };
    let probe = probes::experiment();
    let mut trials = Vec::new();
    let channel = loop {
        match probes::channel(&trials) {
            Ok(channel) => break channel,
            Err(arm) => {
                runner.channel = if arm == ArmKind::Positive { Channel::Blocks } else { Channel::String };
                let before = trials.iter().filter(|t: &&Trial| t.arm == arm).count() as u32;
                let key = TrialKey { row: probes::CHANNEL.to_owned(), variant: None, arm, trial: before + 1 };
                let asks = probes::channel_arm();
                match runner.simple_trial(&probe, &[&asks], key, &runner.turns.of(0, Way::InOrder)).await {
                    Some(trial) => trials.push(trial),
                    None => break Channel::String,
                }
            }
        }
    };
    runner.channel = channel;
    runner.owners = owners(plan);
    let facts = if probes::unanswered(&trials) { None } else { runner.strictness(&probe, &trials).await };
    if let Some(mut facts) = facts.clone() {
        let mut begun: Vec<(usize, Vec<Trial>)> = (0..rows.len()).map(|row| (row, Vec::new())).collect();
        begun = runner.rows(rows, begun, &facts).await;
        let verdict = |(row, trials): &(usize, Vec<Trial>)| decide::next(&rows[*row].experiment, trials, &facts);
        if begun.iter().any(|row| decide::is_unsteady(&verdict(row))) {
            // What was sure of one endpoint is not of several: every row is asked again, many times.
            facts.unsteady = true;
            runner.tell(Event::AskedAgain(begun.len()));
            runner.rows(rows, begun, &facts).await;
        }
    }
    let ended = if stop.is_stopped() {
        Ended::Interrupted
    } else if runner.gone.load(Ordering::Relaxed) {
        Ended::Lost
    } else if options.budget.is_spent() {
        Ended::Budget
    } else if facts.is_none() {
        Ended::Untestable
    } else {
        Ended::Complete
    };
    Finished { ended, channel }
}

/// The names of requests that several rows share: the first row, in order, that can send them, by template.
fn owners(rows: &[&CatalogRow]) -> HashMap<String, String> {
    let mut owners = HashMap::new();
    for row in rows {
        for (variant, arm) in arms::all(&row.experiment).into_iter().filter(|(_, arm)| *arm != ArmKind::After) {
            let layers = arms::layers(&row.experiment, variant, arm);
            let variant = variant.map_or(String::new(), |v| format!("{v}/"));
            let template = arms::template(&row.experiment, &layers);
            owners.entry(template).or_insert_with(|| format!("{}/{variant}{arm}", row.experiment.id()));
        }
    }
    owners
}

/// Books what a recording's exchanges cost, whether or not the budget allows it: what was spent is spent.
pub fn book(recording: &Recording, budget: &Budget) {
    for exchange in &recording.exchanges {
        let most = plan::ceiling(&exchange.request, &recording.header.settings);
        settle(budget.spent(most, exchange.attempts.len() as u64), &read(exchange));
    }
}

/// Names a request that rows share: its template, the form of its texts, the trial and the step.
type Name = (String, Channel, u32, u32);
type Shared = HashMap<Name, Arc<OnceCell<Arc<Exchange>>>>;

struct Runner<'a, E> {
    endpoint: &'a E,
    options: &'a Options,
    stop: &'a Stop,
    listeners: Mutex<Vec<&'a mut (dyn Listener + 'a)>>,
    shared: Mutex<Shared>,
    owners: HashMap<String, String>,
    /// Requests in a row that brought no answer.
    lost: AtomicU64,
    /// The plainest request brought no message either.
    gone: AtomicBool,
    channel: Channel,
    turns: Turns,
    kept: Kept,
    /// Requests so far. No two runs need agree in it, and a question that bears it is no other run's.
    asked: AtomicU64,
    /// What an earlier part of the run brought.
    known: &'a Known,
}

/// True where an exchange says nothing of the request: no answer came, or one that turns everything away, or takes the
/// credential no longer.
pub(super) fn is_no_answer(request: &Request, reading: &Reading) -> bool {
    match reading {
        Reading::Failed(_) => true,
        Reading::Refused(r) => {
            let barred = request.credential == Credential::Target && matches!(r.status, 401 | 403);
            barred || r.status == 429 || r.status >= 500
        }
        Reading::Message(_) | Reading::Broken(_) => false,
    }
}

/// What an endpoint keeps of a prompt, it keeps for five minutes at least.
const KEPT_MS: u64 = 4 * 60 * 1000;

/// True where so long lies between the last two of equal requests that the endpoint may not know the first any more: the
/// run was cut between them, or made to wait.
fn is_forgotten(exchanges: &[Arc<Exchange>]) -> bool {
    let [.., before, last] = exchanges else { return false };
    let (Some(before), Some(last)) = (before.last(), last.last()) else { return false };
    last.started_ms > before.started_ms.saturating_add(before.duration_ms).saturating_add(KEPT_MS)
}

/// An attempt that was under way when the run was stopped.
fn given_up() -> Attempt {
    let message = "given up: the run was stopped before an answer came".to_owned();
    let result = AttemptResult::Failure(Failure { kind: FailureKind::Stopped, message });
    Attempt { started_ms: 0, duration_ms: 0, result }
}

/// Books what an exchange cost.
fn settle(reservation: Reservation<'_>, reading: &Reading) {
    match reading {
        // Of a message that is there, neither count can be nothing: such a meter does not count.
        Reading::Message(m) => {
            let wrote = |n: &u64| *n > 0 || m.content.is_empty();
            reservation.settle(m.input_tokens().filter(|n| *n > 0), m.output_tokens().filter(wrote));
        }
        Reading::Refused(_) => reservation.settle(Some(0), Some(0)),
        // Nobody knows what an answer that never came is charged at.
        Reading::Broken(_) | Reading::Failed(_) => drop(reservation),
    }
}

impl<E: Endpoint> Runner<'_, E> {
    fn tell(&self, event: Event<'_>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter_mut().for_each(|l| l.on(event));
    }

    /// Takes rows on from the trials that they have; with the trials that they end with.
    async fn rows(
        &self,
        rows: &[&CatalogRow],
        begun: Vec<(usize, Vec<Trial>)>,
        facts: &Facts,
    ) -> Vec<(usize, Vec<Trial>)> {
        let in_order = self.options.concurrency <= 1 || self.options.budget.is_bounded();
        let go_on = |(row, trials): (usize, Vec<Trial>)| async move {
            let experiment = &rows[row].experiment;
            (row, self.row(experiment, trials, facts, self.turns.of(row, way(experiment, in_order))).await)
        };
        let under_way: FuturesUnordered<_> = begun.into_iter().map(go_on).collect();
        let mut ended: Vec<_> = under_way.collect().await;
        ended.sort_by_key(|(row, _)| *row);
        ended
    }

    async fn row(&self, experiment: &Experiment, mut trials: Vec<Trial>, facts: &Facts, turn: Turn<'_>) -> Vec<Trial> {
        turn.come().await;
        if self.stop.is_stopped() {
            return trials;
        }
        self.tell(Event::RowStarted(experiment.id()));
        loop {
            let needed = match decide::next(experiment, &trials, facts) {
                Step::Done(verdict) => {
                    self.tell(Event::Verdict(experiment.id(), &verdict));
                    return trials;
                }
                Step::Try(needed) => needed,
            };
            let before = trials.iter().filter(|t| t.arm == needed.arm && t.variant == needed.variant).count();
            let key = TrialKey {
                row: experiment.id().to_owned(),
                variant: needed.variant,
                arm: needed.arm,
                trial: before as u32 + 1,
            };
            match self.trial(experiment, key, &turn).await {
                Some(trial) => trials.push(trial),
                None => return trials,
            }
        }
    }

    /// What holds for the whole run. `None` where the plainest request of all brings no message: nothing that follows
    /// could be decided, and nothing more need be sent.
    async fn strictness(&self, probe: &Experiment, channel: &[Trial]) -> Option<Facts> {
        let mut trials: Vec<Trial> = Vec::new();
        loop {
            let needed = probes::strictness(&trials);
            if needed.is_empty() {
                break;
            }
            let ask = |(rank, (arm, asks))| async move {
                let key = TrialKey { row: probes::STRICTNESS.to_owned(), variant: None, arm, trial: 1 };
                self.simple_trial(probe, &[&asks], key, &self.turns.of(rank, Way::InOrder)).await
            };
            let asked = join_all(needed.into_iter().enumerate().map(ask)).await;
            trials.extend(asked.into_iter().collect::<Option<Vec<Trial>>>()?);
        }
        trials.first()?.message()?;
        Some(probes::facts(self.options.confidence, self.options.seed, &trials, channel))
    }

    /// One trial of a row; `None` when the run is over before it is done.
    async fn trial(&self, experiment: &Experiment, key: TrialKey, turn: &Turn<'_>) -> Option<Trial> {
        if key.arm == ArmKind::Genuine {
            return self.genuine_trial(experiment, key, turn).await;
        }
        let layers = arms::layers(experiment, key.variant.as_deref(), key.arm);
        self.simple_trial(experiment, &layers, key, turn).await
    }

    /// A trial that sends one request, several times in a row where the experiment repeats it, until the effect shows.
    /// Rows whose arms ask the same share their requests.
    async fn simple_trial(
        &self,
        experiment: &Experiment,
        layers: &[&Arm],
        key: TrialKey,
        turn: &Turn<'_>,
    ) -> Option<Trial> {
        let repeat = match key.arm {
            ArmKind::Challenge(_) | ArmKind::ScreenChallenge => 1,
            _ => experiment.repeat,
        };
        let mut template = arms::template(experiment, layers);
        if key.arm == ArmKind::After {
            // It is asked for one row alone, or it would tell nothing of the moment.
            template.push_str(&key.row);
        }
        let draw = Draw::new(self.options.seed, format!("{template}/{}", key.trial));
        let built = self.build(experiment, layers, &draw, None);
        let owner = self.owners.get(&template).map_or_else(|| key.to_string(), |name| format!("{name}/{}", key.trial));
        let values = if built.fresh { draw.values(&variables(experiment, layers)) } else { BTreeMap::new() };
        let then = arms::then(layers);
        let is_alone = repeat == 1 && then.is_empty();
        let id = |step: u32| if is_alone { owner.clone() } else { format!("{owner}/{step}") };
        let name = |step: u32| (template.clone(), self.channel, key.trial, step);
        let mut exchanges = Vec::new();
        let (mut step, mut steps) = (0, repeat);
        while step < steps {
            step += 1;
            let request = match step {
                // Pictures and documents take their time to be made.
                1 => built.request.clone(),
                _ => build(experiment, layers, Context { step, ..self.context(&draw, None) }).request,
            };
            let exchange = self.send_shared(turn, name(step), &id(step), &request).await?;
            let shows = |effect: &Predicate| matches!(read(&exchange), Reading::Message(m) if effect::holds(effect, &m, &values));
            let enough = experiment.effect.as_ref().is_some_and(shows);
            exchanges.push(exchange);
            if enough {
                break;
            }
            if steps < 2 * repeat && is_forgotten(&exchanges) {
                steps += 1;
            }
        }
        let mut request = built.request;
        for (next, step) in then.iter().zip(steps + 1..) {
            let Some(Reading::Message(answer)) = exchanges.last().map(|e| read(e)) else { break };
            if !dialogue::goes_on(next, &answer, &values) {
                break;
            }
            request = dialogue::follow(&request, &answer, next, self.context(&draw, None));
            exchanges.push(self.send_shared(turn, name(step), &id(step), &request).await?);
        }
        Some(self.record(experiment, key, &exchanges, values))
    }

    /// A trial in two steps: get a block from the endpoint, hand it back.
    async fn genuine_trial(&self, experiment: &Experiment, key: TrialKey, turn: &Turn<'_>) -> Option<Trial> {
        let genuine = experiment.genuine.as_ref()?;
        let [first_layers, then_layers] = arms::genuine_layers(experiment)?;
        let draw = Draw::new(self.options.seed, key.to_string());
        let built = self.build(experiment, &first_layers, &draw, None);
        let values = draw.values(&variables(experiment, &[]));
        let mut exchanges = vec![self.send(turn, &format!("{key}/1"), built.request).await?];
        if let Reading::Message(first) = read(&exchanges[0])
            && effect::holds(&genuine.when, &first, &values)
        {
            let content = serde_json::Value::from(first.content);
            let built = self.build(experiment, &then_layers, &draw, Some(&content));
            exchanges.push(self.send(turn, &format!("{key}/2"), built.request).await?);
        }
        Some(self.record(experiment, key, &exchanges, values))
    }

    fn build(&self, experiment: &Experiment, layers: &[&Arm], draw: &Draw, first: Option<&serde_json::Value>) -> Built {
        build(experiment, layers, self.context(draw, first))
    }

    fn context<'c>(&'c self, draw: &'c Draw, first: Option<&'c serde_json::Value>) -> Context<'c> {
        Context { settings: &self.options.settings, channel: self.channel, draw, first_content: first, step: 1 }
    }

    fn record(
        &self,
        experiment: &Experiment,
        key: TrialKey,
        exchanges: &[Arc<Exchange>],
        values: BTreeMap<String, String>,
    ) -> Trial {
        let trial = Trial {
            variant: key.variant.clone(),
            arm: key.arm,
            steps: exchanges.iter().map(|e| read(e)).collect(),
            answer: exchanges.last().filter(|_| experiment.looks_at_answers()).and_then(|e| answer(e)),
            values: values.clone(),
        };
        let record = TrialRecord { key, exchanges: exchanges.iter().map(|e| e.id.clone()).collect(), values };
        self.tell(Event::Trial(&record));
        trial
    }

    /// Sends a request that other rows may need as well; it goes out once for all of them.
    async fn send_shared(&self, turn: &Turn<'_>, key: Name, id: &str, request: &Request) -> Option<Arc<Exchange>> {
        let cell = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.entry(key).or_default().clone()
        };
        let asks = AtomicBool::new(false);
        let sent = cell.get_or_try_init(|| async {
            asks.store(true, Ordering::Relaxed);
            self.send(turn, id, request.clone()).await.ok_or(())
        });
        tokio::pin!(sent);
        let sent = match poll_fn(|context| Poll::Ready(sent.as_mut().poll(context))).await {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                if !asks.load(Ordering::Relaxed) {
                    // Another row asks. Meanwhile a third may send.
                    turn.leave();
                }
                sent.await
            }
        };
        sent.ok().cloned()
    }

    async fn send(&self, turn: &Turn<'_>, id: &str, request: Request) -> Option<Arc<Exchange>> {
        turn.come().await;
        if self.stop.is_stopped() {
            return None;
        }
        if let Some(known) = self.known.answered(id, &request) {
            return Some(known.clone());
        }
        if self.gone.load(Ordering::Relaxed) {
            return None;
        }
        let (exchange, reading) = self.spend(id, request).await?;
        turn.sent();
        // Where the plain request is answered, it was the request's fault.
        if is_no_answer(&exchange.request, &reading) {
            if (self.lost.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(GIVE_UP) {
                self.is_there().await;
            }
        } else {
            self.lost.store(0, Ordering::Relaxed);
        }
        Some(Arc::new(exchange))
    }

    /// Asks the plainest thing once more: what fails may be one kind of request, and not the endpoint.
    async fn is_there(&self) {
        let probe = probes::experiment();
        let draw = Draw::new(self.options.seed, "probe.there");
        let asks = probes::plain_arm();
        let request = self.build(&probe, &[&asks], &draw, None).request;
        let id = format!("{IS_THERE}{}", self.asked.load(Ordering::Relaxed));
        let Some((_, reading)) = self.spend(&id, request).await else { return };
        if !matches!(reading, Reading::Message(_)) {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// Sends a request within the budget, and tells of it. `None` where the budget does not allow it, or the run is
    /// stopped meanwhile.
    async fn spend(&self, id: &str, request: Request) -> Option<(Exchange, Reading)> {
        let mut reservation = tokio::select! {
            reservation = self.options.budget.reserve(plan::ceiling(&request, &self.options.settings)) => reservation?,
            () = self.stop.stopped() => return None,
        };
        self.asked.fetch_add(1, Ordering::Relaxed);
        let earlier = self.known.attempts(id, &request);
        let asked = request.clone();
        let sent = tokio::select! {
            exchange = self.endpoint.send_within(id, request, &mut reservation) => Some(exchange),
            () = self.stop.stopped() => None,
        };
        let Some(mut exchange) = sent else {
            // Somebody may be charged for what was under way.
            let attempts = (0..reservation.attempts()).map(|_| given_up()).collect();
            let mut exchange = Exchange { id: id.to_owned(), request: asked, attempts };
            exchange.attempts.splice(0..0, earlier.iter().cloned());
            self.tell(Event::Exchange(&exchange));
            return None;
        };
        if exchange.is_not_recorded() {
            // What nobody asked the endpoint shows nothing: the trial does not take place.
            reservation.settle(Some(0), Some(0));
            return None;
        }
        self.kept.bound(&mut exchange);
        exchange.attempts.splice(0..0, earlier.iter().cloned());
        let reading = read(&exchange);
        settle(reservation, &reading);
        self.tell(Event::Exchange(&exchange));
        Some((exchange, reading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exchange::{Attempt, AttemptResult, Failure, FailureKind, Method};

    #[test]
    fn what_was_asked_long_ago_may_be_forgotten() {
        let at = |started_ms, duration_ms| {
            let failure = Failure { kind: FailureKind::Reset, message: String::new() };
            let result = AttemptResult::Failure(failure);
            let request = Request {
                method: Method::Post,
                path: String::new(),
                headers: BTreeMap::new(),
                credential: Credential::Target,
                body: serde_json::Value::Null,
                raw: None,
            };
            let attempts = vec![Attempt { started_ms, duration_ms, result }];
            Arc::new(Exchange { id: String::new(), request, attempts })
        };
        assert!(!is_forgotten(&[at(0, 10)]), "there was nothing before");
        assert!(!is_forgotten(&[at(0, KEPT_MS), at(KEPT_MS + 5, 10)]), "it took long, and was asked at once");
        assert!(is_forgotten(&[at(0, 10), at(KEPT_MS + 11, 10)]));
    }
}
