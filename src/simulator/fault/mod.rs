//! Faults on request: each makes every answer that it can reach break one rule.
//!
//! Those of the protocol are put on finished answers, behind all that decides what is honoured: first on the message and
//! the form in which it comes, then on a stream's records, then on bytes and headers. Such a fault bears the id of the
//! check that is to see it, as a word; what the checks look at is not known here. Those of conduct lie in what the server
//! does, and act where it does it.

mod behaviour;
mod bytes;
mod content_type;
mod error;
mod headers;
mod message;
pub mod prompt;
mod rejections;
pub mod response;
mod stream;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::response::Response;

pub(super) use crate::simulator::fault::behaviour::BehaviourFault;
use crate::simulator::fault::bytes::ByteFault;
pub(super) use crate::simulator::fault::bytes::OutgoingBody;
use crate::simulator::fault::content_type::ContentTypeFault;
use crate::simulator::fault::error::ErrorFault;
pub(super) use crate::simulator::fault::error::OutgoingError;
use crate::simulator::fault::headers::HeaderFault;
use crate::simulator::fault::message::MessageFault;
use crate::simulator::fault::stream::StreamFault;
use crate::simulator::pipeline::PipelineResponse;
use crate::simulator::rng::RequestRng;
use crate::simulator::stream_timing::StreamTiming;

/// A closed set of faults with their ids, and what each makes the server do.
macro_rules! define_faults {
    ($name:ident { $($fault:ident = $id:literal: $about:literal,)* }) => {
        /// The faults of this kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::simulator) enum $name { $($fault,)* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$fault,)*];

            pub fn id(self) -> &'static str {
                match self { $(Self::$fault => $id,)* }
            }

            /// What it makes the server do.
            pub fn about(self) -> &'static str {
                match self { $(Self::$fault => $about,)* }
            }
        }
    };
}
use define_faults;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatorFault(FaultKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    Header(HeaderFault),
    ContentType(ContentTypeFault),
    Message(MessageFault),
    Stream(StreamFault),
    Byte(ByteFault),
    Error(ErrorFault),
    Behaviour(BehaviourFault),
}

/// The areas of ids, in the order in which faults are listed; those of no area here come last.
const FAULT_AREAS: [&str; 7] = ["http", "message", "sse", "usage", "error", "tool", "raw"];

/// There is no such fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no fault `{0}`; `fieldtest simulate --list-faults` lists them")]
pub struct UnknownFault(String);

impl SimulatorFault {
    /// All faults, area by area.
    pub fn all() -> impl Iterator<Item = Self> {
        let head = HeaderFault::ALL.iter().copied().map(FaultKind::Header);
        let form = ContentTypeFault::ALL.iter().copied().map(FaultKind::ContentType);
        let message = MessageFault::ALL.iter().copied().map(FaultKind::Message);
        let stream = StreamFault::ALL.iter().copied().map(FaultKind::Stream);
        let raw = ByteFault::ALL.iter().copied().map(FaultKind::Byte);
        let error = ErrorFault::ALL.iter().copied().map(FaultKind::Error);
        let conduct = BehaviourFault::ALL.iter().copied().map(FaultKind::Behaviour);
        let of_protocol = head.chain(form).chain(message).chain(stream).chain(raw).chain(error);
        let mut all: Vec<Self> = of_protocol.chain(conduct).map(Self).collect();
        all.sort_by_key(|fault| FAULT_AREAS.iter().position(|area| *area == fault.area()).unwrap_or(FAULT_AREAS.len()));
        all.into_iter()
    }

    /// Its id.
    pub fn id(self) -> &'static str {
        match self.0 {
            FaultKind::Header(fault) => fault.id(),
            FaultKind::ContentType(fault) => fault.id(),
            FaultKind::Message(fault) => fault.id(),
            FaultKind::Stream(fault) => fault.id(),
            FaultKind::Byte(fault) => fault.id(),
            FaultKind::Error(fault) => fault.id(),
            FaultKind::Behaviour(fault) => fault.id(),
        }
    }

    /// What it makes the server do, on one line.
    pub fn description(self) -> &'static str {
        match self.0 {
            FaultKind::Header(fault) => fault.about(),
            FaultKind::ContentType(fault) => fault.about(),
            FaultKind::Message(fault) => fault.about(),
            FaultKind::Stream(fault) => fault.about(),
            FaultKind::Byte(fault) => fault.about(),
            FaultKind::Error(fault) => fault.about(),
            FaultKind::Behaviour(fault) => fault.about(),
        }
    }

    /// True where it breaks a rule of the protocol, so that a passive check bears its id.
    pub fn breaks_protocol(self) -> bool {
        match self.0 {
            FaultKind::Byte(fault) => fault.breaks_protocol(),
            FaultKind::Header(_)
            | FaultKind::ContentType(_)
            | FaultKind::Message(_)
            | FaultKind::Stream(_)
            | FaultKind::Error(_) => true,
            FaultKind::Behaviour(_) => false,
        }
    }

    /// It is this fault of conduct.
    pub(super) fn is_behaviour(self, fault: BehaviourFault) -> bool {
        self.0 == FaultKind::Behaviour(fault)
    }

    fn area(self) -> &'static str {
        self.id().split_once('.').map_or("", |(area, _)| area)
    }
}

impl From<BehaviourFault> for SimulatorFault {
    fn from(fault: BehaviourFault) -> Self {
        Self(FaultKind::Behaviour(fault))
    }
}

impl fmt::Display for SimulatorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for SimulatorFault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        Self::all().find(|fault| fault.id() == text).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

/// Spoils an answer; what is no message (a list of models, a count) is left alone.
pub(super) fn apply_to_response(
    faults: &[SimulatorFault],
    mut reply: PipelineResponse,
    draws: &mut RequestRng,
) -> PipelineResponse {
    for fault in faults {
        if let FaultKind::ContentType(fault) = fault.0 {
            reply = content_type::apply(fault, reply);
        }
    }
    let (value, streams) = match &mut reply {
        PipelineResponse::Json(value) => (value, false),
        PipelineResponse::Stream(message) => (message, true),
    };
    if value["type"] == "message" {
        for fault in faults {
            if let FaultKind::Message(fault) = fault.0 {
                message::apply(fault, value, streams, draws);
            }
        }
    }
    reply
}

/// Spoils the records of a stream.
pub(super) fn apply_to_stream(faults: &[SimulatorFault], records: &mut Vec<String>) {
    for fault in faults {
        if let FaultKind::Stream(fault) = fault.0 {
            stream::apply(fault, records);
        }
    }
}

/// Spoils the bytes of a stream.
pub(super) fn apply_to_stream_bytes(faults: &[SimulatorFault], wire: &mut OutgoingBody) {
    for fault in faults {
        if let FaultKind::Byte(fault) = fault.0 {
            bytes::apply_to_stream(fault, wire);
        }
    }
}

/// The bytes of a whole answer, where they are spoiled.
pub(super) fn apply_to_body(faults: &[SimulatorFault], body: &str) -> Option<OutgoingBody> {
    let mut wire = None;
    for fault in faults {
        if let FaultKind::Byte(fault) = fault.0
            && fault.affects_full_body()
        {
            let wire =
                wire.get_or_insert_with(|| OutgoingBody::new([body.to_owned()], StreamTiming::new(1, Duration::ZERO)));
            bytes::apply_to_body(fault, wire);
        }
    }
    wire
}

/// Spoils an error.
pub(super) fn apply_to_error(faults: &[SimulatorFault], error: &mut OutgoingError) {
    for fault in faults {
        if let FaultKind::Error(fault) = fault.0 {
            error::apply(fault, error);
        }
    }
}

/// Spoils status and headers.
pub(super) fn apply_to_headers(faults: &[SimulatorFault], response: &mut Response) {
    for fault in faults {
        if let FaultKind::Header(fault) = fault.0 {
            headers::apply(fault, response);
        }
    }
}
