//! Faults on request: each makes every answer that it can reach break one rule.
//!
//! Those of the protocol are put on finished answers, behind all that decides what is honoured. Such a fault bears the
//! id of the check that is to see it, as a word; what the checks look at is not known here. Those of conduct lie in what
//! the server does, and act where it does it.

mod conduct;
mod error;
mod head;
mod message;
mod stream;

use std::fmt;
use std::str::FromStr;

use axum::response::Response;
use serde_json::Value;

pub(super) use self::conduct::ConductFault;
use self::error::ErrorFault;
use self::head::HeadFault;
use self::message::MessageFault;
use self::stream::StreamFault;

/// A closed set of faults with their ids.
macro_rules! faults {
    ($name:ident { $($fault:ident = $id:literal $(: $about:literal)?,)* }) => {
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
                match self { $(Self::$fault => concat!("" $(, $about)?),)* }
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
    Message(MessageFault),
    Stream(StreamFault),
    Error(ErrorFault),
    Conduct(ConductFault),
}

/// There is no such fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no fault `{0}`; it has: {1}")]
pub struct UnknownFault(String, String);

impl Fault {
    /// All faults.
    pub fn all() -> impl Iterator<Item = Self> {
        let head = HeadFault::ALL.iter().copied().map(Kind::Head);
        let message = MessageFault::ALL.iter().copied().map(Kind::Message);
        let stream = StreamFault::ALL.iter().copied().map(Kind::Stream);
        let error = ErrorFault::ALL.iter().copied().map(Kind::Error);
        let conduct = ConductFault::ALL.iter().copied().map(Kind::Conduct);
        head.chain(message).chain(stream).chain(error).chain(conduct).map(Self)
    }

    /// Its id.
    pub fn id(self) -> &'static str {
        match self.0 {
            Kind::Head(fault) => fault.id(),
            Kind::Message(fault) => fault.id(),
            Kind::Stream(fault) => fault.id(),
            Kind::Error(fault) => fault.id(),
            Kind::Conduct(fault) => fault.id(),
        }
    }

    /// What it makes the server do; empty where its id says it.
    pub fn about(self) -> &'static str {
        match self.0 {
            Kind::Head(fault) => fault.about(),
            Kind::Message(fault) => fault.about(),
            Kind::Stream(fault) => fault.about(),
            Kind::Error(fault) => fault.about(),
            Kind::Conduct(fault) => fault.about(),
        }
    }

    /// A fault of what the server does, rather than of how it speaks the protocol.
    pub fn is_of_conduct(self) -> bool {
        matches!(self.0, Kind::Conduct(_))
    }

    /// It is this fault of conduct.
    pub(super) fn is(self, fault: ConductFault) -> bool {
        self.0 == Kind::Conduct(fault)
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
        Self::all().find(|fault| fault.id() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::all().map(Self::id).collect();
            UnknownFault(text.to_owned(), known.join(", "))
        })
    }
}

/// Spoils a whole answer; what is no message (a list of models, a count) is left alone.
pub(super) fn on_json(faults: &[Fault], value: &mut Value) {
    for fault in faults.iter().filter(|_| value["type"] == "message").collect::<Vec<_>>() {
        if let Kind::Message(fault) = fault.0 {
            message::spoil(fault, value);
        }
    }
}

/// Spoils the records of a stream.
pub(super) fn on_stream(faults: &[Fault], records: &mut Vec<String>) {
    for fault in faults {
        if let Kind::Stream(fault) = fault.0 {
            stream::spoil(fault, records);
        }
    }
}

/// Spoils an error's body.
pub(super) fn on_error(faults: &[Fault], envelope: Value) -> String {
    let mut body = envelope.to_string();
    for fault in faults {
        if let Kind::Error(fault) = fault.0 {
            body = error::spoil(fault, &body);
        }
    }
    body
}

/// Spoils status and headers.
pub(super) fn on_head(faults: &[Fault], response: &mut Response) {
    for fault in faults {
        if let Kind::Head(fault) = fault.0 {
            head::spoil(fault, response);
        }
    }
}
