//! Pages of the checks of errors.

use crate::checks::catalog::{CheckDescription, CheckSeverity, SpecDocument};

page! { NOT_JSON, "error.not-json", Error, [33], Errors,
what: "An error has a body that is no JSON object.",
why: "Errors have an envelope.",
breaks: "SDKs raise by the status; type and text of the error are lost to them.",
example: "HTTP 401: Unauthorized" }
page! { ENVELOPE, "error.envelope", Error, [23, 24, 25, 33], Errors,
what: "An error's body lacks `type: error` or the object `error`.",
why: "It is how clients find the error's type and text.",
breaks: "SDKs choose the exception by the status and still raise; `error.type` is lost where it is absent, and the AI SDK shows no text either. Rules for retries that go by the type guess.",
example: "{\"error\":{\"message\":\"...\",\"code\":400}}" }
page! { TYPE_MISSING, "error.type-missing", Error, [23, 25], Errors,
what: "`error.type` is no text, or an empty one.",
why: "It names the kind of error.",
breaks: "Rules that go by the type. SDKs raise by the status; the AI SDK drops the error's text as well.",
example: "\"error\":{\"code\":\"1210\",...}" }
page! { MESSAGE_MISSING, "error.message-missing", Error, [23], Errors,
what: "`error.message` is no text, or an empty one.",
why: "It is all that a person gets to read.",
breaks: "People read an empty error; the AI SDK drops the type as well. SDKs raise by the status.",
example: "\"message\":null" }
page! { TYPE_UNKNOWN, "error.type-unknown", Warning, [26, 125], Errors,
what: "`error.type` is none of the published types.",
why: "Clients choose by it.",
breaks: "Rules that go by the type: SDKs hand the word on. The exception's class comes from the status.",
example: "\"type\":\"BadRequestError\"" }
page! { TYPE_STATUS, "error.type-status", Warning, [33, 36, 124], Errors,
what: "The error's type does not belong to the status.",
why: "Each type has its status; where they differ, clients act on one of two opinions.",
breaks: "Whoever goes by the type where SDKs go by the status: retries of what cannot succeed, or none where it could.",
example: "HTTP 400 with rate_limit_error" }
page! { NESTED, "error.nested", Warning, [125], Errors,
what: "An error within the error.",
why: "The real type and text are hidden one level down.",
breaks: "No SDK notices. Rules that match the inner type or text.",
example: "\"error\":{\"type\":\"upstream_error\",\"error\":{...}}" }
page! { REQUEST_ID_MISSING, "error.request-id-missing", Note, [35], Errors,
what: "The error's body has no `request_id`.",
why: "It is what a provider's support asks for.",
breaks: "None breaks; SDKs read the header. Reports that quote the body lack the id.",
example: "{\"type\":\"error\",\"error\":{...}}" }
page! { REQUEST_ID_MISMATCH, "error.request-id-mismatch", Warning, [35], Errors,
what: "`request_id` in the body is not the header's `request-id`.",
why: "They are one id; a gateway may have kept one and replaced the other.",
breaks: "No SDK notices: they read the header. Whoever looks for the request by the body's id.",
example: "request_id req_1, header req_2" }
page! { LEAK_TRACEBACK, "error.leak-traceback", Warning, [37], Errors,
what: "An error has a traceback in it.",
why: "The server crashed where it should have refused, and shows its inside.",
breaks: "None by itself, though every SDK shows it in the exception; it is a risk of the provider's.",
example: "Traceback (most recent call last)" }
page! { LEAK_PATH, "error.leak-path", Warning, [37], Errors,
what: "An error names a path in the server's file system that the request did not.",
why: "It shows the server's inside.",
breaks: "None by itself, though every SDK shows it in the exception; it is a risk of the provider's.",
example: "/usr/lib/python3/dist-packages/app.py" }
page! { LEAK_KEY, "error.leak-key", Error, [37], Errors,
what: "An error has something in it that looks like a key, and that the request's body did not say.",
why: "Errors end in logs and reports; a key in them is lost.",
breaks: "None by itself, though every SDK shows it in the exception; whoever owns the key must replace it.",
example: "sk-abcd… (40 characters)" }
