//! [`UndeterminedReason`]: why a gateway verdict is `undetermined`.

use crate::string_enum::string_enum;

string_enum! {
    /// Why a gateway verdict is `undetermined`. Other tools rely on these codes.
    pub enum UndeterminedReason {
        /// The client got a response, but the gateway did not call the upstream.
        NotAsked = "not_asked",
        /// The gateway failed: a 5xx of its own, a broken connection or a timeout.
        GatewayFailed = "gateway_failed",
        /// The gateway rejected the client: its credential or its rate.
        ClientRefused = "client_refused",
        /// An upstream call does not contain the label of the request.
        Uncorrelated = "uncorrelated",
        /// The gateway sent several different calls for one request.
        AskedTwiceDifferently = "asked_twice_differently",
        /// The request without the field failed too.
        BaseRefused = "base_refused",
        /// The client got the response to another request.
        Crossed = "crossed",
        /// One upstream call contains the labels of several requests.
        Merged = "merged",
        /// The same value is there without the field.
        AlreadyThere = "already_there",
        /// Equal requests had different results.
        Unsteady = "unsteady",
        /// The run ended before the row was decided.
        NotFinished = "not_finished",
    }
}
