//! Pages of the checks of usage.

use crate::checks::catalog::{CheckDescription, CheckSeverity, SpecDocument};

page! { MISSING, "usage.missing", Error, [], Messages,
what: "A message has no `usage`.",
why: "It is always there.",
breaks: "Programs that read the counters; decoders that validate, the AI SDK among them, raise at once.",
example: "\"usage\":null" }
page! { COUNTER, "usage.counter", Error, [], Messages,
what: "A counter is absent where it is required, or no whole number from 0.",
why: "Clients add them up.",
breaks: "The AI SDK raises at once. The official SDKs hand the text on, and programs that add it up raise in Python or join digits in JavaScript.",
example: "\"output_tokens\":\"12\"" }
page! { START_MISSING, "usage.start-missing", Error, [1], Streaming,
what: "The message in `message_start` lacks `usage.input_tokens` or `usage.output_tokens`.",
why: "Clients read them at once.",
breaks: "Every SDK raises at the first or the last event of the stream.",
example: "message_start without usage" }
page! { START_INPUT_ZERO, "usage.start-input-zero", Warning, [2], Streaming,
what: "The input counters are 0 in `message_start`, and not at the end.",
why: "Meters read the prompt's size from the start.",
breaks: "Meters that read the prompt's size from the start. Final messages have what `message_delta` says.",
example: "message_start: 0, message_delta: 41" }
page! { DELTA_MISSING, "usage.delta-missing", Error, [3], Streaming,
what: "A `message_delta` has no `usage.output_tokens`.",
why: "It is the final count.",
breaks: "Every SDK raises at the end of the stream.",
example: "message_delta without usage" }
page! { DELTA_INPUT_ZERO, "usage.delta-input-zero", Warning, [22], Streaming,
what: "A `message_delta` sets the input counters to 0 after the start gave them.",
why: "Later values overwrite earlier ones.",
breaks: "No client raises: every SDK's final message has a prompt of no tokens.",
example: "message_start: 41, message_delta: 0" }
page! { SHRINKS, "usage.shrinks", Warning, [22], Streaming,
what: "`output_tokens` falls within a stream.",
why: "The counts are totals so far, not differences.",
breaks: "None of the measured clients: the last count stands. Meters that add up or take the highest.",
example: "30, then 4" }
page! { INPUT_ZERO, "usage.input-zero", Warning, [2, 3], Messages,
what: "All input counters of a finished message are 0.",
why: "There was a prompt.",
breaks: "No client raises: meters and budgets.",
example: "\"input_tokens\":0" }
page! { INPUT_MORE_THAN_SENT, "usage.input-more-than-sent", Warning, [120], Messages,
what: "The request is texts and nothing else, and its input counters add up to more than its bytes and 200.",
why: "A token stands for at least a byte, so something was put into the prompt that the client did not send, or the count is wrong.",
breaks: "None breaks; the client pays for a prompt that it cannot see, and that the model may follow.",
example: "input_tokens 2140, the request has 180 bytes" }
page! { OUTPUT_ZERO, "usage.output-zero", Warning, [3], Messages,
what: "`output_tokens` is 0 though the answer has text or a call.",
why: "All that was generated is counted.",
breaks: "No client raises: meters and budgets.",
example: "\"output_tokens\":0" }
page! { OVER_MAX_TOKENS, "usage.over-max-tokens", Warning, [], Messages,
what: "`output_tokens` is more than the request's `max_tokens`.",
why: "Either the bound or the count is wrong.",
breaks: "No client raises: budgets.",
example: "max_tokens 16, output_tokens 212" }
page! { CACHE_SUM, "usage.cache-sum", Warning, [], Messages,
what: "The parts of `cache_creation` do not add up to `cache_creation_input_tokens`.",
why: "The one is the sum of the others.",
breaks: "No client raises: meters that price the parts.",
example: "100 in all, 40 and 0 in parts" }
page! { CACHE_MISSING, "usage.cache-missing", Note, [104], Messages,
what: "A cache counter is absent.",
why: "Clients that show what a cache saves have nothing to show.",
breaks: "None of the measured clients.",
example: "no cache_read_input_tokens" }
page! { THINKING, "usage.thinking", Warning, [], Messages,
what: "`thinking_tokens` is more than `output_tokens`.",
why: "Thinking is a part of the output.",
breaks: "No client raises: meters.",
example: "thinking_tokens 90, output_tokens 12" }
page! { REPEAT_DIFFERS, "usage.repeat-differs", Warning, [103], Messages,
what: "Answers to equal requests differ in the sum of their input counters, by more than 16 tokens and more than a tenth.",
why: "It is the same prompt; what is read from a cache moves from one counter to another. Where cached tokens are counted in two of them, the sum grows.",
breaks: "Meters, and clients that compact the conversation by them: too early, or too late.",
example: "first 2040 + 0, then 2040 + 2000 read from the cache" }
page! { TWIN_DIFFERS, "usage.twin-differs", Warning, [], Messages,
what: "A streamed answer and a whole one, to requests that are equal otherwise, differ in the sum of their input counters, by more than 16 tokens and more than a tenth.",
why: "How the answer comes does not change the prompt.",
breaks: "No client raises: meters.",
example: "whole 41, as a stream 412" }
