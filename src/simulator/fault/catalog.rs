//! Every fault that the simulator can have: [`SimulatorFault`], its id and its description.
//!
//! Plain data. It knows nothing of requests or responses, so that the configuration can name faults
//! without knowing how they act.
//!
//! The id of a protocol fault is the id of the passive check that must find it. The simulator
//! treats the id as a plain word and must not know the checks.

use std::fmt;
use std::str::FromStr;

/// Defines the kinds of faults, and each fault with its id and its description.
macro_rules! define_faults {
    ($(
        $(#[$doc:meta])*
        $kind:ident($faults:ident) { $($fault:ident = $id:literal: $description:literal,)* }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub(in crate::simulator) enum $faults { $($fault,)* }
        )*

        /// A fault, by the stage that it acts on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::simulator) enum FaultKind { $($kind($faults),)* }

        impl SimulatorFault {
            const ALL: &[Self] = &[$($(Self(FaultKind::$kind($faults::$fault)),)*)*];

            /// The id, as `--fault` takes it.
            pub fn id(self) -> &'static str {
                match self.0 { $($(FaultKind::$kind($faults::$fault) => $id,)*)* }
            }

            /// What the fault makes the server do, on one line.
            pub fn description(self) -> &'static str {
                match self.0 { $($(FaultKind::$kind($faults::$fault) => $description,)*)* }
            }
        }
    };
}

/// One fault of the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatorFault(pub(in crate::simulator) FaultKind);

/// The areas of ids, in the order of the list of faults. Other areas come last.
const FAULT_AREAS: [&str; 7] = ["http", "message", "sse", "usage", "error", "tool", "raw"];

/// The fault does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no fault `{0}`. `fieldtest simulate --list-faults` lists them")]
pub struct UnknownFault(String);

impl SimulatorFault {
    /// All faults, sorted by area.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut all = Self::ALL.to_vec();
        all.sort_by_key(|fault| FAULT_AREAS.iter().position(|area| *area == fault.area()).unwrap_or(FAULT_AREAS.len()));
        all.into_iter()
    }

    /// Whether the fault breaks a rule of the protocol, so that a passive check has its id. The
    /// `raw` faults are unusual but allowed: a client must handle them.
    pub fn breaks_protocol(self) -> bool {
        !matches!(
            self.0,
            FaultKind::Behaviour(_)
                | FaultKind::Byte(ByteFault::SplitBytes | ByteFault::Crlf | ByteFault::Comments | ByteFault::Bom)
        )
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

define_faults! {
    /// Faults of the status and the headers.
    Header(HeaderFault) {
        ContentType = "http.content-type": "non-streaming responses have content type text/plain",
        SuccessStatus = "http.success-status": "successful requests get status 201",
        StatusUndocumented = "http.status-undocumented": "400 becomes 422",
        RequestIdMissing = "http.request-id-missing": "responses have no request-id header",
        Redirect = "http.redirect": "successful requests get a redirect",
        RateLimitHeader = "http.rate-limit-header": "anthropic-ratelimit-requests-limit is `many`",
        RetryAfterInvalid = "http.retry-after-invalid": "retry-after is `soon`",
    }

    /// Faults of the content type: a stream for a message, or a message for a stream.
    ContentType(ContentTypeFault) {
        StreamNotStreamed = "http.stream-not-streamed": "`stream: true` gets a single JSON response",
        StreamUnasked = "http.stream-unasked": "requests without `stream: true` get a stream",
    }

    /// Faults of messages, in streams and in non-streaming responses.
    Message(MessageFault) {
        ErrorInSuccess = "message.error-in-success": "a 200 response has an error as its body",
        NoMessage = "message.no-message": "a 200 response has an object of another API as its body",
        Type = "message.type": "messages have no type",
        Role = "message.role": "messages have no role",
        IdMissing = "message.id-missing": "messages have no id",
        IdPrefix = "message.id-prefix": "message ids have the prefix of another API",
        ModelMissing = "message.model-missing": "messages have no model",
        ContentShape = "message.content-shape": "content is null",
        ContentEmpty = "message.content-empty": "messages that end with end_turn have no content",
        BlockShape = "message.block-shape": "the text of text blocks is null",
        BlockUnknown = "message.block-unknown": "messages have an additional block of an unknown type",
        TextEmpty = "message.text-empty": "messages have an additional block with empty text",
        SignatureMissing = "message.signature-missing": "thinking blocks have no signature",
        SignatureConstant = "message.signature-constant": "all thinking blocks have the same signature",
        SignatureStray = "message.signature-stray": "text blocks have a signature",
        ThinkingInText = "message.thinking-in-text": "messages have thinking inside a text block",
        StopReasonMissing = "message.stop-reason-missing": "stop_reason is null",
        StopReasonUnknown = "message.stop-reason-unknown": "stop_reason is a word of another API",
        StopReasonLost = "message.stop-reason-lost": "stop_reason is end_turn where a limit or a sequence ended the response",
        StopSequenceMismatch = "message.stop-sequence-mismatch": "stop_sequence is null although one was found",
        StopSequenceInText = "message.stop-sequence-in-text": "the text includes the stop sequence that ended it",
        IdRepeated = "message.id-repeated": "all messages have the same id",
        StopSequenceKeyMissing = "message.stop-sequence-key-missing": "messages have no key stop_sequence",
        ToolWithoutStopToolUse = "message.tool-without-stop-tool-use": "messages with tool calls end with end_turn",
        StopToolUseWithoutTool = "message.stop-tool-use-without-tool": "messages that end with tool_use have no tool call",
        KeyUnknown = "message.key-unknown": "messages have an unknown key",
        UsageMissing = "usage.missing": "messages have no usage",
        Counter = "usage.counter": "a usage counter is a string",
        InputZero = "usage.input-zero": "all input counters are 0",
        OutputZero = "usage.output-zero": "output_tokens is 0",
        InputMoreThanSent = "usage.input-more-than-sent": "input_tokens is larger than the request",
        InputConstant = "usage.input-constant": "every prompt has the same number of input tokens",
        RepeatDiffers = "usage.repeat-differs": "equal requests have different input_tokens",
        TwinDiffers = "usage.twin-differs": "a stream has more input_tokens than the same request without streaming",
        OverMaxTokens = "usage.over-max-tokens": "output_tokens is larger than any max_tokens",
        CacheSum = "usage.cache-sum": "the parts of cache_creation do not add up",
        CacheMissing = "usage.cache-missing": "a cache counter is missing",
        Thinking = "usage.thinking": "thinking_tokens is larger than output_tokens",
        ToolShape = "tool.shape": "tool calls have no id",
        ToolIdPattern = "tool.id-pattern": "the ids of tool calls contain a dot and a colon",
        ToolIdDuplicate = "tool.id-duplicate": "the first tool call is duplicated",
        ToolNameUnknown = "tool.name-unknown": "tool calls name a tool that is not in the request",
        ToolInputShape = "tool.input-shape": "the input of tool calls is a string",
        ToolInputSchema = "tool.input-schema": "the values in the input of tool calls are null",
        ToolIdRepeated = "tool.id-repeated": "the last tool call of every message has the same id",
        ToolMarkup = "tool.markup": "messages have tool-call markup inside a text block",
    }

    /// Faults of the events of a stream.
    Stream(StreamFault) {
        LineStray = "sse.line-stray": "streams have a line that is not an SSE field",
        DataMissing = "sse.data-missing": "streams have an event without data",
        DataNotJson = "sse.data-not-json": "streams have an event whose data is not JSON",
        DoneRecord = "sse.done-record": "streams end with [DONE]",
        EventNameMissing = "sse.event-name-missing": "events have no name",
        EventNameMismatch = "sse.event-name-mismatch": "all events have the same name",
        EventUnknown = "sse.event-unknown": "streams have an event with an unknown name",
        MessageStartMissing = "sse.message-start-missing": "streams have no message_start",
        EventBeforeStart = "sse.event-before-start": "message_start is the second event",
        MessageStartTwice = "sse.message-start-twice": "streams have two message_start",
        StartNotEmpty = "sse.start-not-empty": "message_start has a stop_reason",
        MessageDeltaMissing = "sse.message-delta-missing": "streams have no message_delta",
        MessageStopMissing = "sse.message-stop-missing": "streams have no message_stop",
        MessageStopTwice = "sse.message-stop-twice": "streams have two message_stop",
        EventAfterStop = "sse.event-after-stop": "a message_delta follows message_stop",
        BlockIndex = "sse.block-index": "blocks start with index 70",
        BlockNested = "sse.block-nested": "a block starts inside another block",
        BlockStartShape = "sse.block-start-shape": "content_block_start has no content_block",
        ToolInputInStart = "sse.tool-input-in-start": "the input of a tool call is complete in content_block_start",
        BlockAfterDelta = "sse.block-after-delta": "a block follows message_delta",
        DeltaAfterStop = "sse.delta-after-stop": "the last delta of a text block follows its content_block_stop",
        DeltaType = "sse.delta-type": "text blocks have an input_json_delta",
        DeltaShape = "sse.delta-shape": "text blocks have a text_delta without text",
        ToolJson = "sse.tool-json": "the last fragment of a tool call's input is missing",
        SignatureOrder = "sse.signature-order": "the signature of a thinking block precedes the end of its text",
        ErrorInStream = "sse.error-in-stream": "streams end early with a well-formed error event",
        BlockPrefilled = "sse.block-prefilled": "text blocks start with text in content_block_start",
        BlockNotStopped = "sse.block-not-stopped": "the last block has no content_block_stop",
        BlockStopStray = "sse.block-stop-stray": "a content_block_stop names a block that did not start",
        DeltaWithoutBlock = "sse.delta-without-block": "a delta names a block that did not start",
        DeltaTypeUnknown = "sse.delta-type-unknown": "streams have a delta of an unknown type",
        PingMissing = "sse.ping-missing": "streams have no ping",
        ErrorEvent = "sse.error-event": "streams end early with a malformed error event",
        StartUsageMissing = "usage.start-missing": "message_start has no usage",
        StartInputZero = "usage.start-input-zero": "the input counters in message_start are 0",
        DeltaUsageMissing = "usage.delta-missing": "message_delta has no usage",
        DeltaInputZero = "usage.delta-input-zero": "the input counters in message_delta are 0",
        Shrinks = "usage.shrinks": "output_tokens is smaller in message_delta than in message_start",
    }

    /// Faults of the bytes of a body and of their timing.
    Byte(ByteFault) {
        BodyCut = "http.body-cut": "the connection closes in the middle of a non-streaming response",
        BodyNotJson = "message.body-not-json": "a 200 response has HTML as its body",
        NotUtf8 = "sse.not-utf8": "streams have a byte that is not UTF-8",
        FrameUnfinished = "sse.frame-unfinished": "streams lack the last blank line",
        StreamCut = "sse.stream-cut": "the connection closes in the middle of a stream",
        Buffered = "sse.buffered": "streams pause for more than a second, then arrive at once",
        SilentGap = "sse.silent-gap": "streams pause for more than 15 seconds",
        SplitBytes = "raw.split-bytes": "responses arrive byte by byte; allowed by the protocol",
        Crlf = "raw.crlf": "the lines of streams end with CRLF; allowed by the protocol",
        Comments = "raw.comments": "streams have comments in and between events; allowed by the protocol",
        Bom = "raw.bom": "streams begin with a byte order mark; allowed by the protocol",
    }

    /// Faults of error responses.
    Error(ErrorFault) {
        ServerError = "http.server-error": "client errors become 500",
        RetryAfterMissing = "http.retry-after-missing": "client errors become 429 without retry-after",
        NotJson = "error.not-json": "errors have plain text as their body",
        Envelope = "error.envelope": "errors have the envelope of another API",
        TypeMissing = "error.type-missing": "errors have no type",
        MessageMissing = "error.message-missing": "errors have no message",
        TypeUnknown = "error.type-unknown": "errors have an unknown type",
        TypeStatus = "error.type-status": "errors have the type of another status",
        Nested = "error.nested": "errors contain another error",
        RequestIdMissing = "error.request-id-missing": "errors have no request_id",
        RequestIdMismatch = "error.request-id-mismatch": "errors have the request_id of another request",
        LeakTraceback = "error.leak-traceback": "error messages contain a traceback",
        LeakPath = "error.leak-path": "error messages contain a file path of the server",
        LeakKey = "error.leak-key": "error messages contain something like an API key",
    }

    /// Faults of behaviour: the server follows the protocol, but does something else than it
    /// should. They act where the behaviour is implemented: authentication, validation, the model's
    /// prompt, the finished response.
    Behaviour(BehaviourFault) {
        AuthMissingAccepted = "auth.missing-accepted": "accepts requests without a credential",
        AuthWrongAccepted = "auth.wrong-accepted": "accepts any credential",
        AuthStatus = "auth.status": "rejects credentials with 403 instead of 401",
        AuthBeforeRouting = "auth.before-routing": "checks the credential before the path: 401 on any path",
        AuthOneHeaderOnly = "auth.one-header-only": "rejects requests with both credential headers with 401",

        ErrorsServerError = "errors.server-error": "client errors get 500 and a traceback",
        ErrorsStatus422 = "errors.status-422": "client errors get 422 and the body of a web framework",
        ErrorsMissingMaxTokensAccepted = "errors.missing-max-tokens-accepted": "accepts requests without max_tokens",
        ErrorsEmptyMessagesAccepted = "errors.empty-messages-accepted": "accepts an empty list of messages",
        ErrorsUnknownModelAccepted = "errors.unknown-model-accepted": "uses its own model for any model name",
        ErrorsUnknownRoleAccepted = "errors.unknown-role-accepted": "accepts messages with an unknown role",
        ErrorsUnknownKeyAccepted = "errors.unknown-key-accepted": "ignores unknown keys of the request",
        ErrorsWrongTypeAccepted = "errors.wrong-type-accepted": "accepts max_tokens as a string",
        ErrorsForcedToolAccepted = "errors.forced-tool-accepted": "forces a tool while thinking is on",
        ErrorsEmptyTextAccepted = "errors.empty-text-accepted": "accepts empty text blocks",
        ErrorsUnknownPath200 = "errors.unknown-path-200": "returns 200 for any path",
        ErrorsOverflow500 = "errors.overflow-500": "returns 500 for a prompt over the context window",
        ErrorsOverflowWording = "errors.overflow-wording": "rejects a prompt over the context window with a text of its own",
        ErrorsOverflowTruncates = "errors.overflow-truncates": "accepts a prompt over the context window",
        ErrorsVersionAccepted = "errors.version-accepted": "accepts any anthropic-version, and requests without it",
        ErrorsBetaAccepted = "errors.beta-accepted": "accepts any anthropic-beta",
        BetaKnownRefused = "beta.known-refused": "rejects the betas that Claude Code sends",
        QueryNotRouted = "query.not-routed": "returns 404 for any path with a query",
        PathNoV1 = "path.no-v1": "serves its paths without /v1, and returns 404 below /v1",

        CountTokensMissing = "count-tokens.missing": "returns 404 for count_tokens",
        CountTokensZero = "count-tokens.zero": "counts 0 tokens for every request",
        CountTokensBlindToSystem = "count-tokens.blind-to-system": "counts without the system prompt",
        CountTokensBlindToTools = "count-tokens.blind-to-tools": "counts without the tools",
        CountTokensWantsMaxTokens = "count-tokens.wants-max-tokens": "requires max_tokens to count tokens",
        CountTokensOff = "count-tokens.off": "counts twice the tokens that are used",
        ModelsMissing = "models.missing": "returns 404 for /v1/models and every path below it",
        ModelsOpenaiShape = "models.openai-shape": "returns models in the format of another API",
        ModelsIdMissing = "models.id-missing": "lists models, but returns 404 for the path of each",

        SystemFirstBlockOnly = "system.first-block-only": "uses only the first block of the system prompt",
        SystemArrayRefused = "system.array-refused": "rejects a system prompt of blocks",
        RoleSystemRefused = "role-system.refused": "rejects messages with role system as not supported",
        RoleSystemRefusedUnclearly = "role-system.refused-unclearly": "rejects messages with role system without a reason",
        RoleSystemCrashes = "role-system.crashes": "returns 500 for messages with role system",
        RoleSystemDropped = "role-system.dropped": "ignores messages with role system",
        PrefillRefused = "prefill.refused": "rejects a final assistant message",
        PrefillRepeated = "prefill.repeated": "repeats the final assistant message before it continues it",
        PrefillIgnored = "prefill.ignored": "ignores a final assistant message",

        ToolsFirstCallOnly = "tools.first-call-only": "streams only the first tool call",
        ToolsCallsMerged = "tools.calls-merged": "streams the inputs of all tool calls in one block",
        ToolsInputLost = "tools.input-lost": "streams tool calls without their input",
        ToolsWithoutArgumentsRefused = "tools.without-arguments-refused": "rejects tools without properties",
        ToolsLongNameRefused = "tools.long-name-refused": "rejects tool names of more than 60 characters",
        ToolsNewVersionsRefused = "tools.new-versions-refused": "rejects the 2026 versions of the API's own tools",
        ToolsLongNameCut = "tools.long-name-cut": "cuts tool names in calls to 60 characters",
        ToolsSchemaRefused = "tools.schema-refused": "rejects schemas with $ref, anyOf, oneOf or allOf",
        ToolsHistoryRefused = "tools.history-refused": "rejects a history with more than one round of tool calls",
        ToolsServerToolsRefused = "tools.server-tools-refused": "requires input_schema in the API's own tools",
        ToolsNewKeysRefused = "tools.new-keys-refused": "rejects newer keys of tools, such as strict",
        ToolsDeferLoadingDropped = "tools.defer-loading-dropped": "ignores defer_loading: every tool is in the prompt",
        ToolsEmptyInputBroken = "tools.empty-input-broken": "calls tools without arguments with an empty string as input",

        ThinkingHistoryRefused = "thinking.history-refused": "rejects thinking blocks in the history",
        ThinkingMustReplay = "thinking.must-replay": "rejects assistant messages without thinking while thinking is on",
        ThinkingStrippedAccepted = "thinking.stripped-accepted": "accepts a round of tool calls without its thinking",
        ThinkingSignatureUnchecked = "thinking.signature-unchecked": "accepts changed thinking",
        ThinkingStreamLost = "thinking.stream-lost": "streams no thinking",
        ThinkingTextLost = "thinking.text-lost": "streams no blocks after thinking",
        ThinkingUnasked = "thinking.unasked": "thinks although the request has no thinking",
        ThinkingDisabledRefused = "thinking.disabled-refused": "rejects thinking of type disabled",
        ThinkingAlways = "thinking.always": "thinks although thinking is disabled",
        ThinkingAdaptiveRefused = "thinking.adaptive-refused": "rejects thinking of type adaptive",
        ThinkingAdaptiveDropped = "thinking.adaptive-dropped": "ignores thinking of type adaptive",
        ThinkingDisplayDropped = "thinking.display-dropped": "ignores thinking.display: the text is always returned",
        ThinkingAlwaysOmitted = "thinking.always-omitted": "returns thinking blocks without their text, whatever thinking.display is",
        ThinkingRewritten = "thinking.rewritten": "changes white space and quotes in thinking after it is signed",
        TextEmptyBlock = "text.empty-block": "adds an empty text block to messages, and rejects it in the history",
        HistorySearchRefused = "history.search-refused": "rejects blocks of searches and server tools in the history",

        CacheTtlRefused = "cache.ttl-refused": "rejects ttl in cache_control",
        CacheScopeRefused = "cache.scope-refused": "rejects scope in cache_control, even with its beta",
        CacheTtlDropped = "cache.ttl-dropped": "ignores ttl in cache_control: entries live for five minutes",
        CacheBillingHeader = "cache.billing-header": "treats the billing header of a client as part of the prompt",
        CacheCountedTwice = "cache.counted-twice": "adds cached tokens to input_tokens too",
        CacheWithThinkingRefused = "cache.with-thinking-refused": "rejects cache_control together with thinking",
        MetadataStrict = "metadata.strict": "rejects a user_id with other characters than letters, digits, _ and -",
        FormatDropped = "format.dropped": "ignores output_config.format",
        FormatRefused = "format.refused": "rejects output_config.format",
        EffortRefused = "effort.refused": "rejects output_config.effort",
        EffortLevelsRefused = "effort.levels-refused": "rejects the effort levels xhigh and max",
        EffortDropped = "effort.dropped": "ignores output_config.effort, whatever its value",
        ContextManagementDropped = "context-management.dropped": "ignores context_management, whatever its value",
        ContextEditsSkipped = "context-management.edits-skipped": "checks the edits of context_management, and applies none",
        ContextManagementRefused = "context-management.refused": "rejects context_management, even with its beta",
        MaxTokens32000Refused = "max-tokens.32000-refused": "rejects max_tokens of 32000 and more",
        StreamRefused = "stream.refused": "rejects stream: true",
        StreamBuffered = "stream.buffered": "sends the whole stream at the end",
        StreamTwinStopReason = "stream.twin-stop-reason": "streams have another stop_reason",
        StreamWhitespaceLost = "stream.whitespace-lost": "streams lose line breaks, and blanks that follow each other",
        StreamTextTwice = "stream.text-twice": "streams have the text of every block twice",
        StreamCharactersSplit = "stream.characters-split": "streams have U+FFFD instead of characters of more than two bytes",
        StreamTextLost = "stream.text-lost": "streams lose the last token of every text block",
        StreamTwinUsage = "stream.twin-usage": "streams have 50 more input_tokens",
        ImageUrlRefused = "image.url-refused": "rejects images by URL",
    }
}
