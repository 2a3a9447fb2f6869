//! Pages of the checks of HTTP.

use crate::checks::catalog::{CheckDescription, CheckSeverity, SpecDocument};

page! { CONTENT_TYPE, "http.content-type", Error, [17], Messages,
what: "An answer that is no stream, or an error, comes with another content type than JSON.",
why: "Clients parse a body as JSON only where its content type ends in `json`.",
breaks: "The TypeScript SDK hands out the bare text of a message, and programs raise when they use it. The Python SDK and the AI SDK read the JSON all the same.",
example: "content-type: text/plain" }
page! { STREAM_NOT_STREAMED, "http.stream-not-streamed", Error, [16, 17], Streaming,
what: "A request with `stream: true` succeeds with another content type than `text/event-stream`.",
why: "The client waits for events and finds none.",
breaks: "SDK streams end without an event: they raise for want of a message, and where Python only reads the text, it is empty.",
example: "content-type: application/json" }
page! { STREAM_UNASKED, "http.stream-unasked", Error, [17], Messages,
what: "A request that did not ask to stream is answered with an event stream.",
why: "Without `stream: true` the answer is one JSON document.",
breaks: "The official SDKs hand out the bare text, and programs raise when they use it; decoders that validate raise at once.",
example: "content-type: text/event-stream" }
page! { REDIRECT, "http.redirect", Error, [118], Messages,
what: "A request is answered with a redirect.",
why: "The API never redirects, and a POST that follows a redirect may lose its body or its credential.",
breaks: "The SDKs follow it, and raise at what they find there; clients that follow none fail.",
example: "HTTP 307" }
page! { SUCCESS_STATUS, "http.success-status", Warning, [], Messages,
what: "A request succeeds with another status than 200.",
why: "200 is the only success that is documented.",
breaks: "None of the measured clients; those that compare with 200.",
example: "HTTP 201" }
page! { SERVER_ERROR, "http.server-error", Warning, [31, 37], Errors,
what: "A request is answered with 500.",
why: "A mistake of the client is a 4xx. A 500 says that the server broke, and clients send the same again.",
breaks: "Clients send again what can never succeed: SDKs raise it as a fault of the server's.",
example: "HTTP 500" }
page! { STATUS_UNDOCUMENTED, "http.status-undocumented", Warning, [24], Errors,
what: "An error has a status that the documents do not name: 422 from a web framework, 502 from a proxy.",
why: "Clients choose what to do by the status.",
breaks: "SDKs raise another exception than for a 400; rules that go by the status take their default branch.",
example: "HTTP 422" }
page! { REQUEST_ID_MISSING, "http.request-id-missing", Note, [35], Errors,
what: "There is no `request-id` header.",
why: "It is what a provider's support asks for.",
breaks: "None breaks; errors and logs lack the id.",
example: "HTTP 200 without a request-id" }
page! { RETRY_AFTER_MISSING, "http.retry-after-missing", Warning, [36], Errors,
what: "A 429 or 529 does not say when to come again.",
why: "Without `retry-after` a client can only guess how long to wait.",
breaks: "Clients come back too early, or wait too long.",
example: "HTTP 429 without retry-after" }
page! { RETRY_AFTER_INVALID, "http.retry-after-invalid", Warning, [36], Errors,
what: "`retry-after` is neither a number of seconds nor a date of HTTP.",
why: "Nothing else can be read by a client.",
breaks: "SDKs pass over it and wait as long as they like.",
example: "retry-after: soon" }
page! { RATE_LIMIT_HEADER, "http.rate-limit-header", Note, [], Errors,
what: "A documented `anthropic-ratelimit-` header is no whole number or no time of RFC 3339, or `x-should-retry` is neither `true` nor `false`.",
why: "Clients pace themselves by the first, and the official SDKs obey the second.",
breaks: "None of the measured clients, with `x-should-retry` left alone; whoever paces itself by the headers.",
example: "anthropic-ratelimit-requests-reset: 30" }
page! { BODY_CUT, "http.body-cut", Error, [], Messages,
what: "The connection ends in the midst of a body that is no stream.",
why: "Half a document is no document.",
breaks: "Every SDK raises.",
example: "the connection broke after 120 bytes" }
