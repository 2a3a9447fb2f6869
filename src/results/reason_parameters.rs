//! The types of the parameters of reasons, such as [`ReportedError`] and [`NameList`], and
//! [`ReasonParameter`], which finds the texts in them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;

/// A parameter of a reason. Numbers and words of closed sets contain no texts.
pub(crate) trait ReasonParameter {
    /// Replaces each text, for example to remove random values.
    fn map_texts(&mut self, _map: &dyn Fn(&str) -> String) {}
}

impl ReasonParameter for String {
    fn map_texts(&mut self, map: &dyn Fn(&str) -> String) {
        *self = map(self);
    }
}

/// Parameters without texts.
macro_rules! impl_without_texts {
    ($($type:ty),+ $(,)?) => { $(impl ReasonParameter for $type {})+ };
}

impl_without_texts!(u16, u32, u64, VerdictStatus, FieldPresence, MeterNote);
impl_without_texts!(ResponseCount, ShowingResponses, RequestCount, InvalidValues, RetryList);

/// An HTTP error of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportedError {
    /// The HTTP status.
    pub status: u16,
    /// The message.
    pub message: String,
}

impl fmt::Display for ReportedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}: {}", self.status, self.message)
    }
}

impl ReasonParameter for ReportedError {
    fn map_texts(&mut self, map: &dyn Fn(&str) -> String) {
        self.message.map_texts(map);
    }
}

/// Whether a request has the tested field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldPresence {
    /// The request has it.
    With,
    /// The request does not have it.
    Without,
}

impl fmt::Display for FieldPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::With => "with",
            Self::Without => "without",
        })
    }
}

/// Defines a number that displays with words.
macro_rules! define_count {
    ($(#[$doc:meta])* $name:ident($number:ident), $one:literal, $many:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $number = self.0;
                if $number == 1 { write!(f, $one) } else { write!(f, $many) }
            }
        }
    };
}

define_count!(
    /// A number of responses.
    ResponseCount(number), "{number} response", "{number} responses"
);
define_count!(
    /// A number of responses that show something.
    ShowingResponses(number), "{number} response shows", "{number} responses show"
);
define_count!(
    /// A number of requests.
    RequestCount(number), "request", "requests"
);
define_count!(
    /// A number of invalid values that were all accepted.
    InvalidValues(number), "an invalid value", "invalid values ({number} of {number})"
);

/// What the usage meter adds to the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MeterNote {
    /// The meter is not used, or shows nothing.
    Unused,
    /// The meter also says that the content did not reach the model.
    Agrees,
}

impl fmt::Display for MeterNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unused => "",
            Self::Agrees => "; the token count agrees: the content did not reach the model",
        })
    }
}

/// A list of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct NameList(pub Vec<String>);

impl fmt::Display for NameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl ReasonParameter for NameList {
    fn map_texts(&mut self, map: &dyn Fn(&str) -> String) {
        self.0.iter_mut().for_each(|name| name.map_texts(map));
    }
}

/// Calls with their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct CallList(pub Vec<CountedCall>);

/// A call, and how often it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CountedCall {
    /// Method and path.
    pub call: String,
    /// The number of calls.
    pub count: u64,
}

impl fmt::Display for CallList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.0.iter().map(|counted| format!("{} ({})", counted.call, counted.count));
        f.write_str(&calls.collect::<Vec<_>>().join(", "))
    }
}

impl ReasonParameter for CallList {
    fn map_texts(&mut self, map: &dyn Fn(&str) -> String) {
        self.0.iter_mut().for_each(|counted| counted.call.map_texts(map));
    }
}

/// The number of calls after each error of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct RetryList(pub Vec<RetriedError>);

/// An error of an upstream, and how often it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RetriedError {
    /// The HTTP status.
    pub status: u16,
    /// The number of calls.
    pub calls: u64,
}

impl fmt::Display for RetryList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.0.iter().map(|error| format!("{} at {}", error.calls, error.status));
        f.write_str(&errors.collect::<Vec<_>>().join(", "))
    }
}
