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

pub(super) use crate::simulator::fault::behaviour::ConductFault;
use crate::simulator::fault::bytes::RawFault;
pub(super) use crate::simulator::fault::bytes::Wire;
use crate::simulator::fault::content_type::FormFault;
use crate::simulator::fault::error::ErrorFault;
pub(super) use crate::simulator::fault::error::Outgoing;
use crate::simulator::fault::headers::HeadFault;
use crate::simulator::fault::message::MessageFault;
use crate::simulator::fault::stream::StreamFault;
use crate::simulator::pipeline::Reply;
use crate::simulator::rng::Draws;
use crate::simulator::stream_timing::Pace;

/// A closed set of faults with their ids, and what each makes the server do.
macro_rules! faults {
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
use faults;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Head(HeadFault),
    Form(FormFault),
    Message(MessageFault),
    Stream(StreamFault),
    Raw(RawFault),
    Error(ErrorFault),
    Conduct(ConductFault),
}

/// The areas of ids, in the order in which faults are listed; those of no area here come last.
const AREAS: [&str; 7] = ["http", "message", "sse", "usage", "error", "tool", "raw"];

/// There is no such fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no fault `{0}`; `fieldtest simulate --list-faults` lists them")]
pub struct UnknownFault(String);

impl Fault {
    /// All faults, area by area.
    pub fn all() -> impl Iterator<Item = Self> {
        let head = HeadFault::ALL.iter().copied().map(Kind::Head);
        let form = FormFault::ALL.iter().copied().map(Kind::Form);
        let message = MessageFault::ALL.iter().copied().map(Kind::Message);
        let stream = StreamFault::ALL.iter().copied().map(Kind::Stream);
        let raw = RawFault::ALL.iter().copied().map(Kind::Raw);
        let error = ErrorFault::ALL.iter().copied().map(Kind::Error);
        let conduct = ConductFault::ALL.iter().copied().map(Kind::Conduct);
        let of_protocol = head.chain(form).chain(message).chain(stream).chain(raw).chain(error);
        let mut all: Vec<Self> = of_protocol.chain(conduct).map(Self).collect();
        all.sort_by_key(|fault| AREAS.iter().position(|area| *area == fault.area()).unwrap_or(AREAS.len()));
        all.into_iter()
    }

    /// Its id.
    pub fn id(self) -> &'static str {
        match self.0 {
            Kind::Head(fault) => fault.id(),
            Kind::Form(fault) => fault.id(),
            Kind::Message(fault) => fault.id(),
            Kind::Stream(fault) => fault.id(),
            Kind::Raw(fault) => fault.id(),
            Kind::Error(fault) => fault.id(),
            Kind::Conduct(fault) => fault.id(),
        }
    }

    /// What it makes the server do, on one line.
    pub fn about(self) -> &'static str {
        match self.0 {
            Kind::Head(fault) => fault.about(),
            Kind::Form(fault) => fault.about(),
            Kind::Message(fault) => fault.about(),
            Kind::Stream(fault) => fault.about(),
            Kind::Raw(fault) => fault.about(),
            Kind::Error(fault) => fault.about(),
            Kind::Conduct(fault) => fault.about(),
        }
    }

    /// True where it breaks a rule of the protocol, so that a passive check bears its id.
    pub fn breaks_protocol(self) -> bool {
        match self.0 {
            Kind::Raw(fault) => fault.breaks_protocol(),
            Kind::Head(_) | Kind::Form(_) | Kind::Message(_) | Kind::Stream(_) | Kind::Error(_) => true,
            Kind::Conduct(_) => false,
        }
    }

    /// It is this fault of conduct.
    pub(super) fn is(self, fault: ConductFault) -> bool {
        self.0 == Kind::Conduct(fault)
    }

    fn area(self) -> &'static str {
        self.id().split_once('.').map_or("", |(area, _)| area)
    }
}

impl From<ConductFault> for Fault {
    fn from(fault: ConductFault) -> Self {
        Self(Kind::Conduct(fault))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        Self::all().find(|fault| fault.id() == text).ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

/// Spoils an answer; what is no message (a list of models, a count) is left alone.
pub(super) fn on_reply(faults: &[Fault], mut reply: Reply, draws: &mut Draws) -> Reply {
    for fault in faults {
        if let Kind::Form(fault) = fault.0 {
            reply = content_type::spoil(fault, reply);
        }
    }
    let (value, streams) = match &mut reply {
        Reply::Json(value) => (value, false),
        Reply::Stream(message) => (message, true),
    };
    if value["type"] == "message" {
        for fault in faults {
            if let Kind::Message(fault) = fault.0 {
                message::spoil(fault, value, streams, draws);
            }
        }
    }
    reply
}

/// Spoils the records of a stream.
pub(super) fn on_stream(faults: &[Fault], records: &mut Vec<String>) {
    for fault in faults {
        if let Kind::Stream(fault) = fault.0 {
            stream::spoil(fault, records);
        }
    }
}

/// Spoils the bytes of a stream.
pub(super) fn on_stream_bytes(faults: &[Fault], wire: &mut Wire) {
    for fault in faults {
        if let Kind::Raw(fault) = fault.0 {
            bytes::spoil_stream(fault, wire);
        }
    }
}

/// The bytes of a whole answer, where they are spoiled.
pub(super) fn on_body(faults: &[Fault], body: &str) -> Option<Wire> {
    let mut wire = None;
    for fault in faults {
        if let Kind::Raw(fault) = fault.0
            && fault.is_of_whole_answers()
        {
            let wire = wire.get_or_insert_with(|| Wire::of([body.to_owned()], Pace::of(1, Duration::ZERO)));
            bytes::spoil_whole(fault, wire);
        }
    }
    wire
}

/// Spoils an error.
pub(super) fn on_error(faults: &[Fault], error: &mut Outgoing) {
    for fault in faults {
        if let Kind::Error(fault) = fault.0 {
            error::spoil(fault, error);
        }
    }
}

/// Spoils status and headers.
pub(super) fn on_head(faults: &[Fault], response: &mut Response) {
    for fault in faults {
        if let Kind::Head(fault) = fault.0 {
            headers::spoil(fault, response);
        }
    }
}
