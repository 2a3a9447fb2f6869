//! Pages of the checks of messages.

use crate::checks::catalog::{CheckDescription, CheckSeverity, SpecDocument};

page! { BODY_NOT_JSON, "message.body-not-json", Error, [], Messages,
what: "A success has a body that is not JSON.",
why: "The answer is one JSON document.",
breaks: "Every SDK raises.",
example: "<html>" }
page! { ERROR_IN_SUCCESS, "message.error-in-success", Error, [30], Errors,
what: "A success has an error for a body.",
why: "Clients tell errors by the status, and read this as a message without content.",
breaks: "Every client: SDKs build a message without content, and programs raise when they use it; those that validate raise at once.",
example: "HTTP 200, {\"type\":\"error\",\"error\":{...}}" }
page! { NO_MESSAGE, "message.no-message", Error, [30], Messages,
what: "A success has JSON that is no message: no object, or one with neither `content` nor `type: message`.",
why: "There is nothing that a client could read.",
breaks: "Every client: SDKs build a message without content, and programs raise when they use it; those that validate raise at once.",
example: "{\"choices\":[...]}" }
page! { TYPE, "message.type", Error, [10], Messages,
what: "`type` is not `message`.",
why: "It tells a message from an error.",
breaks: "Decoders that validate, the AI SDK among them, raise; others lack the type.",
example: "{\"id\":\"msg_1\",\"role\":\"assistant\",...}" }
page! { ROLE, "message.role", Error, [10], Messages,
what: "`role` is not `assistant`.",
why: "The message is handed back as a turn of the assistant.",
breaks: "Strict decoders raise; the AI SDK does not look. Programs that hand the message back by its own role.",
example: "\"role\":null" }
page! { ID_MISSING, "message.id-missing", Error, [], Messages,
what: "`id` is no text, or an empty one.",
why: "Every message has an id.",
breaks: "Strict decoders raise; logs lack the id.",
example: "\"id\":null" }
page! { ID_PREFIX, "message.id-prefix", Warning, [112], Messages,
what: "`id` does not begin with `msg_`.",
why: "The documented ids do.",
breaks: "No SDK looks at it. Tools that tell kinds of objects by their prefix.",
example: "\"id\":\"chatcmpl-81\"" }
page! { ID_REPEATED, "message.id-repeated", Warning, [], Messages,
what: "Different answers of a run have the same `id`.",
why: "An id names one message. The same answer to the same request, from a cache of answers, is let pass.",
breaks: "No SDK looks at it. Logs and stores that key on it: one answer takes the place of another.",
example: "two answers, both with \"id\":\"msg_1\"" }
page! { MODEL_MISSING, "message.model-missing", Error, [], Messages,
what: "`model` is no text, or an empty one.",
why: "It says which model answered.",
breaks: "Strict decoders raise; meters that price by model lack it.",
example: "\"model\":null" }
page! { CONTENT_SHAPE, "message.content-shape", Error, [113], Messages,
what: "`content` is no list of blocks that have a `type`.",
why: "Clients go through the list.",
breaks: "Every client: those that validate raise at once, the others when the content is used, and so does the next turn.",
example: "\"content\":null" }
page! { CONTENT_EMPTY, "message.content-empty", Warning, [29, 113], Messages,
what: "An answer ends of its own accord (`end_turn`) without any content, and not after a tool's result.",
why: "It is often a failure in disguise.",
breaks: "Agents stop without a reason, and the next turn with the empty message is refused. The AI SDK leaves it out.",
example: "\"content\":[],\"stop_reason\":\"end_turn\"" }
page! { BLOCK_UNKNOWN, "message.block-unknown", Note, [], Messages,
what: "A block of a type that the reference does not name.",
why: "Additions are allowed; clients are told to pass over them.",
breaks: "Clients that pass over it, as they are told to, until they hand it back: the next turn is refused. Decoders that validate against a closed set, the AI SDK among them, raise.",
example: "{\"type\":\"hologram\"}" }
page! { BLOCK_SHAPE, "message.block-shape", Error, [], Messages,
what: "A text, thinking or redacted block lacks its text.",
why: "Clients read it without asking.",
breaks: "Every SDK: those that validate raise at once, the others when the text is used, and the next turn is refused.",
example: "{\"type\":\"text\",\"text\":null}" }
page! { TEXT_EMPTY, "message.text-empty", Warning, [114], Messages,
what: "A text block with an empty text.",
why: "Such a block is refused in a request, so that the answer cannot be handed back as it is.",
breaks: "The next turn of clients that keep the history unaltered is refused. The AI SDK drops the block before.",
example: "{\"type\":\"text\",\"text\":\"\"}" }
page! { SIGNATURE_MISSING, "message.signature-missing", Warning, [94, 95], Thinking,
what: "A thinking block has no signature, or an empty one.",
why: "Thinking goes back with its signature in the next turn.",
breaks: "The next turn of every client that hands the thinking back, where the signature is looked at.",
example: "{\"type\":\"thinking\",\"thinking\":\"...\",\"signature\":\"\"}" }
page! { SIGNATURE_CONSTANT, "message.signature-constant", Warning, [94], Thinking,
what: "Different thinking in different answers has the same signature.",
why: "It signs nothing then, and whoever checks signatures refuses it.",
breaks: "The next turn, where the signature is looked at: every SDK hands it back.",
example: "\"signature\":\"c2ln\" under every thinking" }
page! { SIGNATURE_STRAY, "message.signature-stray", Warning, [121], Thinking,
what: "A text or a call has a signature.",
why: "A signature belongs into the block of the thinking that it signs. Elsewhere it is an unknown key.",
breaks: "The next turn of the official SDKs: the block that has the key is refused. The AI SDK drops the key.",
example: "{\"type\":\"text\",\"text\":\"...\",\"signature\":\"c2ln\"}" }
page! { THINKING_IN_TEXT, "message.thinking-in-text", Warning, [93], Thinking,
what: "A text begins with `<think>`, and the request says nothing of it.",
why: "Thinking has a block of its own.",
breaks: "No client raises: all show the thinking as part of the answer.",
example: "<think>The user wants" }
page! { STOP_REASON_MISSING, "message.stop-reason-missing", Error, [21], Messages,
what: "A finished message has no `stop_reason`.",
why: "It is null only in `message_start`; a client goes by it.",
breaks: "No SDK raises. Agents cannot tell an end from a call: the AI SDK says `other`, and does not run the tool.",
example: "\"stop_reason\":null" }
page! { STOP_REASON_UNKNOWN, "message.stop-reason-unknown", Warning, [], Messages,
what: "`stop_reason` is none of the documented words.",
why: "A word from another API (`stop`, `length`) says nothing to a client.",
breaks: "Strict decoders raise; the AI SDK says `other`; the others hand the word on to loops that wait for `end_turn`.",
example: "\"stop_reason\":\"length\"" }
page! { STOP_SEQUENCE_KEY_MISSING, "message.stop-sequence-key-missing", Warning, [21], Messages,
what: "The key `stop_sequence` is absent.",
why: "It is always there, null where no sequence was met.",
breaks: "None of the measured clients; decoders that want the key.",
example: "{\"stop_reason\":\"end_turn\",\"usage\":...}" }
page! { STOP_SEQUENCE_MISMATCH, "message.stop-sequence-mismatch", Error, [115], Messages,
what: "`stop_reason` and `stop_sequence` do not fit each other, or the sequence is none that was sent.",
why: "The sequence stands there exactly when it ended the answer.",
breaks: "No SDK raises. Clients that act on the sequence that was met.",
example: "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":null" }
page! { STOP_SEQUENCE_IN_TEXT, "message.stop-sequence-in-text", Warning, [], Messages,
what: "A stop sequence ended the answer, and it stands in the text.",
why: "The text ends before it.",
breaks: "No SDK raises. Clients that join the text with what they have: the sequence is there twice, or is taken for content.",
example: "\"text\":\"1, 2, 3, 7\",\"stop_sequence\":\"7\"" }
page! { STOP_TOOL_USE_WITHOUT_TOOL, "message.stop-tool-use-without-tool", Warning, [78], Tools,
what: "`stop_reason` is `tool_use`, and no tool is called.",
why: "The client is told to run a tool, and finds none. The reference endpoint was seen to do so now and then.",
breaks: "Agents stop, or hand back an empty turn that is refused. The AI SDK raises where a tool was forced.",
example: "\"content\":[{\"type\":\"text\",...}],\"stop_reason\":\"tool_use\"" }
page! { TOOL_WITHOUT_STOP_TOOL_USE, "message.tool-without-stop-tool-use", Error, [79], Tools,
what: "A tool is called, and `stop_reason` is `end_turn`.",
why: "A client runs tools where the reason says so.",
breaks: "Agents that go by the reason: the tool is never run. The AI SDK runs it all the same; no SDK raises.",
example: "\"content\":[{\"type\":\"tool_use\",...}],\"stop_reason\":\"end_turn\"" }
page! { KEY_UNKNOWN, "message.key-unknown", Note, [], Messages,
what: "A message has keys that the reference does not name.",
why: "Additions are allowed; clients are told to pass over them.",
breaks: "None of the measured clients.",
example: "\"created\":1763800000" }
