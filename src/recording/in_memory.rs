//! Runs whose recording is kept in memory: a listener for those that write it down as well, and a whole run for those
//! that only want to judge it.

use crate::catalog::CatalogRow;
use crate::client::Endpoint;
use crate::engine::run::{Event, Listener, Options, Stop, run};
use crate::recording::run::{Counts, Footer, Header, Recording};

/// Keeps every exchange and every trial.
pub struct Memory<'a>(pub &'a mut Recording);

impl Listener for Memory<'_> {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Exchange(exchange) => self.0.exchanges.push(exchange.clone()),
            Event::Trial(trial) => self.0.trials.push(trial.clone()),
            Event::RowStarted(_) | Event::AskedAgain(_) | Event::Verdict(..) => {}
        }
    }
}

/// Runs the rows to the end, and gives the recording. There is no clock here: it ends at the moment at which the header
/// says that it began.
pub async fn record<E: Endpoint>(endpoint: &E, rows: &[&CatalogRow], options: &Options, header: Header) -> Recording {
    let finished_at = header.started_at.clone();
    let mut recording = Recording { header, exchanges: Vec::new(), trials: Vec::new(), footer: None };
    let stop = Stop::default();
    let finished = run(endpoint, rows, options, vec![&mut Memory(&mut recording)], &stop).await;
    let counts = Some(Counts::of(&recording));
    recording.footer =
        Some(Footer { finished_at, wall_ms: 0, channel: finished.channel, ended: finished.ended, counts });
    recording
}
