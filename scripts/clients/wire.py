"""Reads the responses of a server without a client, to see if a fault can reach a client."""

import http.client
import json
import re
import urllib.parse

import compare

WAIT = 3
HEADERS = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
TOOL = {"name": "weather", "description": "The weather of a city", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
STOP = [" message"]
KINDS = {
    "text": {},
    "tool": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "weather"}},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
}


def answer(base, key, body):
    """Returns status, headers and body of one response, without random values."""
    url = urllib.parse.urlparse(base)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=WAIT)
    seen = []
    try:
        connection.request("POST", "/v1/messages", json.dumps(body), HEADERS | {"x-api-key": key})
        response = connection.getresponse()
        seen += [response.status, sorted((k, v) for k, v in response.getheaders() if k not in ("date", "content-length", "request-id"))]
        seen.append(response.getheader("request-id") is not None)
        while piece := response.read1(1 << 16):
            seen.append(piece)
    except (OSError, http.client.HTTPException) as error:
        seen.append(type(error).__name__.encode())
    finally:
        connection.close()
    head, pieces = [x for x in seen if not isinstance(x, bytes)], [x for x in seen if isinstance(x, bytes)]
    text = compare.steady(b"".join(pieces).decode("utf-8", "backslashreplace"))
    return repr(head) + re.sub(r'"signature":"[^"]{20,}"', '"signature":"*"', text)


def answers(order):
    """Returns the responses by kind: complete, streamed, ended by a stop sequence, rejected."""
    ask = {"model": order["model"], "max_tokens": 2000, "messages": [{"role": "user", "content": "Say hello in one word."}]}
    out = {"whole": [], "stream": [], "stop": [], "refused": []}
    for more in KINDS.values():
        out["whole"].append(answer(order["base"], order["key"], ask | more))
        out["stream"].append(answer(order["base"], order["key"], ask | more | {"stream": True}))
    for more in ({}, {"stream": True}):
        out["stop"].append(answer(order["base"], order["key"], ask | {"stop_sequences": STOP} | more))
    out["refused"].append(answer(order["base"], order["key"], ask | {"model": "no-such-model"}))
    out["refused"].append(answer(order["base"], order["key"], ask | {"max_tokens": -1}))
    out["refused"].append(answer(order["busy"], order["key"], ask))
    return out


def reached(clean, got):
    """Returns the kinds of responses that a fault changed; `stop` only if no other kind changed."""
    kinds = [kind for kind in clean if clean[kind] != got[kind]]
    return [kind for kind in kinds if kind != "stop"] or kinds
