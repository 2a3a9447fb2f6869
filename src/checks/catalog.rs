//! The closed set of passive checks: [`ProtocolCheck`]. Their texts are in `checks.yaml`, which
//! `build.rs` turns into a table.
//!
//! Ids are a contract: an id is never renamed, and the id of a removed check is never used again.

use crate::string_enum::string_enum;

string_enum! {
    /// The severity of a fault for clients.
    pub enum CheckSeverity {
        /// A client that follows the documentation breaks.
        Error = "error",
        /// Some clients break.
        Warning = "warning",
        /// Good to know.
        Note = "note",
    }
}

impl CheckSeverity {
    /// True if a finding counts as a failure: always for errors, in strict mode also for warnings.
    pub fn is_failure(self, strict: bool) -> bool {
        match self {
            Self::Error => true,
            Self::Warning => strict,
            Self::Note => false,
        }
    }
}

/// The document that contains the rule of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecDocument {
    /// The reference of `POST /v1/messages`.
    Messages,
    /// The documentation of its streams.
    Streaming,
    /// The documentation of its errors.
    Errors,
    /// The documentation of its tools.
    Tools,
    /// The documentation of its thinking blocks.
    Thinking,
    /// The standard for event streams.
    EventStreams,
}

impl SpecDocument {
    /// Returns the title and the address of the document.
    pub fn citation(self) -> (&'static str, &'static str) {
        match self {
            Self::Messages => ("Messages API, reference", "https://docs.anthropic.com/en/api/messages"),
            Self::Streaming => {
                ("Messages API, streaming", "https://docs.anthropic.com/en/docs/build-with-claude/streaming")
            }
            Self::Errors => ("Messages API, errors", "https://docs.anthropic.com/en/api/errors"),
            Self::Tools => {
                ("Messages API, tool use", "https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview")
            }
            Self::Thinking => (
                "Messages API, extended thinking",
                "https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking",
            ),
            Self::EventStreams => {
                ("HTML standard, server-sent events", "https://html.spec.whatwg.org/multipage/server-sent-events.html")
            }
        }
    }
}

/// The description of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckDescription {
    /// The id: area and words, such as `sse.event-name-missing`.
    pub id: &'static str,
    /// The severity of the fault.
    pub severity: CheckSeverity,
    /// The numbers of the entries in the failure catalogue that the check detects.
    pub failures: &'static [u16],
    /// The fault.
    pub summary: &'static str,
    /// The reason why it matters.
    pub rationale: &'static str,
    /// The clients that break, and how.
    pub client_impact: &'static str,
    /// An example of the fault.
    pub example: &'static str,
    /// The document that contains the rule.
    pub source: SpecDocument,
}

/// The descriptions in the order of [`ProtocolCheck`], which a test verifies.
static DESCRIPTIONS: &[CheckDescription] = include!(concat!(env!("OUT_DIR"), "/checks.rs"));

string_enum! {
    /// A passive check.
    #[allow(missing_docs, reason = "checks.yaml describes each check")]
    pub enum ProtocolCheck {
        ContentType = "http.content-type",
        StreamNotStreamed = "http.stream-not-streamed",
        StreamUnasked = "http.stream-unasked",
        Redirect = "http.redirect",
        SuccessStatus = "http.success-status",
        ServerError = "http.server-error",
        StatusUndocumented = "http.status-undocumented",
        RequestIdMissing = "http.request-id-missing",
        RetryAfterMissing = "http.retry-after-missing",
        RetryAfterInvalid = "http.retry-after-invalid",
        RateLimitHeader = "http.rate-limit-header",
        BodyCut = "http.body-cut",
        BodyNotJson = "message.body-not-json",
        ErrorInSuccess = "message.error-in-success",
        NoMessage = "message.no-message",
        MessageType = "message.type",
        MessageRole = "message.role",
        MessageIdMissing = "message.id-missing",
        MessageIdPrefix = "message.id-prefix",
        MessageIdRepeated = "message.id-repeated",
        ModelMissing = "message.model-missing",
        ContentShape = "message.content-shape",
        ContentEmpty = "message.content-empty",
        BlockUnknown = "message.block-unknown",
        BlockShape = "message.block-shape",
        TextEmpty = "message.text-empty",
        SignatureMissing = "message.signature-missing",
        SignatureConstant = "message.signature-constant",
        SignatureStray = "message.signature-stray",
        ThinkingInText = "message.thinking-in-text",
        StopReasonMissing = "message.stop-reason-missing",
        StopReasonUnknown = "message.stop-reason-unknown",
        StopReasonLost = "message.stop-reason-lost",
        StopSequenceKeyMissing = "message.stop-sequence-key-missing",
        StopSequenceMismatch = "message.stop-sequence-mismatch",
        StopSequenceInText = "message.stop-sequence-in-text",
        StopToolUseWithoutTool = "message.stop-tool-use-without-tool",
        ToolWithoutStopToolUse = "message.tool-without-stop-tool-use",
        MessageKeyUnknown = "message.key-unknown",
        NotUtf8 = "sse.not-utf8",
        LineStray = "sse.line-stray",
        FrameUnfinished = "sse.frame-unfinished",
        DataMissing = "sse.data-missing",
        DataNotJson = "sse.data-not-json",
        DoneRecord = "sse.done-record",
        EventNameMissing = "sse.event-name-missing",
        EventNameMismatch = "sse.event-name-mismatch",
        EventUnknown = "sse.event-unknown",
        MessageStartMissing = "sse.message-start-missing",
        EventBeforeStart = "sse.event-before-start",
        MessageStartTwice = "sse.message-start-twice",
        StartNotEmpty = "sse.start-not-empty",
        MessageDeltaMissing = "sse.message-delta-missing",
        MessageStopMissing = "sse.message-stop-missing",
        MessageStopTwice = "sse.message-stop-twice",
        EventAfterStop = "sse.event-after-stop",
        StreamCut = "sse.stream-cut",
        BlockIndex = "sse.block-index",
        BlockNested = "sse.block-nested",
        BlockStartShape = "sse.block-start-shape",
        BlockPrefilled = "sse.block-prefilled",
        ToolInputInStart = "sse.tool-input-in-start",
        BlockNotStopped = "sse.block-not-stopped",
        BlockStopStray = "sse.block-stop-stray",
        BlockAfterDelta = "sse.block-after-delta",
        DeltaWithoutBlock = "sse.delta-without-block",
        DeltaAfterStop = "sse.delta-after-stop",
        DeltaType = "sse.delta-type",
        DeltaTypeUnknown = "sse.delta-type-unknown",
        DeltaShape = "sse.delta-shape",
        ToolJson = "sse.tool-json",
        SignatureOrder = "sse.signature-order",
        PingMissing = "sse.ping-missing",
        SilentGap = "sse.silent-gap",
        Buffered = "sse.buffered",
        ErrorEvent = "sse.error-event",
        ErrorInStream = "sse.error-in-stream",
        UsageMissing = "usage.missing",
        UsageCounter = "usage.counter",
        UsageStartMissing = "usage.start-missing",
        UsageStartInputZero = "usage.start-input-zero",
        UsageDeltaMissing = "usage.delta-missing",
        UsageDeltaInputZero = "usage.delta-input-zero",
        UsageShrinks = "usage.shrinks",
        UsageInputZero = "usage.input-zero",
        InputMoreThanSent = "usage.input-more-than-sent",
        UsageOutputZero = "usage.output-zero",
        UsageOverMaxTokens = "usage.over-max-tokens",
        UsageCacheSum = "usage.cache-sum",
        UsageCacheMissing = "usage.cache-missing",
        UsageThinking = "usage.thinking",
        InputConstant = "usage.input-constant",
        RepeatDiffers = "usage.repeat-differs",
        TwinDiffers = "usage.twin-differs",
        ErrorNotJson = "error.not-json",
        ErrorEnvelope = "error.envelope",
        ErrorTypeMissing = "error.type-missing",
        ErrorMessageMissing = "error.message-missing",
        ErrorTypeUnknown = "error.type-unknown",
        ErrorTypeStatus = "error.type-status",
        ErrorNested = "error.nested",
        ErrorRequestIdMissing = "error.request-id-missing",
        ErrorRequestIdMismatch = "error.request-id-mismatch",
        LeakTraceback = "error.leak-traceback",
        LeakPath = "error.leak-path",
        LeakKey = "error.leak-key",
        ToolShape = "tool.shape",
        ToolIdPattern = "tool.id-pattern",
        ToolIdDuplicate = "tool.id-duplicate",
        ToolIdRepeated = "tool.id-repeated",
        ToolNameUnknown = "tool.name-unknown",
        ToolInputShape = "tool.input-shape",
        ToolInputSchema = "tool.input-schema",
        ToolMarkup = "tool.markup",
    }
}

impl ProtocolCheck {
    /// Returns the id, such as `sse.event-name-missing`.
    pub fn id(self) -> &'static str {
        self.as_str()
    }

    /// Returns the description.
    pub fn description(self) -> &'static CheckDescription {
        &DESCRIPTIONS[self as usize]
    }

    /// Returns the severity.
    pub fn severity(self) -> CheckSeverity {
        self.description().severity
    }

    /// Returns the area: the part of the id before the dot.
    pub fn area(self) -> &'static str {
        self.id().split_once('.').map_or("", |(area, _)| area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_yaml_describes_every_check_in_order_and_nothing_else() {
        let described: Vec<&str> = DESCRIPTIONS.iter().map(|description| description.id).collect();
        let checks: Vec<&str> = ProtocolCheck::ALL.iter().map(|check| check.id()).collect();
        assert_eq!(described, checks);
    }
}
