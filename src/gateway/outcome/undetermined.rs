//! Why a fate could not be seen: a closed set of words that other tools rely on.

/// The reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UndeterminedReason {
    /// An answer came although the upstream was never asked.
    NotAsked,
    /// The gateway failed: a 5xx of its own, a broken connection, a time-out.
    GatewayFailed,
    /// The gateway refused the client itself: its credential, or its rate.
    ClientRefused,
    /// The upstream was asked something that does not hold the request's label.
    Uncorrelated,
    /// The upstream was asked more than once, and not the same.
    AskedTwiceDifferently,
    /// The request without the field did not pass either.
    BaseRefused,
    /// The answer to another request came.
    Crossed,
    /// One call of the upstream held the labels of several requests.
    Merged,
    /// The same value is there without the field.
    AlreadyThere,
    /// Equal requests came to different ends.
    Unsteady,
    /// The run ended before.
    NotFinished,
}

impl UndeterminedReason {
    /// The word in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::GatewayFailed => "gateway_failed",
            Self::ClientRefused => "client_refused",
            Self::Uncorrelated => "uncorrelated",
            Self::AskedTwiceDifferently => "asked_twice_differently",
            Self::BaseRefused => "base_refused",
            Self::Crossed => "crossed",
            Self::Merged => "merged",
            Self::AlreadyThere => "already_there",
            Self::Unsteady => "unsteady",
            Self::NotFinished => "not_finished",
        }
    }
}
