//! The reason of a verdict as data: [`ReasonData`], with the English sentence of each kind.
//!
//! This is the only file with these sentences. To add a reason, add a line to a table: its kind, its
//! parameters, and its sentence. Tools read the kind and the parameters, and never the sentence. This
//! module must not know the rules.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::VerdictStatus;
use crate::results::reason_parameters::ReasonParameter;
pub use crate::results::reason_parameters::{
    CallList, CountedCall, FieldPresence, InvalidValues, MeterNote, NameList, ReportedError, RequestCount,
    ResponseCount, RetriedError, RetryList, ShowingResponses,
};

/// Defines an enum of kinds from their parameters and sentences.
macro_rules! define_sentences {
    ($(#[$attribute:meta])* pub enum $name:ident:
        $($(#[$doc:meta])* $kind:ident { $($field:ident: $type:ty),* $(,)? } = $sentence:literal;)+
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "the sentence says what the parameters are")]
        pub enum $name {
            $($(#[$doc])* #[doc = concat!("\"", $sentence, "\"")] $kind { $($field: $type),* },)+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind { $($field),* } => write!(f, $sentence),)+
                }
            }
        }

        impl $name {
            /// The same with other texts, for example without random values.
            #[allow(dead_code, reason = "not every enum needs it")]
            pub(crate) fn with_texts(mut self, map: &dyn Fn(&str) -> String) -> Self {
                self.map_texts(map);
                self
            }
        }

        impl ReasonParameter for $name {
            fn map_texts(&mut self, map: &dyn Fn(&str) -> String) {
                // Some enums have no texts.
                let _ = map;
                match self {
                    $(Self::$kind { $($field),* } => { $($field.map_texts(map);)* })+
                }
            }
        }
    };
}

define_sentences! {
    /// Why a verdict was reached: a kind with its parameters. It displays as an English sentence.
    pub enum ReasonData:

    /// A reason without data.
    Other { text: String } = "{text}";

    // Requests without a usable response.
    RequestFailed { field: FieldPresence, why: String } = "the request {field} the field failed: {why}";
    NotAMessage { field: FieldPresence, why: String } =
        "the response to the request {field} the field is not a message: {why}";
    ControlRejected { error: ReportedError } = "the request without the field is rejected too ({error})";
    ResponsesUnusable { unusable: u64, total: u64, why: String } =
        "{unusable} of {total} responses are not usable: {why}";
    ArmUnusable { arm: String, trials: u64, requests: RequestCount, first: String } =
        "{trials} {arm} {requests} got no usable response: {first}";
    TaskNotDone { responses: ResponseCount } = "{responses}, none usable: the model did not do the task";

    // Rejections.
    Rejected { error: ReportedError } = "rejected with {error}";
    ServerErrorEachTime { requests: u64, error: ReportedError } =
        "server error in {requests} of {requests} requests, while the request without it succeeds: {error}";
    RejectedElsewhere { what: String, error: ReportedError } =
        "the rejection is about {what}, and not about the field ({error})";
    RejectedForOtherCause { what: String, response: String } = "rejected, but because of {what} ({response})";
    InvalidDisagree { error: ReportedError, accepted: String } =
        "one invalid value is rejected ({error}) and another is accepted ({accepted})";
    SignatureRejected { error: ReportedError } =
        "a made-up block is rejected because of its signature or data ({error}), and the endpoint produced no such \
         block that could be sent back";
    OwnBlockReadOnly { error: ReportedError } =
        "the endpoint reads its own block when it is sent back, and rejects a made-up one ({error})";

    // Streams compared with complete responses.
    AspectVaries { aspect: String } = "{aspect} varies so much that a difference can be chance";
    LongNotLonger { long_ms: u64, short_ms: u64, stream_ms: u64 } =
        "the long response takes {long_ms} ms, no longer than the short one ({short_ms} ms at best); its last three \
         quarters take {stream_ms} ms";
    TextKept {} = "the stream contains the text unchanged";
    TextUnclear { exact: u64, whole: u64, example: String } =
        "the text is unchanged in {exact} of {whole} complete responses and in no stream: {example}";
    TextChanged { streams: u64, what: String, exact: u64, whole: u64, example: String } =
        "in {streams} of {streams} streams {what}, in {exact} of {whole} complete responses it is unchanged: {example}";
    TokensShrink { with: u64, without: u64 } = "{with} tokens with it, {without} without";
    TokensDoNotShrink { with: u64, without: u64, by: u64 } =
        "{with} tokens with it, {without} without; expected at least {by} less";
    RepeatFailed { status: u16, why: String } = "rejected with HTTP {status}; the repeated request failed: {why}";
    AcceptedAndRejected { error: ReportedError } =
        "inconsistent endpoint: the same request was accepted and rejected ({error})";
    SometimesRejected {} = "inconsistent endpoint: the same request was accepted and rejected";
    ImpossibleVerdict { status: VerdictStatus, because: Box<ReasonData> } =
        "unexpected verdict {status} for this row: {because}";

    // Effects.
    EffectByChance { shows: u64, responses: ResponseCount, one_in: u32 } =
        "effect in {shows} of {responses} with the field; by chance: 1 in {one_in}";
    CodeWordShown { shows: u64, responses: ResponseCount } =
        "effect in {shows} of {responses} with the field, with a code word sent only in the field";
    EffectShown { shows: u64, responses: ResponseCount, shows_without: u64, responses_without: u64 } =
        "effect in {shows} of {responses} with the field, {shows_without} of {responses_without} without it";
    OppositeShown { fails: u64, responses: ShowingResponses, meter: MeterNote } =
        "{fails} of {responses} that the field was ignored{meter}";
    EffectMissing {
        shows: u64,
        responses: ResponseCount,
        shows_in_control: u64,
        responses_of_control: u64,
        meter: MeterNote,
    } = "effect in {shows} of {responses} with the field, in {shows_in_control} of {responses_of_control} with the \
         control{meter}";
    EffectWithoutField { shows: u64, responses: ResponseCount } =
        "the effect also appears without the field ({shows} of {responses})";
    AlwaysOn {} = "the endpoint does this without being asked, so the field cannot be tested";
    EvidenceDisagrees { shows: u64, trials: u64, shows_in_control: u64, trials_of_control: u64 } =
        "contradictory evidence: the model does not show the effect ({shows} of {trials}; control: {shows_in_control} \
         of {trials_of_control}), but the token count includes the content of the field";
    TrialLimit {
        responses: u64,
        shows: u64,
        trials: u64,
        shows_without: u64,
        trials_without: u64,
        shows_in_control: u64,
        trials_of_control: u64,
    } = "undecided after {responses} trials: effect in {shows} of {trials} with the field, {shows_without} of \
         {trials_without} without it, {shows_in_control} of {trials_of_control} in the control";
    EffectSometimes { shows: u64, responses: ResponseCount } = "undecided: effect in {shows} of {responses}";
    WorksSometimes { shows: u64, responses: ResponseCount } =
        "inconsistent endpoint: the field works in {shows} of {responses} and is ignored in the others";
    ControlFailed { why: String } = "no effect, and the positive control failed: {why}";
    InstructionNotFollowed { trials: u64 } =
        "this model does not follow the instruction even in a plain prompt (0 of {trials})";
    NeedsModel { asked: u64 } = "the row needs a model, and the endpoint followed 0 of {asked} instructions";
    NoControl { responses: ResponseCount } =
        "no effect in {responses}, and the row has no control that shows what this model can do";
    NoEffectAndNotChecked { responses: ResponseCount, because: Box<ReasonData> } =
        "no effect in {responses}, and the endpoint {because}";
    NoEffectButChecked { responses: ResponseCount, because: Box<ReasonData> } =
        "no effect in {responses}, although the endpoint {because}";
    UsageRises {} = "decided by the token count: it rises with this field (the model shows no effect)";
    UsageUnchanged {} =
        "decided by the token count: it rises with the control and not with this field (the model shows no effect)";

    // Blocks that only the endpoint can make.
    OwnBlockUnavailable {} = "a made-up block is rejected, and the request for a block of the endpoint failed";
    OwnBlockFailed { why: String } = "the request that sends back the endpoint's own block failed: {why}";
    OwnBlockNotAMessage { why: String } = "the response to the endpoint's own block is not a message: {why}";
    OwnBlockAccepted { error: ReportedError } =
        "the endpoint accepts its own block and rejects a made-up one ({error})";
    OwnBlockRead {} = "the endpoint reads its own block when it is sent back";
    OwnBlockUndecided { because: Box<ReasonData>, why: String } = "{because}; {why}";

    // Validation.
    OnlyAccepted {} = "the request with the field is accepted";
    InvalidRejected { error: ReportedError } = "rejects an invalid value ({error})";
    InvalidFailed { why: String } = "the request with an invalid value failed: {why}";
    InvalidAcceptedAndRejected {} = "inconsistent endpoint: the same invalid value was rejected and accepted";
    InvalidAccepted { values: InvalidValues } = "accepts {values}: the field is not checked";
    InvalidAcceptedWithoutEffect {} = "accepts invalid values, and a valid one has no effect either";
    InvalidDisables {} = "accepts an invalid value, and the effect of the valid one disappears: the value is used";
    BoundNotSeen {} = "accepts the claimed limit and a value far above it: either clamped or without limit";
    RejectionUnclear { status: u16, message: String } =
        "rejected with HTTP {status}, but the error says neither \"unknown field\" nor \"invalid value\": {message}";
    ImpossibleValueEchoed {} = "accepts a value that cannot exist and returns it as if it existed";
    ModelSubstituted { model: String } = "accepts a value that cannot exist; the response is from `{model}`";
    ModelUnnamed {} = "accepts a value that cannot exist; the response does not name its model";

    // Responses.
    AsDocumented { response: String } = "as documented ({response})";
    ErrorAsDocumented { response: String } = "as documented ({response})";
    AlternativeResponse { response: String } = "{response}";
    AlternativeUndecided { note: String, response: String } = "{note}: {response}";
    ErrorExpected { response: String } = "should be an error, got {response}";
    OtherThanDocumented { mismatch: String, response: String } = "{mismatch} ({response})";
    WrongError { response: String, documented: String } = "wrong error: {response} ({documented})";
    RejectedResponse { response: String } = "rejected with {response}";
    ResponsesDiffer {} = "inconsistent endpoint: equal requests got different responses";

    // Comparisons.
    TokensGrow { with: u64, without: u64 } = "{with} tokens with it, {without} without";
    TokensDoNotGrow { with: u64, without: u64, expected: u64 } =
        "{with} tokens with it, {without} without; expected at least {expected} more";
    TokensSimilar { one: u64, other: u64 } = "{one} and {other} tokens";
    TokensDiffer { one: u64, other: u64, percent: u32 } =
        "{one} and {other} tokens: they differ by more than {percent} %";
    TokenCountsVary {} = "inconsistent endpoint: equal requests have different token counts";
    TokenCountMissing {} = "a response contains no count of input tokens";
    AspectsAgree { aspects: NameList } = "both responses have the same {aspects}";
    AspectsDiffer { pairs: u64, differences: String } = "differs in all {pairs} pairs of responses: {differences}";
    AspectAbsent { pairs: u64, aspect: String } = "no response of {pairs} pairs has any {aspect}";
    ComparisonRejected { error: ReportedError } = "the comparison request is rejected: {error}";
    NothingToCompare {} = "there are no two messages to compare";
    ArrivesGradually { long_ms: u64, short_ms: u64, stream_ms: u64 } =
        "the long response takes {long_ms} ms, the short one {short_ms} ms; the last three quarters of the long one \
         take {stream_ms} ms";
    ArrivesAtTheEnd { long_ms: u64, short_ms: u64, stream_ms: u64 } =
        "buffered: everything arrives at the end (the long response takes {long_ms} ms, the short one {short_ms} ms; \
         the last three quarters of the long one take {stream_ms} ms)";
    TooFast { long_ms: u64, short_ms: u64, stream_ms: u64 } =
        "too fast or too irregular to measure: the long response takes {long_ms} ms, the short one {short_ms} ms; the \
         last three quarters of the long one take {stream_ms} ms";
    ArrivalTimesMissing {} = "the recording has no arrival times of the responses";
    SamplesCompared { narrow_mode: u64, narrow: u64, wide_mode: u64, wide: u64 } =
        "most frequent response: {narrow_mode} of {narrow} with the field, {wide_mode} of {wide} without it";
    VariationRejected { error: String } =
        "responses do not vary, and a request that adds variation is rejected: {error}";
    ResponsesOffTopic { unusable: u64, total: u64 } = "{unusable} of {total} responses are empty or off topic";

    // Several verdicts.
    AllVariants { shown: String, because: Box<ReasonData> } = "all variants (shown: {shown}): {because}";
    VariantsDisagree { variants: VariantReasons } = "{variants}";
    BlockedByRow { row: String, status: VerdictStatus, because: Box<ReasonData> } =
        "blocked: depends on {row}, which is {status}. Without that: {because}";
    BlockedByUnrunRow { row: String, because: Box<ReasonData> } =
        "blocked: depends on {row}, which was not run completely. Add --select {row}. Without that: {because}";
    BlockedByForm { row: String, observed: String } = "blocked by {row}: {observed}";
    RunsDisagree { runs: u64, counts: String } = "not the same in {runs} runs: {counts}";

    // Trials that show nothing.
    ShowsNothing {} = "neither the effect nor its opposite";
    ResponseUnusable { why: String } = "{why}";
    ResponseMalformed { why: String } = "{why}";
    ServerFailed { error: ReportedError } = "{error}";
    TrialFailed { why: String } = "{why}";

    // Runs that ended early.
    NotRun { why: String } = "not run: {why}";
    NotRunCompletely { why: String } = "not run completely: {why}";
    ErrorsUnconfirmed { why: String } =
        "not run completely: {why}. The last errors may be trouble of the endpoint, because no request was answered \
         after them";

    // Gateways: a value between both sides.
    ValueReachedUpstream { place: String } = "it arrived at `{place}`";
    ValueReachedClient { place: String } = "the client got it at `{place}`";
    ValueChanged { from: String, to: String, place: String } = "from {from} to {to}, at `{place}`";
    RequestLacksValue { note: AbsenceNote } = "the request arrived without it{note}";
    ResponseLacksValue { note: AbsenceNote } = "the response arrived without it{note}";
    GatewayRejects { message: String } =
        "{message}; the gateway did not call the upstream, and the request without it passes";
    GatewayReplacesResponse { message: String } = "{message}, instead of the upstream's response";

    // Gateways: behaviour over a whole run.
    BehaviourAsExpected { observed: ObservedBehaviour } = "observed: {observed}";
    BehaviourDiffers { expected: ExpectedBehaviour, observed: ObservedBehaviour } =
        "expected: {expected}; observed: {observed}";

    // Gateways: nothing to observe.
    UpstreamNeverCalled {} = "no request reached the upstream";
    UpstreamNotCalled { status: u16 } = "the gateway returned HTTP {status} and did not call the upstream";
    RespondedBeforeCall {} = "the client got its response before the gateway called the upstream";
    CallLacksMessage {} = "an upstream call does not contain the client's message";
    CallToUnknownPath { method: String, path: String } =
        "the gateway called {method} {path}, which the upstream's API does not have";
    CallsMerged {} = "one upstream call contains several client requests";
    CallsDiffer { calls: u64 } = "the gateway sent {calls} different requests to the upstream";
    ForeignResponse {} = "the client got the response to another request";
    ClientGotNoResponse {} = "the client got no response";
    GatewayFailed { why: String } = "{why}";
    ClientRejected { message: String } = "{message}";
    RejectedBeforeCall { message: String } =
        "the gateway rejected the request and did not call the upstream: {message}";
    SameWithoutField { place: String } = "`{place}` has the same value without the field";
    ControlNeverArrived {} =
        "the request without the field did not reach the upstream, so there is nothing to compare with";
    ControlFailedToo { why: String } = "the request without the field failed too: {why}";
    PlainResponseLost { because: Box<ReasonData> } =
        "the plain response does not reach the client either: {because}";
    PlainResponseEncoded { encoding: String } =
        "it has an encoding that the client did not accept ({encoding})";
    PlainTextMissing {} = "its text is missing";
    ConcurrentNotSent {} = "the concurrent requests were not sent";
    ConcurrentIncomplete { complete: u64, requests: u64 } =
        "only {complete} of {requests} concurrent requests got a response with the upstream's text";
    ResultsDiffer {} = "equal requests had different results";
    SeenOnce {} = "observed once, but not when repeated";
    NotInDialect {} = "the row does not exist for this API";
}

define_sentences! {
    /// What arrived instead of a value that a gateway dropped.
    pub enum AbsenceNote:
    /// Nothing is known.
    Nothing {} = "";
    /// The API of the upstream has no place for the field.
    NoEquivalent { why: String } = ": {why}";
    /// A value that the gateway also sends without the field.
    OwnValue { place: String, value: String } = ": `{place}` is {value}, with and without the field";
    /// An error.
    ErrorInstead { error: String } = ": {error}";
}

define_sentences! {
    /// What a run shows of a behaviour of a gateway.
    pub enum ObservedBehaviour:
    OneCallEach { requests: u64 } = "all {requests} requests";
    RepeatedCalls { max_calls: u64, repeated: u64, requests: u64 } =
        "up to {max_calls} calls, for {repeated} of {requests} requests";
    OtherCalls { calls: CallList } = "the message was also sent to {calls}";
    OwnResponses { requests: u64 } = "all {requests} concurrent requests";
    ForeignResponses { foreign: u64, requests: u64 } =
        "{foreign} of {requests} requests got the response to another request";
    AllResponses { responses: u64 } = "all {responses} responses";
    OpenConnections { open: u64, responses: u64 } =
        "{open} of {responses} connections stayed open after the response, until the client timed out";
    EncodedResponses { encoded: u64, responses: u64, encoding: String } =
        "{encoded} of {responses} responses encoded with {encoding}, which the client did not accept";
    NoOwnRequests {} = "no requests of its own";
    OwnRequests { calls: CallList } = "{calls}";
    NoRetries {} = "1 call for each error";
    Retries { errors: RetryList } = "calls: {errors}";
    CredentialsKept {} = "each credential stays on its side of the gateway";
    UpstreamCredentialReturned { responses: ResponseCount } = "the upstream's credential is in {responses}";
    ClientCredentialForwarded { places: NameList } = "forwarded in {places}";
}

define_sentences! {
    /// How a transparent gateway behaves.
    pub enum ExpectedBehaviour:
    OneCallEach {} = "1 call for each request";
    OwnResponses {} = "each client gets its own response";
    ConnectionsEnd {} = "the connection ends with the response";
    UncompressedResponses {} = "uncompressed responses";
    NoOwnRequests {} = "no requests of its own";
    NoRetries {} = "1 call";
    CredentialsKept {} = "each credential stays on its side of the gateway";
    CredentialNotForwarded {} = "not forwarded";
}

impl From<String> for ReasonData {
    fn from(text: String) -> Self {
        Self::Other { text }
    }
}

impl From<&str> for ReasonData {
    fn from(text: &str) -> Self {
        Self::Other { text: text.to_owned() }
    }
}

impl ReasonParameter for Box<ReasonData> {
    fn map_texts(&mut self, map: &dyn Fn(&str) -> String) {
        (**self).map_texts(map);
    }
}

/// The verdicts of variants with their reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct VariantReasons(pub Vec<VariantReason>);

/// The verdict of one variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VariantReason {
    /// The variant.
    pub variant: String,
    /// Its verdict.
    pub status: VerdictStatus,
    /// The reason of its verdict.
    pub because: ReasonData,
}

impl fmt::Display for VariantReasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|part| format!("{}: {}: {}", part.variant, part.status, part.because));
        f.write_str(&parts.collect::<Vec<_>>().join("; "))
    }
}

impl ReasonParameter for VariantReasons {
    fn map_texts(&mut self, map: &dyn Fn(&str) -> String) {
        self.0.iter_mut().for_each(|part| part.because.map_texts(map));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(reason: &ReasonData) -> (String, String) {
        let json = serde_json::to_string(reason).expect("plain data");
        let again: ReasonData = serde_json::from_str(&json).expect("it was just written");
        assert_eq!(again, *reason);
        (json, reason.to_string())
    }

    #[test]
    fn a_reason_is_data_and_displays_as_a_sentence() {
        let error = ReportedError { status: 400, message: "top_q: unknown field".to_owned() };
        assert_eq!(
            both(&ReasonData::Rejected { error: error.clone() }),
            (
                r#"{"kind":"rejected","error":{"status":400,"message":"top_q: unknown field"}}"#.to_owned(),
                "rejected with HTTP 400: top_q: unknown field".to_owned()
            )
        );
        let shown =
            ReasonData::EffectShown { shows: 1, responses: ResponseCount(1), shows_without: 0, responses_without: 2 };
        let (json, sentence) = both(&shown);
        assert!(json.contains(r#""kind":"effect-shown","shows":1,"responses":1"#), "{json}");
        assert_eq!(sentence, "effect in 1 of 1 response with the field, 0 of 2 without it");
        let ignored = ReasonData::OppositeShown { fails: 2, responses: ShowingResponses(2), meter: MeterNote::Agrees };
        let all = ReasonData::AllVariants { shown: "stream".to_owned(), because: Box::new(ignored) };
        assert_eq!(
            both(&all).1,
            "all variants (shown: stream): 2 of 2 responses show that the field was ignored; the token count agrees: \
             the content did not reach the model"
        );
        assert_eq!(
            ReasonData::InvalidAccepted { values: InvalidValues(1) }.to_string(),
            "accepts an invalid value: the field is not checked"
        );
    }
}
