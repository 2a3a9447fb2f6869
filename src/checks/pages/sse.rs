//! Pages of the checks of event streams.

use crate::checks::catalog::{CheckDescription, CheckSeverity, SpecDocument};

page! { NOT_UTF8, "sse.not-utf8", Error, [], EventStreams,
what: "The stream is not UTF-8.",
why: "Event streams are UTF-8 and nothing else.",
breaks: "The Python SDK raises. The TypeScript and the AI SDK do not notice, or show broken characters.",
example: "a byte ff in a text" }
page! { LINE_STRAY, "sse.line-stray", Warning, [], EventStreams,
what: "A line that begins with none of `event:`, `data:`, `id:`, `retry:` or a colon.",
why: "Readers of event streams drop it: what stands there is lost.",
breaks: "None of the measured clients; what the line says, a JSON document without `data:` for instance, is lost to them.",
example: "{\"type\":\"ping\"}" }
page! { FRAME_UNFINISHED, "sse.frame-unfinished", Error, [15], EventStreams,
what: "The stream ends without a blank line after its last event.",
why: "By the standard, such an event is dropped; it may be `message_stop`.",
breaks: "Where it is `message_stop` that is lost: the TypeScript SDK raises, the AI SDK loses stop reason and usage and runs no tool, Python takes the answer for whole.",
example: "data: {\"type\":\"message_stop\"}, and no blank line" }
page! { DATA_MISSING, "sse.data-missing", Warning, [], Streaming,
what: "An event without data.",
why: "Each event carries one JSON object.",
breaks: "None of the measured clients; those that parse the data of every event.",
example: "event: ping" }
page! { DATA_NOT_JSON, "sse.data-not-json", Error, [13], Streaming,
what: "The data of an event is no JSON object.",
why: "Clients parse it.",
breaks: "In an event that the official SDKs know to be a ping they do not look; in another they raise. The AI SDK raises wherever it is.",
example: "data: keep-alive" }
page! { DONE_RECORD, "sse.done-record", Error, [13, 14], Streaming,
what: "The stream has a `[DONE]` record.",
why: "It belongs to another API. Streams of messages end with `message_stop`.",
breaks: "None of the measured clients where it is a record without a name: the official SDKs drop it, the AI SDK and Claude Code pass over it. Parsers that take every record for JSON.",
example: "data: [DONE]" }
page! { EVENT_NAME_MISSING, "sse.event-name-missing", Error, [11, 28], Streaming,
what: "A record has data and no `event:` line.",
why: "The official SDKs choose by the event's name, and drop what has none.",
breaks: "The official SDKs drop every event and raise for want of a message; where only the text is read, it is empty. Claude Code asks again without streaming. The AI SDK goes by the data and does not notice.",
example: "data: {\"type\":\"message_start\",...}" }
page! { EVENT_NAME_MISMATCH, "sse.event-name-mismatch", Error, [12], Streaming,
what: "The event's name is not its data's `type`.",
why: "Some clients go by the one, some by the other: they see different streams.",
breaks: "Strict decoders raise. The other SDKs go by the data's type, once the name is one that they read at all; whoever goes by the name sees another stream.",
example: "event: message, data: {\"type\":\"message_start\"}" }
page! { EVENT_UNKNOWN, "sse.event-unknown", Note, [20], Streaming,
what: "An event that the reference does not name.",
why: "Additions are allowed; clients are told to pass over them.",
breaks: "Decoders that validate against a closed set, the AI SDK among them, raise. The official SDKs hand it on or drop it.",
example: "event: progress" }
page! { MESSAGE_START_MISSING, "sse.message-start-missing", Error, [4], Streaming,
what: "The stream ends without a `message_start`.",
why: "It creates the message that all else is added to.",
breaks: "The official SDKs raise; those that only read the text are told nothing or fail. Claude Code asks again without streaming. The AI SDK takes the answer and does not notice.",
example: "a stream that begins with content_block_start" }
page! { EVENT_BEFORE_START, "sse.event-before-start", Error, [4], Streaming,
what: "Another event than a ping comes before `message_start`.",
why: "There is no message yet that it could be added to.",
breaks: "The official SDKs raise, as an error of order or of an index. The AI SDK does not notice.",
example: "content_block_start, message_start" }
page! { MESSAGE_START_TWICE, "sse.message-start-twice", Error, [5], Streaming,
what: "`message_start` comes more than once.",
why: "A second one begins the message anew.",
breaks: "The TypeScript SDK raises. Python and the AI SDK do not notice where it comes before any block; accumulators that begin anew lose what was there.",
example: "message_start, message_start" }
page! { START_NOT_EMPTY, "sse.start-not-empty", Warning, [10], Streaming,
what: "The message in `message_start` has content or a stop reason, or no empty list of content.",
why: "Content comes in blocks, the reason in `message_delta`; what is told twice is counted twice.",
breaks: "None of the measured clients where it is a stop reason: `message_delta` overwrites it. Accumulators that add to what was there; whoever reads the start.",
example: "\"stop_reason\":\"end_turn\" in message_start" }
page! { MESSAGE_DELTA_MISSING, "sse.message-delta-missing", Error, [3], Streaming,
what: "`message_stop` comes without a `message_delta` before it.",
why: "Stop reason and final usage come with it.",
breaks: "No client raises: the stop reason is absent and the count of the answer stays at its start. The AI SDK runs no tool.",
example: "content_block_stop, message_stop" }
page! { MESSAGE_STOP_MISSING, "sse.message-stop-missing", Error, [14, 15, 27], Streaming,
what: "The stream ends in good order without `message_stop` and without an error.",
why: "Nothing tells a whole answer from a cut one.",
breaks: "The TypeScript SDK raises; the AI SDK loses stop reason and usage, and runs no tool; Python takes the answer for whole, and would take half of it for whole.",
example: "message_delta, and the end" }
page! { MESSAGE_STOP_TWICE, "sse.message-stop-twice", Warning, [5], Streaming,
what: "`message_stop` comes again after the end.",
why: "It ends the stream.",
breaks: "None of the measured clients; those that finish the message each time.",
example: "message_stop, message_stop" }
page! { EVENT_AFTER_STOP, "sse.event-after-stop", Warning, [13], Streaming,
what: "A documented event other than a ping follows the end.",
why: "Most clients have stopped reading; what it says is lost.",
breaks: "None of the measured clients: it shows among the raw events alone. Meters that come too late.",
example: "message_stop, message_delta" }
page! { STREAM_CUT, "sse.stream-cut", Error, [15, 27], Streaming,
what: "The connection breaks before the end of the stream.",
why: "A failure in mid-stream is to be told by an `error` event.",
breaks: "Every SDK raises; whoever keeps what came takes half of the answer for whole.",
example: "the connection broke after 812 bytes" }
page! { BLOCK_INDEX, "sse.block-index", Error, [8, 76], Streaming,
what: "A block's index is not the number of the blocks before it.",
why: "Accumulators append in order of arrival; index and place must agree.",
breaks: "The AI SDK raises, and Claude Code asks again without streaming. The official SDKs append, and do not notice an index that is too high. Where two blocks share an index, text lands in the wrong one.",
example: "content_block_start with index 0 twice" }
page! { BLOCK_NESTED, "sse.block-nested", Error, [7, 9], Streaming,
what: "A block starts while another is open.",
why: "Blocks come one after another.",
breaks: "No SDK raises: they tell blocks apart by their index. Clients that keep one open block: arguments of one call end in another.",
example: "content_block_start 0, content_block_start 1" }
page! { BLOCK_START_SHAPE, "sse.block-start-shape", Error, [], Streaming,
what: "A `content_block_start` has no `content_block` with a type.",
why: "The type says what the block is.",
breaks: "The Python and the AI SDK raise; TypeScript ends with a block without a type, and its text is lost.",
example: "{\"type\":\"content_block_start\",\"index\":0}" }
page! { BLOCK_PREFILLED, "sse.block-prefilled", Warning, [], Streaming,
what: "A text or thinking block starts with text in it.",
why: "Text comes in deltas; it starts empty.",
breaks: "The official SDKs have the words in the final message and not among the deltas; the AI SDK and whoever prints deltas lose them.",
example: "\"content_block\":{\"type\":\"text\",\"text\":\"Hello\"}" }
page! { TOOL_INPUT_IN_START, "sse.tool-input-in-start", Error, [73], Streaming,
what: "A call's input stands in `content_block_start`.",
why: "Input comes in `input_json_delta`; the start has `{}`.",
breaks: "Claude Code runs the tool with `{}`. The SDKs take the input from the start where no fragments follow; whoever reads fragments alone runs the tool with `{}`.",
example: "\"content_block\":{\"type\":\"tool_use\",\"input\":{\"city\":\"Bern\"},...}" }
page! { BLOCK_NOT_STOPPED, "sse.block-not-stopped", Error, [7], Streaming,
what: "A block is open when the message ends, and it is no call that was cut by `max_tokens`.",
why: "Its end is when a client makes use of it.",
breaks: "Claude Code shows an empty answer, and the AI SDK never sees the call. The official SDKs have all of it in the final message; whoever waits for the event of its end does not.",
example: "content_block_delta, message_delta" }
page! { BLOCK_STOP_STRAY, "sse.block-stop-stray", Error, [6, 9], Streaming,
what: "`content_block_stop` names a block that is not open.",
why: "Each block has one start and one stop.",
breaks: "The Python SDK and Claude Code raise. The TypeScript and the AI SDK pass over it.",
example: "content_block_stop 0, content_block_stop 0" }
page! { BLOCK_AFTER_DELTA, "sse.block-after-delta", Error, [7], Streaming,
what: "An event of a block follows `message_delta`.",
why: "By then all blocks are told.",
breaks: "No SDK raises: the late block stands in the final message. Claude Code shows the late block alone.",
example: "message_delta, content_block_start" }
page! { DELTA_WITHOUT_BLOCK, "sse.delta-without-block", Error, [6], Streaming,
what: "A delta names a block that never started.",
why: "There is nothing it could be added to.",
breaks: "Every SDK raises. Claude Code asks again without streaming.",
example: "message_start, content_block_delta" }
page! { DELTA_AFTER_STOP, "sse.delta-after-stop", Error, [9], Streaming,
what: "A delta names a block that was stopped.",
why: "Clients have made use of the block by then.",
breaks: "The AI SDK raises; the official SDKs do not notice. Clients that made use of the block by then lose it.",
example: "content_block_stop 0, content_block_delta 0" }
page! { DELTA_TYPE, "sse.delta-type", Error, [121], Streaming,
what: "A delta's type does not fit its block's.",
why: "Text goes into text, JSON into calls, thinking and signatures into thinking.",
breaks: "Claude Code raises. The SDKs pass over what does not fit, and it is lost.",
example: "text_delta in a block of type tool_use" }
page! { DELTA_TYPE_UNKNOWN, "sse.delta-type-unknown", Note, [], Streaming,
what: "A delta of a type that the reference does not name.",
why: "Additions are allowed; clients are told to pass over them.",
breaks: "Decoders that validate against a closed set, the AI SDK among them, raise. The official SDKs pass over it.",
example: "{\"type\":\"audio_delta\"}" }
page! { DELTA_SHAPE, "sse.delta-shape", Error, [], Streaming,
what: "A delta lacks its type, or the text that its type promises.",
why: "Clients add it to what they have.",
breaks: "The Python and the AI SDK raise; TypeScript and Claude Code write `null` into the text.",
example: "{\"type\":\"text_delta\",\"text\":null}" }
page! { TOOL_JSON, "sse.tool-json", Error, [72, 74, 76], Streaming,
what: "The fragments of a call's input do not make a JSON object.",
why: "Clients join and parse them.",
breaks: "The official SDKs raise nothing, and hand out what could be read: the tool is called with `{}`. The AI SDK reports a failed call.",
example: "partial_json: \"\\\"Bern\\\"}\"" }
page! { SIGNATURE_ORDER, "sse.signature-order", Warning, [121], Thinking,
what: "Thinking, or another signature, follows the signature of a thinking block.",
why: "The signature comes once, and last; it signs all that came before.",
breaks: "None of the measured clients: the last signature stands. The next turn, where it is not the right one.",
example: "signature_delta, thinking_delta" }
page! { PING_MISSING, "sse.ping-missing", Note, [19], Streaming,
what: "A whole stream without a ping.",
why: "Pings keep a connection alive while the model is silent. They are not promised.",
breaks: "None of the measured clients; those with an idle time-out may give up on long prompts.",
example: "no event: ping" }
page! { SILENT_GAP, "sse.silent-gap", Note, [19], Streaming,
what: "For more than 15 seconds nothing came in the midst of a stream, not even a ping.",
why: "Pings keep a connection alive while the model is silent. They are not promised.",
breaks: "None of the measured clients; those, and proxies, with an idle time-out of 30 seconds are half-way to giving up.",
example: "content_block_start, 18 s, content_block_delta" }
page! { BUFFERED, "sse.buffered", Note, [18], Streaming,
what: "An answer took a second or more, and 20 or more deltas, all that there were, came within the last 50 ms.",
why: "A stream is to be read while it is written. Either it was held back and told at the end, or a very fast model waited long.",
breaks: "None breaks; users wait before a still screen, and clients with an idle time-out give up.",
example: "84 deltas within 3 ms, after 6200 ms without any" }
page! { ERROR_EVENT, "sse.error-event", Error, [28], Streaming,
what: "An `error` event does not have the error's envelope.",
why: "Clients read the cause from it.",
breaks: "Every SDK raises, as it should; the AI SDK raises at the shape and hides the cause.",
example: "event: error, data: {\"message\":\"overloaded\"}" }
page! { ERROR_IN_STREAM, "sse.error-in-stream", Note, [], Streaming,
what: "A stream ends with a well-formed `error` event.",
why: "This is how a failure in mid-stream is to be told, so no rule is broken; but the answer is lost.",
breaks: "None that follows the documents: every SDK raises the error, and Claude Code asks again.",
example: "event: error, data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",...}}" }
