//! Runs that are cut, by whatever: what they leave behind, and how they are gone on with. With the real binary, killed at
//! moments that nobody chose.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use binary::{FinishedRun, Folder, RunningCommand};
use fieldtest::recording::run;
use fieldtest::recording::run::Recording;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use server::{FaithfulServer, ReceivedRequest, TestServer};

use crate::common::{binary, server};

const KEY: &str = "fieldtest-simulator";
const RECORDING: &str = "out/recording-it.jsonl";
const RESULTS: &str = "results-it.json";
/// Rows of every kind of trial: screens, conversations, samples, repeats, genuine blocks. None that is about times.
const ROW_IDS: [&str; 5] = ["field.*", "tools.*", "error.*", "turns.*", "content.thinking*"];

/// An endpoint that answers equal requests equally, whenever they come: two runs of it can be compared to the byte.
fn steady(pause: Duration) -> TestServer {
    let faithful = FaithfulServer::start();
    let answers = Memo::default();
    TestServer::start(move |asked, stream| {
        thread::sleep(pause);
        stream.write_all(&answers.of(&faithful, asked)?)
    })
}

/// What was answered to each request.
#[derive(Default)]
struct Memo(Mutex<HashMap<String, Vec<u8>>>);

impl Memo {
    fn of(&self, faithful: &FaithfulServer, asked: &ReceivedRequest) -> std::io::Result<Vec<u8>> {
        let mut answers = self.0.lock().unwrap();
        let request = format!("{}{}", asked.head, asked.body);
        if !answers.contains_key(&request) {
            answers.insert(request.clone(), faithful.respond(asked)?);
        }
        Ok(answers[&request].clone())
    }
}

/// `fieldtest run` of a server into `out`, with more arguments.
fn command(folder: &Folder, url: &str, out: &str, more: &[&str]) -> Command {
    let all =
        ["run", "--base-url", url, "--model", "m", "--name", "it", "--api-key-env", "KEY", "--claims", "deepseek"];
    let rows = ROW_IDS.iter().flat_map(|glob| ["--select", glob]);
    let rest = ["--out", out, "--seed", "7", "--retries", "0", "--no-progress"];
    let mut command = folder.command(all.into_iter().chain(rows).chain(rest).chain(more.iter().copied()));
    command.env("KEY", KEY);
    command
}

fn run(folder: &Folder, url: &str, out: &str, more: &[&str]) -> FinishedRun {
    RunningCommand::start(command(folder, url, out, more)).wait_for_end()
}

/// Goes on with what is in `out`.
fn resume(folder: &Folder, url: &str, more: &[&str]) -> FinishedRun {
    run(folder, url, "out", &[&["--resume", RECORDING], more].concat())
}

fn read(path: &Path) -> Recording {
    run::read_recording(BufReader::new(fs::File::open(path).unwrap()))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Results without what no two runs have in common: times, tries that brought nothing, and a forecast, which is of a
/// concurrency and a budget.
fn comparable(folder: &Folder, file: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                let differ = ["started_at", "finished_at", "wall_ms", "retries", "planned"];
                map.retain(|key, _| !differ.contains(&key.as_str()));
                map.values_mut().for_each(strip);
            }
            Value::Array(all) => all.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(&folder.read(file)).unwrap();
    strip(&mut value);
    value
}

#[track_caller]
fn same_results(folder: &Folder, whole: &str, resumed: &str, told: &str) {
    let (whole, resumed) = (comparable(folder, whole), comparable(folder, resumed));
    for (a, b) in whole["rows"].as_array().unwrap().iter().zip(resumed["rows"].as_array().unwrap()) {
        assert!(a == b, "{told}: {}\n{a:#}\n{b:#}", a["id"]);
    }
    assert!(whole == resumed, "{told}:\n{whole:#}\n{resumed:#}");
}

/// How often each request was sent.
fn sent(asked: &[ReceivedRequest]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in asked {
        let line = one.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        *counts.entry(format!("{line} {}", one.body)).or_default() += 1;
    }
    counts
}

/// How often each request stands in a recording.
fn recorded(recording: &Recording) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for exchange in &recording.exchanges {
        let request = &exchange.request;
        let body = match (&request.raw, request.body.is_null()) {
            (Some(raw), _) => raw.clone(),
            (None, true) => String::new(),
            (None, false) => request.body.to_string(),
        };
        *counts.entry(format!("{} {} {body}", request.method.as_str(), request.path)).or_default() += 1;
    }
    counts
}

fn sum(mut one: BTreeMap<String, usize>, other: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    other.into_iter().for_each(|(request, n)| *one.entry(request).or_default() += n);
    one
}

/// Each trial once, each exchange once, whatever was written how often.
fn assert_each_once(recording: &Recording, told: &str) {
    let mut ids: Vec<&str> = recording.exchanges.iter().map(|e| e.id.as_str()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "{told}: an exchange stands twice");
    let mut keys: Vec<_> = recording.trials.iter().map(|t| t.key.clone()).collect();
    keys.sort();
    let all = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), all, "{told}: a trial stands twice");
}

mod killed {
    use super::*;

    /// The seed of the moments; `FIELDTEST_SEED` takes another one.
    fn seed() -> u64 {
        std::env::var("FIELDTEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
    }

    /// Kills a run once the server has so many requests more, and a little later.
    fn kill(mut running: RunningCommand, server: &TestServer, requests: usize, later: Duration) {
        let until = server.received_requests().len() + requests;
        while !running.has_ended() && server.received_requests().len() < until {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(later);
        running.kill();
    }

    #[test]
    fn at_any_moment_it_is_gone_on_with_and_ends_as_if_nothing_had_been() {
        let seed = seed();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let server = steady(Duration::from_millis(3));
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &["--concurrency", "8"]).assert_exit_code(1);
        let requests = server.received_requests().len();
        assert!(requests > 100, "{requests} requests are too few to be cut anywhere");
        let (mut cut, mut twice) = (0, 0);
        for n in 0..25 {
            let mut moment = |most: usize| (random.random_range(0..most), random.random_range(0..4000));
            let first = moment(requests);
            let second = (n % 3 == 0).then(|| moment(requests));
            let concurrency = ["1", "4", "8"][n % 3];
            let told = format!("seed {seed}, kill {n}, after {first:?}, then after {second:?}, {concurrency} at once");
            let _ = fs::remove_dir_all(folder.path().join("out"));
            let more = ["--concurrency", concurrency];
            let begun = RunningCommand::start(command(&folder, &url, "out", &more));
            kill(begun, &server, first.0, Duration::from_micros(first.1));
            let path = folder.path().join(RECORDING);
            if !fs::read_to_string(&path).is_ok_and(|text| text.contains('\n')) {
                // Nothing was recorded, and nothing was lost.
                continue;
            }
            cut += 1;
            if let Some(second) = second {
                let resumed = command(&folder, &url, "out", &[&more[..], &["--resume", RECORDING]].concat());
                kill(RunningCommand::start(resumed), &server, second.0, Duration::from_micros(second.1));
                twice += 1;
            }
            let before = read(&path);
            let so_far = server.received_requests().len();
            if n % 5 == 0 {
                // What it had can be judged before it is gone on with.
                let judged = folder.run(["judge", RECORDING, "--out", "judged"]);
                assert!([Some(0), Some(1), Some(3)].contains(&judged.code), "{told}: {}", judged.stderr);
            }
            let ended = resume(&folder, &url, &more);
            assert_eq!(ended.code, Some(1), "{told}:\n{}", ended.stderr);
            let after = read(&path);
            assert_each_once(&after, &told);
            // What was sent now and what had been answered are all that there is: nothing was sent again.
            let asked = server.received_requests();
            assert_eq!(sum(sent(&asked[so_far..]), recorded(&before)), recorded(&after), "{told}");
            same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), &told);
            if n % 5 == 0 {
                folder.run(["judge", RECORDING, "--out", "judged"]).assert_exit_code(1);
                let [judged, run] = ["judged", "out"].map(|out| folder.read(&format!("{out}/{RESULTS}")));
                assert_eq!(judged, run, "{told}: judged otherwise");
            }
        }
        assert!(cut >= 15 && twice >= 5, "only {cut} were cut, {twice} of them twice: the moments miss the runs");
        folder.run(["run", "--replay", "out", "--out", "again"]).assert_exit_code(1);
        assert_eq!(
            folder.read(&format!("again/{RESULTS}")),
            folder.read(&format!("out/{RESULTS}")),
            "replayed otherwise"
        );
    }

    /// A simulation is begun anew, and what it leaves to chance goes on where it was.
    #[test]
    fn a_simulated_run_ends_as_if_nothing_had_been() {
        let seed = seed();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let folder = Folder::new();
        let deviations = "disobedience: 0.2\ninject_529: 0.05\ninject_reset: 0.05\n";
        let options = [&folder.write_simulator_file(deviations)[..], &["--flip", "field.top_k=supported"]].concat();
        folder.write("slow.yaml", format!("{deviations}latency_ms: 5\njitter_ms: 10\n"));
        let rows = ["--select", "field.*", "--select", "tools.*", "--no-progress"];
        let whole = ["run", "deepseek", "--simulate", "--out", "whole"];
        folder.run(whole.iter().chain(&rows).chain(&options)).assert_exit_code(0);
        let mut cut = 0;
        for n in 0..6 {
            let after: usize = random.random_range(1..150);
            let told = format!("seed {seed}, kill {n}, after {after} lines");
            let _ = fs::remove_dir_all(folder.path().join("out"));
            let slow = ["run", "deepseek", "--simulate", "--out", "out", "--simulator", "slow.yaml"];
            let mut running = RunningCommand::start(folder.command(slow.iter().chain(&rows).chain(&options[2..])));
            let path = folder.path().join("out/recording-deepseek.jsonl");
            let lines = || fs::read_to_string(&path).map_or(0, |text| text.lines().count());
            while !running.has_ended() && lines() < after {
                thread::sleep(Duration::from_millis(1));
            }
            running.kill();
            cut += usize::from(read(&path).footer.is_none());
            // What it is of is in the recording; how the simulation behaves has to be said again.
            folder.run(["run", "--resume", "out", "--out", "out"].iter().chain(&options)).assert_exit_code(0);
            assert_each_once(&read(&path), &told);
            same_results(&folder, "whole/results-deepseek.json", "out/results-deepseek.json", &told);
        }
        assert!(cut >= 3, "only {cut} runs were cut");
        folder
            .run(["run", "--resume", "out", "--out", "out", "--flip", "field.system=ignored"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["simulator options differ from the recorded run"]);
    }
}

mod stopped {
    use super::*;

    #[test]
    fn by_a_signal_or_a_budget_and_gone_on_with_again_and_again() {
        let server = steady(Duration::from_millis(3));
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let needed = server.received_requests().len();
        let so_far = || server.received_requests().len() - needed;
        run(&folder, &url, "out", &["--max-requests", "20"]).assert_stderr_contains(&["the budget was used up"]);
        assert_eq!(so_far(), 20);
        // What the recording holds is spent, too.
        resume(&folder, &url, &["--max-requests", "20"])
            .assert_stderr_contains(&["20 answered requests are not sent again", "the budget was used up"]);
        assert_eq!(so_far(), 20);
        resume(&folder, &url, &["--max-requests", "45"]).assert_stderr_contains(&["the budget was used up"]);
        assert_eq!(so_far(), 45);
        assert_eq!(read(&folder.path().join(RECORDING)).exchanges.len(), 45);
        for signal in ["INT", "TERM"] {
            let begun = so_far();
            let mut running = RunningCommand::start(command(&folder, &url, "out", &["--resume", RECORDING]));
            running.wait_until(|| so_far() > begun + 10);
            running.send_signal(signal);
            running.wait_for_end().assert_stderr_contains(&["stopping", "interrupted"]);
            assert_eq!(folder.results("out")["partial"], "the run was interrupted", "{signal}");
        }
        resume(&folder, &url, &[]).assert_exit_code(1);
        same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), "after six parts");
        // No more than what was under way at the two signals was sent twice.
        assert!(so_far() <= needed + 2 * 4, "{} requests where {needed} do", so_far());
        let text = folder.read(RECORDING);
        let count = |kind: &str| text.lines().filter(|line| line.starts_with(&format!("{{\"{kind}\""))).count();
        assert_eq!((count("header"), count("footer"), count("resumed")), (1, 6, 5));
    }

    #[test]
    fn by_the_endpoint_itself_which_is_asked_again_what_it_did_not_answer() {
        let gone = Arc::new(AtomicBool::new(false));
        let (faithful, answers, is_gone) = (FaithfulServer::start(), Memo::default(), gone.clone());
        let server = TestServer::start(move |asked, stream| match (is_gone.load(Ordering::SeqCst), asked.number % 2) {
            (false, _) => stream.write_all(&answers.of(&faithful, asked)?),
            (true, 0) => server::write_response(stream, "503 Service Unavailable", "text/plain", "gone"),
            // The connection breaks.
            (true, _) => Ok(()),
        });
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let running = RunningCommand::start(command(&folder, &url, "out", &[]));
        let begun = server.received_requests().len();
        while server.received_requests().len() < begun + 40 {
            thread::sleep(Duration::from_micros(200));
        }
        gone.store(true, Ordering::SeqCst);
        running.wait_for_end().assert_stderr_contains(&["the endpoint stopped responding"]);
        // It is still gone; and then it is back.
        resume(&folder, &url, &[]).assert_stderr_contains(&["the endpoint stopped responding"]);
        gone.store(false, Ordering::SeqCst);
        let (before, so_far) = (read(&folder.path().join(RECORDING)), server.received_requests().len());
        resume(&folder, &url, &[]).assert_exit_code(1);
        let after = read(&folder.path().join(RECORDING));
        assert_each_once(&after, "lost");
        let mut whole = comparable(&folder, &format!("whole/{RESULTS}"));
        let mut resumed = comparable(&folder, &format!("out/{RESULTS}"));
        // Asking whether it was still there has cost something.
        let there = |e: &&fieldtest::wire::exchange::Exchange| e.id.starts_with("probe.there/");
        assert!(after.exchanges.iter().any(|e| there(&e)));
        for results in [&mut whole, &mut resumed] {
            for key in ["totals", "per_verdict", "findings"] {
                results[key] = Value::Null;
            }
            for row in results["rows"].as_array_mut().unwrap() {
                row["findings"] = Value::Null;
            }
        }
        assert_eq!(whole, resumed);
        // Nothing that was answered was sent again.
        let is_answered = |e: &&fieldtest::wire::exchange::Exchange| matches!(&e.last_attempt().unwrap().result, fieldtest::wire::exchange::AttemptResult::Response(r) if r.status < 500);
        let answered =
            Recording { exchanges: before.exchanges.iter().filter(is_answered).cloned().collect(), ..before };
        let asked_now = sent(&server.received_requests()[so_far..]);
        let (answered, all) = (recorded(&answered), recorded(&after));
        for (request, n) in &asked_now {
            let before = answered.get(request).copied().unwrap_or(0);
            assert!(before + n <= all[request], "sent again: {request}");
        }
    }

    #[test]
    fn at_its_end_it_is_judged_and_nothing_is_sent() {
        let server = steady(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "out", &[]).assert_exit_code(1);
        let (asked, text, results) =
            (server.received_requests().len(), folder.read(RECORDING), folder.read(&format!("out/{RESULTS}")));
        resume(&folder, &url, &[]).assert_exit_code(1).assert_stderr_contains(&["is complete; no requests sent"]);
        // Nor is anything needed to send it.
        folder
            .run(["run", "--resume", "out", "--out", "again"])
            .assert_exit_code(1)
            .assert_stderr_contains(&["is complete; no requests sent"]);
        assert_eq!((server.received_requests().len(), folder.read(RECORDING)), (asked, text));
        assert_eq!(folder.read(&format!("again/{RESULTS}")), results);
    }

    #[test]
    fn in_the_middle_of_a_line_which_is_taken_off() {
        let server = steady(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let whole = folder.read("whole/recording-it.jsonl");
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let begin = lines[..60].concat();
        // Half a line; a line that lacks nothing but its end; a line of which one byte is there; none.
        let [half, all_but_end] = [&lines[60][..lines[60].len() / 2], lines[60].trim_end()];
        for tail in [half, all_but_end, "{", ""] {
            folder.write(RECORDING, format!("{begin}{tail}"));
            resume(&folder, &url, &[]).assert_exit_code(1);
            let text = folder.read(RECORDING);
            let kept = if tail == all_but_end { lines[..61].concat() } else { begin.clone() };
            assert!(text.starts_with(&format!("{kept}{{\"resumed\":")), "{tail}");
            same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), tail);
        }
    }

    /// As where a request failed, another was sent for that reason, and the first is answered now.
    #[test]
    fn behind_a_trial_that_is_not_needed_after_all_which_is_taken_back() {
        let server = steady(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let whole = folder.read("whole/recording-it.jsonl");
        let mut lines: Vec<String> = whole.split_inclusive('\n').take(80).map(str::to_owned).collect();
        let is_trial = |line: &&String| line.starts_with("{\"trial\"") && line.contains("\"trial\":1,");
        let trial = lines.iter().rfind(is_trial).unwrap().clone();
        lines.push(trial.replacen("\"trial\":1,", "\"trial\":9,", 1));
        folder.write(RECORDING, lines.concat());
        // Cut once more, it may still be needed.
        resume(&folder, &url, &["--max-requests", "45"]).assert_stderr_contains(&["resuming"]);
        assert!(!folder.read(RECORDING).contains("{\"withdrawn\""));
        resume(&folder, &url, &[]).assert_exit_code(1);
        let text = folder.read(RECORDING);
        let withdrawn = text.lines().find(|line| line.starts_with("{\"withdrawn\"")).unwrap();
        assert!(withdrawn.contains("\"trial\":9"), "{withdrawn}");
        assert!(read(&folder.path().join(RECORDING)).trials.iter().all(|trial| trial.key.trial != 9));
        same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), "withdrawn");
        folder.run(["judge", RECORDING, "--out", "judged"]).assert_exit_code(1);
        assert_eq!(folder.read(&format!("judged/{RESULTS}")), folder.read(&format!("out/{RESULTS}")));
    }

    #[test]
    fn several_targets_are_gone_on_with_at_once_and_those_that_were_not_begun_are_run() {
        let folder = Folder::new();
        let rows = ["--select", "field.t*", "--no-progress"];
        folder.run(["run", "--out", "whole"].iter().chain(&rows)).assert_exit_code(0);
        folder.run(["run", "--out", "out", "--max-requests", "8"].iter().chain(&rows)).assert_exit_code(3);
        folder
            .run(["run", "--resume", "out", "--out", "out"])
            .assert_exit_code(0)
            .assert_stderr_contains(&["deepseek: resuming", "tencent-lkeap: resuming"]);
        for name in ["results-deepseek.json", "results-tencent-lkeap.json"] {
            same_results(&folder, &format!("whole/{name}"), &format!("out/{name}"), name);
        }
        // Cut before anything was recorded; it could as well be missing.
        folder.write("out/recording-tencent-lkeap.jsonl", "{\"header\":{");
        let named = ["run", "deepseek", "tencent-lkeap", "--simulate", "--resume", "out", "--out", "out"];
        folder
            .run(named.iter().chain(&rows))
            .assert_exit_code(0)
            .assert_stderr_contains(&["recording-deepseek.jsonl is complete"]);
        assert_eq!(
            folder.file_names("out", "recording-"),
            ["recording-deepseek.jsonl", "recording-tencent-lkeap.jsonl"]
        );
        same_results(&folder, "whole/results-tencent-lkeap.json", "out/results-tencent-lkeap.json", "not begun");
    }
}

#[test]
fn a_shard_is_gone_on_with_as_the_shard_that_it_is() {
    let folder = Folder::new();
    let rows = ["--select", "field.*", "--select", "tools.*", "--select", "tool_choice.*"];
    let shard = ["run", "deepseek", "--simulate", "--shard", "2/3", "--no-progress"];
    let shard = [&shard[..], &rows, &["--out"]].concat();
    folder.run(shard.iter().chain(&["whole"])).assert_exit_code(0);
    folder
        .run(shard.iter().chain(&["out", "--max-requests", "12"]))
        .assert_stderr_contains(&["`fieldtest run --resume out/recording-"]);
    folder.run(["run", "--resume", "out", "--out", "out"]).assert_exit_code(0);
    same_results(&folder, "whole/results-deepseek.json", "out/results-deepseek.json", "a shard");
}

mod refused {
    use super::*;

    /// A folder with a run that was cut.
    fn cut() -> (TestServer, Folder) {
        let (server, folder) = (steady(Duration::ZERO), Folder::new());
        run(&folder, &server.url(), "out", &["--max-requests", "20"])
            .assert_stderr_contains(&["the budget was used up"]);
        (server, folder)
    }

    #[test]
    fn what_would_ask_otherwise() {
        let (server, folder) = cut();
        let other = steady(Duration::ZERO);
        let (url, asked) = (server.url(), server.received_requests().len());
        let before = folder.read(RECORDING);
        let base = ["run", "--resume", RECORDING, "--out", "out", "--api-key-env", "KEY"];
        let at = |url: &str| ["--base-url", url, "--name", "it", "--model", "m"].map(str::to_owned).to_vec();
        let with = |more: &[&str]| at(&url).into_iter().chain(more.iter().map(|m| (*m).to_owned())).collect::<Vec<_>>();
        for (more, said) in [
            (at(&other.url()), vec!["the recording has base URL", "must be equal"]),
            (with(&["--model", "other"]), vec!["several are named"]),
            (
                ["--base-url", &url, "--name", "it", "--model", "x"].map(str::to_owned).to_vec(),
                vec!["the recording has model `m`"],
            ),
            (
                ["--base-url", &url, "--name", "x", "--model", "m"].map(str::to_owned).to_vec(),
                vec!["the recording has target `it`"],
            ),
            (with(&["--claims", "anthropic"]), vec!["the recording has the claims of `deepseek`"]),
            (with(&["--seed", "8"]), vec!["made with `--seed 7`", "Remove `--seed`"]),
            (with(&["--confidence", "0.9"]), vec!["--confidence 0.99"]),
            (with(&["--default-max-tokens", "99"]), vec!["--default-max-tokens 1024"]),
            (with(&["--redact", "content"]), vec!["the recording already has texts"]),
            (with(&["--select", "field.top_k"]), vec!["--select names other rows"]),
            (with(&["--shard", "1/2"]), vec!["--shard none"]),
            (with(&["--repeat", "2"]), vec!["cannot be used with"]),
        ] {
            let more: Vec<&str> = more.iter().map(String::as_str).collect();
            folder
                .run_with_env(&[("KEY", KEY)], &[&base[..], &more].concat())
                .assert_exit_code(2)
                .assert_stderr_contains(&said);
        }
        assert_eq!((server.received_requests().len(), other.received_requests().len()), (asked, 0), "nothing was sent");
        assert_eq!(folder.read(RECORDING), before, "nothing was written");
        // What is named right may be left out, all of it: the recording knows.
        folder.run_with_env(&[("KEY", KEY)], &base).assert_exit_code(1);
    }

    #[test]
    fn what_cannot_be_gone_on_with() {
        let (_server, folder) = cut();
        let text = folder.read(RECORDING);
        let try_with = |text: String| {
            folder.write("bad/recording-it.jsonl", text);
            folder.run(["run", "--resume", "bad", "--out", "bad"])
        };
        let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
        try_with(text.replacen(&version, "\"version\":\"0.0.9\"", 1))
            .assert_exit_code(2)
            .assert_stderr_contains(&["written by version 0.0.9"]);
        let unnamed = text.replacen(&format!(",{version}"), "", 1);
        assert_ne!(unnamed, text);
        try_with(unnamed).assert_exit_code(2).assert_stderr_contains(&["written by an earlier version"]);
        let cases = text.split_once("\"cases\":\"").unwrap().1[..16].to_owned();
        try_with(text.replacen(&cases, "0123456789abcdef", 1))
            .assert_exit_code(2)
            .assert_stderr_contains(&["the case files changed", "--cases"]);
        try_with("{}\n".to_owned()).assert_exit_code(2).assert_stderr_contains(&["is not the header of a recording"]);
        // A run that was killed before anything was recorded.
        try_with("{\"header\":".to_owned()).assert_exit_code(2).assert_stderr_contains(&["nothing was recorded"]);
        folder
            .run(["run", "--resume", "bad/recording-it.jsonl"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["Start a new run"]);
        folder
            .run(["run", "--resume", "nowhere"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["no such file or folder"]);
        folder.write("empty/x.txt", "");
        folder
            .run(["run", "--resume", "empty"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["no recording-*.jsonl in the folder"]);
        let select = ["--select", "field.top_k", "--no-progress"];
        folder
            .run(["run", "deepseek", "--simulate", "--redact", "content", "--out", "texts"].iter().chain(&select))
            .assert_exit_code(0);
        folder
            .run(["run", "--resume", "texts"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["the recording has no texts"]);
        folder.write("gateway.jsonl", "{\"header\":{\"schema\":\"fieldtest-gateway-recording/1\"\n");
        folder
            .run(["run", "--resume", "gateway.jsonl"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["fieldtest gateway"]);
        for n in [1, 2] {
            folder.write(&format!("two/recording-{n}.jsonl"), &text);
        }
        folder
            .run(["run", "--resume", "two"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["several recordings of `it`"]);
    }

    /// A footer in the middle counts what stands above it, and the last one what stands in all.
    #[test]
    fn a_recording_that_lost_a_line() {
        let (server, folder) = cut();
        resume(&folder, &server.url(), &["--max-requests", "40"]);
        resume(&folder, &server.url(), &[]).assert_exit_code(1);
        let text = folder.read(RECORDING);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let footers: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("{\"footer\"")).collect();
        assert_eq!(footers.len(), 3);
        let judged = |lines: &[&str]| {
            folder.write("x.jsonl", lines.concat());
            folder.run(["judge", "x.jsonl", "--out", "judged"])
        };
        judged(&lines).assert_exit_code(1);
        for footer in &footers {
            let mut fewer = lines.clone();
            let trial = fewer[..*footer].iter().rposition(|line| line.starts_with("{\"trial\"")).unwrap();
            fewer.remove(trial);
            judged(&fewer).assert_exit_code(2).assert_stderr_contains(&["It was edited; record it again"]);
        }
        // What goes on behind an end, without a word that it does, is no recording; nor is what goes on behind the last.
        let silent: Vec<&str> = lines.iter().copied().filter(|line| !line.starts_with("{\"resumed\"")).collect();
        judged(&silent).assert_exit_code(2).assert_stderr_contains(&["something follows the footer"]);
        let more = [&lines[..], &["{\"resumed\":{\"at\":\"2026-01-01T00:00:00Z\"}}\n"]].concat();
        judged(&more).assert_exit_code(2).assert_stderr_contains(&["the footer of a complete run"]);
    }
}

mod trouble {
    use super::*;

    /// As on a full disk: what does not fit is missing at the end, and nowhere else.
    #[cfg(unix)]
    #[test]
    fn a_disk_that_takes_no_more_leaves_a_recording_that_can_be_gone_on_with() {
        let server = steady(Duration::ZERO);
        let (folder, url) = (Folder::new(), server.url());
        run(&folder, &url, "whole", &[]).assert_exit_code(1);
        let plain = command(&folder, &url, "out", &["--format", "terminal"]);
        let mut limited = Command::new("sh");
        // The signal is ignored, so that the write fails: that is how a full disk shows.
        limited.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""]);
        limited.arg(plain.get_program()).args(plain.get_args()).current_dir(folder.path());
        limited.env_clear().env("KEY", KEY).env("PATH", std::env::var_os("PATH").unwrap());
        let ended = RunningCommand::start(limited).wait_for_end().assert_exit_code(1);
        let ended = ended.assert_stderr_contains(&[
            "out/recording-it.jsonl: cannot write",
            "The run continues",
            "is incomplete",
        ]);
        assert_eq!(ended.stderr.matches("The run continues").count(), 1, "one warning: {}", ended.stderr);
        assert!(ended.stdout.contains("stop_sequences"), "the results are shown");
        let asked = server.received_requests().len();
        let before = read(&folder.path().join(RECORDING));
        assert!(before.footer.is_none() && before.exchanges.len() > 10);
        resume(&folder, &url, &[]).assert_exit_code(1);
        assert_eq!(server.received_requests().len() - asked + before.exchanges.len(), asked / 2);
        same_results(&folder, &format!("whole/{RESULTS}"), &format!("out/{RESULTS}"), "full");
    }

    #[test]
    fn two_runs_never_write_to_one_place() {
        let (faithful, answers, hold) = (FaithfulServer::start(), Memo::default(), Arc::new(AtomicBool::new(true)));
        let held = hold.clone();
        let server = TestServer::start(move |asked, stream| {
            while asked.number == 30 && held.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            stream.write_all(&answers.of(&faithful, asked)?)
        });
        let (folder, url) = (Folder::new(), server.url());
        let mut first = RunningCommand::start(command(&folder, &url, "out", &["--concurrency", "1"]));
        first.wait_until(|| server.received_requests().len() > 30);
        let asked = server.received_requests().len();
        let taken = "in use by another fieldtest";
        run(&folder, &url, "out", &[]).assert_exit_code(2).assert_stderr_contains(&["out is in use", taken]);
        folder
            .run(["run", "deepseek", "--simulate", "--out", "out"])
            .assert_exit_code(2)
            .assert_stderr_contains(&[taken]);
        folder.run(["judge", RECORDING, "--out", "out"]).assert_exit_code(2).assert_stderr_contains(&[taken]);
        // Reports elsewhere, and the recording in the same place.
        run(&folder, &url, "other", &["--record", "out"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["another run is writing it"]);
        run(&folder, &url, "other", &["--resume", RECORDING])
            .assert_exit_code(2)
            .assert_stderr_contains(&["another run is writing it"]);
        assert_eq!(server.received_requests().len(), asked, "nothing was sent");
        // Somewhere else, there is nothing in the way.
        folder.run(["run", "deepseek", "--simulate", "--select", "field.top_k", "--out", "other"]).assert_exit_code(0);
        hold.store(false, Ordering::SeqCst);
        first.wait_for_end().assert_exit_code(1);
        assert_eq!(read(&folder.path().join(RECORDING)).exchanges.len(), server.received_requests().len());
        run(&folder, &url, "out", &[]).assert_exit_code(1);
    }
}
