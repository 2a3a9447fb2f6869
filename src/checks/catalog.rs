//! The closed set of checks. What each looks for and why stands in `pages`, a file per area.
//!
//! Ids are a contract: they are never renamed, and one that is given up is not used again.

use crate::checks::pages::{error, http, message, sse, tool, usage};
use crate::string_enum::string_enum;

string_enum! {
    /// How bad a finding is for a client.
    pub enum CheckSeverity {
        /// A client that follows the documents breaks.
        Error = "error",
        /// Some clients suffer.
        Warning = "warning",
        /// Worth knowing.
        Note = "note",
    }
}

/// The documents that a check holds an exchange to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecDocument {
    /// The reference of `POST /v1/messages`.
    Messages,
    /// Its event streams.
    Streaming,
    /// Its errors.
    Errors,
    /// Its tools.
    Tools,
    /// Its thinking blocks.
    Thinking,
    /// The standard of event streams.
    EventStreams,
}

impl SpecDocument {
    /// Title and address.
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

/// All that is to be said of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckDescription {
    /// `area.kebab-words`; stable.
    pub id: &'static str,
    /// How bad it is.
    pub severity: CheckSeverity,
    /// The entries of the failure catalogue that it sees, `F11` for instance, by number.
    pub failures: &'static [u16],
    /// What is seen.
    pub summary: &'static str,
    /// Why it matters.
    pub rationale: &'static str,
    /// Which clients break, and how.
    pub client_impact: &'static str,
    /// What it looks like on the wire.
    pub example: &'static str,
    /// The document that says how it should be.
    pub source: SpecDocument,
}

macro_rules! define_checks {
    ($($check:ident => $about:path,)*) => {
        /// A check.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is described where `about` says")]
        pub enum ProtocolCheck { $($check,)* }

        impl ProtocolCheck {
            /// Every check, area by area.
            pub const ALL: &[Self] = &[$(Self::$check,)*];

            /// What is to be said of it.
            pub fn description(self) -> &'static CheckDescription {
                match self { $(Self::$check => &$about,)* }
            }
        }
    };
}

define_checks! {
    ContentType => http::CONTENT_TYPE,
    StreamNotStreamed => http::STREAM_NOT_STREAMED,
    StreamUnasked => http::STREAM_UNASKED,
    Redirect => http::REDIRECT,
    SuccessStatus => http::SUCCESS_STATUS,
    ServerError => http::SERVER_ERROR,
    StatusUndocumented => http::STATUS_UNDOCUMENTED,
    RequestIdMissing => http::REQUEST_ID_MISSING,
    RetryAfterMissing => http::RETRY_AFTER_MISSING,
    RetryAfterInvalid => http::RETRY_AFTER_INVALID,
    RateLimitHeader => http::RATE_LIMIT_HEADER,
    BodyCut => http::BODY_CUT,
    BodyNotJson => message::BODY_NOT_JSON,
    ErrorInSuccess => message::ERROR_IN_SUCCESS,
    NoMessage => message::NO_MESSAGE,
    MessageType => message::TYPE,
    MessageRole => message::ROLE,
    MessageIdMissing => message::ID_MISSING,
    MessageIdPrefix => message::ID_PREFIX,
    MessageIdRepeated => message::ID_REPEATED,
    ModelMissing => message::MODEL_MISSING,
    ContentShape => message::CONTENT_SHAPE,
    ContentEmpty => message::CONTENT_EMPTY,
    BlockUnknown => message::BLOCK_UNKNOWN,
    BlockShape => message::BLOCK_SHAPE,
    TextEmpty => message::TEXT_EMPTY,
    SignatureMissing => message::SIGNATURE_MISSING,
    SignatureConstant => message::SIGNATURE_CONSTANT,
    SignatureStray => message::SIGNATURE_STRAY,
    ThinkingInText => message::THINKING_IN_TEXT,
    StopReasonMissing => message::STOP_REASON_MISSING,
    StopReasonUnknown => message::STOP_REASON_UNKNOWN,
    StopSequenceKeyMissing => message::STOP_SEQUENCE_KEY_MISSING,
    StopSequenceMismatch => message::STOP_SEQUENCE_MISMATCH,
    StopSequenceInText => message::STOP_SEQUENCE_IN_TEXT,
    StopToolUseWithoutTool => message::STOP_TOOL_USE_WITHOUT_TOOL,
    ToolWithoutStopToolUse => message::TOOL_WITHOUT_STOP_TOOL_USE,
    MessageKeyUnknown => message::KEY_UNKNOWN,
    NotUtf8 => sse::NOT_UTF8,
    LineStray => sse::LINE_STRAY,
    FrameUnfinished => sse::FRAME_UNFINISHED,
    DataMissing => sse::DATA_MISSING,
    DataNotJson => sse::DATA_NOT_JSON,
    DoneRecord => sse::DONE_RECORD,
    EventNameMissing => sse::EVENT_NAME_MISSING,
    EventNameMismatch => sse::EVENT_NAME_MISMATCH,
    EventUnknown => sse::EVENT_UNKNOWN,
    MessageStartMissing => sse::MESSAGE_START_MISSING,
    EventBeforeStart => sse::EVENT_BEFORE_START,
    MessageStartTwice => sse::MESSAGE_START_TWICE,
    StartNotEmpty => sse::START_NOT_EMPTY,
    MessageDeltaMissing => sse::MESSAGE_DELTA_MISSING,
    MessageStopMissing => sse::MESSAGE_STOP_MISSING,
    MessageStopTwice => sse::MESSAGE_STOP_TWICE,
    EventAfterStop => sse::EVENT_AFTER_STOP,
    StreamCut => sse::STREAM_CUT,
    BlockIndex => sse::BLOCK_INDEX,
    BlockNested => sse::BLOCK_NESTED,
    BlockStartShape => sse::BLOCK_START_SHAPE,
    BlockPrefilled => sse::BLOCK_PREFILLED,
    ToolInputInStart => sse::TOOL_INPUT_IN_START,
    BlockNotStopped => sse::BLOCK_NOT_STOPPED,
    BlockStopStray => sse::BLOCK_STOP_STRAY,
    BlockAfterDelta => sse::BLOCK_AFTER_DELTA,
    DeltaWithoutBlock => sse::DELTA_WITHOUT_BLOCK,
    DeltaAfterStop => sse::DELTA_AFTER_STOP,
    DeltaType => sse::DELTA_TYPE,
    DeltaTypeUnknown => sse::DELTA_TYPE_UNKNOWN,
    DeltaShape => sse::DELTA_SHAPE,
    ToolJson => sse::TOOL_JSON,
    SignatureOrder => sse::SIGNATURE_ORDER,
    PingMissing => sse::PING_MISSING,
    SilentGap => sse::SILENT_GAP,
    Buffered => sse::BUFFERED,
    ErrorEvent => sse::ERROR_EVENT,
    ErrorInStream => sse::ERROR_IN_STREAM,
    UsageMissing => usage::MISSING,
    UsageCounter => usage::COUNTER,
    UsageStartMissing => usage::START_MISSING,
    UsageStartInputZero => usage::START_INPUT_ZERO,
    UsageDeltaMissing => usage::DELTA_MISSING,
    UsageDeltaInputZero => usage::DELTA_INPUT_ZERO,
    UsageShrinks => usage::SHRINKS,
    UsageInputZero => usage::INPUT_ZERO,
    InputMoreThanSent => usage::INPUT_MORE_THAN_SENT,
    UsageOutputZero => usage::OUTPUT_ZERO,
    UsageOverMaxTokens => usage::OVER_MAX_TOKENS,
    UsageCacheSum => usage::CACHE_SUM,
    UsageCacheMissing => usage::CACHE_MISSING,
    UsageThinking => usage::THINKING,
    RepeatDiffers => usage::REPEAT_DIFFERS,
    TwinDiffers => usage::TWIN_DIFFERS,
    ErrorNotJson => error::NOT_JSON,
    ErrorEnvelope => error::ENVELOPE,
    ErrorTypeMissing => error::TYPE_MISSING,
    ErrorMessageMissing => error::MESSAGE_MISSING,
    ErrorTypeUnknown => error::TYPE_UNKNOWN,
    ErrorTypeStatus => error::TYPE_STATUS,
    ErrorNested => error::NESTED,
    ErrorRequestIdMissing => error::REQUEST_ID_MISSING,
    ErrorRequestIdMismatch => error::REQUEST_ID_MISMATCH,
    LeakTraceback => error::LEAK_TRACEBACK,
    LeakPath => error::LEAK_PATH,
    LeakKey => error::LEAK_KEY,
    ToolShape => tool::SHAPE,
    ToolIdPattern => tool::ID_PATTERN,
    ToolIdDuplicate => tool::ID_DUPLICATE,
    ToolIdRepeated => tool::ID_REPEATED,
    ToolNameUnknown => tool::NAME_UNKNOWN,
    ToolInputShape => tool::INPUT_SHAPE,
    ToolInputSchema => tool::INPUT_SCHEMA,
    ToolMarkup => tool::MARKUP,
}

impl ProtocolCheck {
    /// Its id, `sse.event-name-missing` for instance.
    pub fn id(self) -> &'static str {
        self.description().id
    }

    /// How bad it is.
    pub fn severity(self) -> CheckSeverity {
        self.description().severity
    }

    /// Its area: what stands before the dot of its id.
    pub fn area(self) -> &'static str {
        self.id().split_once('.').map_or("", |(area, _)| area)
    }
}
