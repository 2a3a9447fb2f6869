"""What a server's answers look like without any client: tells whether a fault could reach a client at all."""

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
    """Status, headers and body of one answer, without what is another each time."""
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
    """The answers of each kind: whole, streamed, ended by a stop sequence, refused."""
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
    """The kinds of answers that a fault changed; stop sequences only where it is about nothing else."""
    kinds = [kind for kind in clean if clean[kind] != got[kind]]
    return [kind for kind in kinds if kind != "stop"] or kinds
