"""Runs the official Python SDK in the installed version. The argument `strict` enables validation.

Reads one JSON object per line: `{"base": URL, "busy": URL, "key": KEY, "model": MODEL, "wait":
SECONDS, "reached": [KIND]}`. Prints one line per object: the results of the scenarios of these
kinds. It does not compare results. driver.mjs does the same for the JavaScript clients.
"""

import json
import sys
import warnings

import anthropic

warnings.simplefilter("ignore")
STRICT = "strict" in sys.argv[1:]
TOOL = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HELLO = {"role": "user", "content": "Say hello in one word."}
CITY = {"role": "user", "content": "What is the weather in Bern?"}
STOP = [" message"]
ONCE_MORE = {"role": "user", "content": "And once more."}
FORCED = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "weather"}}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


class InUse(Exception):
    """The SDK returned a message, and the usual use of this message failed."""


def plain(message):
    """Uses a message like most programs (text, calls, tokens), and returns it as JSON."""
    try:
        "".join(block.text for block in message.content if block.type == "text")
        [(block.name, dict(block.input)) for block in message.content if block.type == "tool_use"]
        message.usage.input_tokens + message.usage.output_tokens
    except Exception as error:
        raise InUse(f"{type(error).__name__}: {error}") from error
    return json.loads(message.to_json())


class Session:
    """The scenarios for one server."""

    def __init__(self, order):
        options = {"timeout": order["wait"], "_strict_response_validation": STRICT}
        self.client = anthropic.Anthropic(base_url=order["base"], auth_token=order["key"], api_key=None, max_retries=0, **options)
        self.busy_client = anthropic.Anthropic(base_url=order["busy"], auth_token=order["key"], api_key=None, max_retries=1, **options)
        self.model = order["model"]

    def ask(self, message=HELLO, **more):
        return {"model": self.model, "max_tokens": 2000, "messages": [message]} | more

    def create(self, **request):
        return self.client.messages.create(**request)

    def whole(self):
        return plain(self.create(**self.ask()))

    def tool(self):
        return plain(self.create(**self.ask(CITY, **FORCED)))

    def thinking(self):
        return plain(self.create(**self.ask(**THINKING)))

    def streamed(self, request):
        with self.client.messages.stream(**request) as stream:
            return plain(stream.get_final_message())

    def stream(self):
        return self.streamed(self.ask())

    def stream_tool(self):
        return self.streamed(self.ask(CITY, **FORCED))

    def stream_thinking(self):
        return self.streamed(self.ask(**THINKING))

    def stream_text(self):
        with self.client.messages.stream(**self.ask()) as stream:
            return {"text": "".join(stream.text_stream)}

    def events(self):
        return [json.loads(event.to_json()) for event in self.create(**self.ask(), stream=True)]

    def turn(self, message, answer_to=None, **more):
        """Sends the response back unchanged, and continues the conversation."""
        answer = self.create(**self.ask(message, **more))
        follow = ONCE_MORE
        if answer_to:
            results = [{"type": "tool_result", "tool_use_id": b.id, "content": "Rain."} for b in answer.content if b.type == "tool_use"]
            follow = {"role": "user", "content": results + [{"type": "text", "text": "Thank you."}]}
        back = {"role": "assistant", "content": answer.content}
        return plain(self.create(**{**self.ask(**more), "messages": [message, back, follow]}))

    def turn_text(self):
        return self.turn(HELLO)

    def turn_tool(self):
        return self.turn(CITY, answer_to="weather", tools=[TOOL], tool_choice=FORCED["tool_choice"])

    def turn_thinking(self):
        return self.turn(HELLO, **THINKING)

    def stop(self):
        return plain(self.create(**self.ask(stop_sequences=STOP)))

    def stream_stop(self):
        return self.streamed(self.ask(stop_sequences=STOP))

    def refused(self):
        return plain(self.create(**self.ask(max_tokens=-1)))

    def unknown_model(self):
        return plain(self.create(**{**self.ask(), "model": "no-such-model"}))

    def refused_stream(self):
        return self.streamed(self.ask(max_tokens=-1))

    def busy(self):
        return plain(self.busy_client.messages.create(**self.ask()))


# Scenarios by kind of response. Only the kinds that a fault changes need to run.
SCENARIOS = {
    "whole": ["whole", "tool", "thinking", "turn_text", "turn_tool", "turn_thinking"],
    "stream": ["stream", "stream_text", "stream_tool", "stream_thinking", "events"],
    "stop": ["stop", "stream_stop"],
    "refused": ["refused", "refused_stream", "unknown_model", "busy"],
}


def validation_line(errors):
    """Returns the first error. For a union, Pydantic reports errors of each type; only the type
    that `type` names counts."""

    def place(error):
        names = [i for i, part in enumerate(error["loc"]) if isinstance(part, str) and part[:1].isupper()]
        return error["loc"][: names[0] + 1] if names else ()

    strangers = {place(error) for error in errors if place(error) and error["loc"] == (*place(error), "type")}
    fitting = [error for error in errors if place(error) not in strangers]
    if fitting:
        return f"{'.'.join(map(str, fitting[0]['loc']))}: {fitting[0]['msg']}"
    return f"{'.'.join(map(str, place(errors[0])[:-1])) or 'event'}: none of the known types"


def error_shape(error):
    """Returns the data that a program can read from an exception."""
    shape = {"class": type(error).__name__, "line": (str(error).splitlines() or [""])[0]}
    if isinstance(error, anthropic.APIResponseValidationError) and hasattr(error.__cause__, "errors"):
        shape["line"] = validation_line(error.__cause__.errors(include_url=False, include_input=False))
    if isinstance(error, anthropic.APIStatusError):
        body = error.body if isinstance(error.body, dict) else {}
        inner = body.get("error") if isinstance(body.get("error"), dict) else {}
        shape |= {"status": error.status_code, "type": inner.get("type"), "message": inner.get("message"), "request_id": bool(error.request_id)}
        if not isinstance(error.body, dict):
            shape["body"] = "text"
    return shape


def outcome(run):
    """Runs one scenario and returns its result."""
    try:
        return {"value": run()}
    except anthropic.APITimeoutError:
        return {"hangs": True}
    except Exception as error:  # Any error is a result.
        return {"error": error_shape(error)}


for line in sys.stdin:
    order = json.loads(line)
    session = Session(order)
    names = [name for kind in order["reached"] for name in SCENARIOS[kind]]
    print(json.dumps({name: outcome(getattr(session, name)) for name in names}, default=str), flush=True)
