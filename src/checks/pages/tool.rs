//! Pages of the checks of tools.

use crate::checks::catalog::{CheckDescription, CheckSeverity, SpecDocument};

page! { SHAPE, "tool.shape", Error, [], Tools,
what: "A call lacks its id or its name.",
why: "The client answers by the id, and runs by the name.",
breaks: "Decoders that validate, the AI SDK among them, raise; with the others the next turn is refused.",
example: "{\"type\":\"tool_use\",\"id\":null,\"name\":\"weather\"}" }
page! { ID_PATTERN, "tool.id-pattern", Warning, [81], Tools,
what: "A call's id has other characters than letters, digits, `_` and `-`.",
why: "Such ids are refused when the history goes to the reference endpoint.",
breaks: "The next turn of every client, where it goes to the reference endpoint: the id is refused.",
example: "functions.weather:0" }
page! { ID_DUPLICATE, "tool.id-duplicate", Error, [83], Tools,
what: "A call has the id of another one, in the same message or in the request's history.",
why: "Results are matched by id.",
breaks: "The next turn of every client: the history is refused. Elsewhere results go to the wrong call.",
example: "toolu_1 twice" }
page! { ID_REPEATED, "tool.id-repeated", Warning, [83], Tools,
what: "Calls in different answers have the same id, though they stand at different places of their conversations.",
why: "Both could stand in one conversation, where results are matched by id. Ids that count the calls of a conversation are let pass.",
breaks: "No SDK notices, and results go to the wrong call.",
example: "call_0 for the first call, and again for the one after its result" }
page! { NAME_UNKNOWN, "tool.name-unknown", Error, [89], Tools,
what: "A tool is called that the request did not send.",
why: "The client has no such tool.",
breaks: "The official SDKs hand the name on: agents fail, or tell the model that it is wrong. The AI SDK raises where a tool was forced.",
example: "get_weather instead of weather" }
page! { INPUT_SHAPE, "tool.input-shape", Error, [74, 75], Tools,
what: "A call's input is no object.",
why: "Where a tool needs nothing, it is `{}`.",
breaks: "The Python SDK hands out a text where a program wants an object; strict decoders raise; with the official SDKs the next turn is refused. The AI SDK makes `{}` of it, and raises in a stream.",
example: "\"input\":\"{\\\"city\\\":\\\"Bern\\\"}\"" }
page! { INPUT_SCHEMA, "tool.input-schema", Warning, [69, 72], Tools,
what: "A call's input does not hold to the tool's schema.",
why: "Without `strict` a model may err, but a server that loses fragments or parts of the schema errs always.",
breaks: "No SDK raises: the tool gets what its schema forbids.",
example: "\"city\" is a required property" }
page! { MARKUP, "tool.markup", Warning, [80], Tools,
what: "A text has the markup of a call in it, and the request had tools and no such markup.",
why: "The call was not recognised: it reaches the user as text.",
breaks: "No client raises: all show the call as text, and none runs it.",
example: "<tool_call>{\"name\":\"weather\"}</tool_call>" }
