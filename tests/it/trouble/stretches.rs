//! Tests stretches of trouble and random rejections. `cargo bench --bench trouble` makes many more
//! runs.

use crate::common::bundled_target;
use crate::common::trouble::endpoint::KeptResponses;
use crate::common::trouble::{InjectedTrouble, MeasuredServers, TroubleLength, TroubleTally};

/// The maximum number of requests after the trouble began.
const MAX_REQUESTS_AFTER: u64 = 20;

fn with_servers(test: impl FnOnce(&MeasuredServers<'_>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let servers = [KeptResponses::start(runtime.handle(), bundled_target("anthropic"), 1)];
    test(&MeasuredServers::new(&servers));
}

fn assert_no_wrong_verdict(label: &str, tally: &TroubleTally) {
    for wrong in [&tally.contradictions, &tally.changed, &tally.inconsistent] {
        assert!(wrong.is_empty(), "{label}: {wrong:#?}");
    }
}

#[test]
fn trouble_contradicts_no_claim() {
    with_servers(|servers| {
        let mut problems = Vec::new();
        for (n, trouble) in InjectedTrouble::ALL.into_iter().enumerate() {
            let length = TroubleLength::ALL[n % TroubleLength::ALL.len()];
            let tally = servers.measure(trouble, length, 0..2);
            let label = format!("{trouble:?}, {length:?}");
            for wrong in [&tally.contradictions, &tally.changed, &tally.inconsistent] {
                problems.extend(wrong.iter().cloned());
            }
            if tally.max_requests_after > MAX_REQUESTS_AFTER {
                problems.push(format!("{label}: {} requests after it began", tally.max_requests_after));
            }
            if tally.ended == 0 && (tally.open_share() >= 0.05 || tally.request_ratio() >= 1.3) {
                let (open, requests) = (tally.open_share(), tally.request_ratio());
                problems.push(format!("{label}: {open:.3} open, {requests:.2} times the requests"));
            }
        }
        assert!(problems.is_empty(), "{problems:#?}");
    });
}

#[test]
fn random_rejections_of_a_content_filter_cost_one_resend_each() {
    with_servers(|servers| {
        let tally = servers.measure_filter(4, 0.05);
        assert_no_wrong_verdict("content filter", &tally);
        assert!(tally.open_share() < 0.02, "{:.3} open", tally.open_share());
        assert!(tally.request_ratio() < 1.5, "{:.2}", tally.request_ratio());
    });
}
