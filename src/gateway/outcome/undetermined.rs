//! Why a fate could not be seen: a closed set of words that other tools rely on.

use crate::string_enum::string_enum;

string_enum! {
    /// The reasons.
    pub enum UndeterminedReason {
        /// An answer came although the upstream was never asked.
        NotAsked = "not_asked",
        /// The gateway failed: a 5xx of its own, a broken connection, a time-out.
        GatewayFailed = "gateway_failed",
        /// The gateway refused the client itself: its credential, or its rate.
        ClientRefused = "client_refused",
        /// The upstream was asked something that does not hold the request's label.
        Uncorrelated = "uncorrelated",
        /// The upstream was asked more than once, and not the same.
        AskedTwiceDifferently = "asked_twice_differently",
        /// The request without the field did not pass either.
        BaseRefused = "base_refused",
        /// The answer to another request came.
        Crossed = "crossed",
        /// One call of the upstream held the labels of several requests.
        Merged = "merged",
        /// The same value is there without the field.
        AlreadyThere = "already_there",
        /// Equal requests came to different ends.
        Unsteady = "unsteady",
        /// The run ended before.
        NotFinished = "not_finished",
    }
}
