#!/usr/bin/env python3
"""Writes the fuzz corpus, except files that begin with `find-`: responses of the simulator without
faults and with each fault, rows of the case files, bodies with a secret, and JSON texts.

Run it from the root of the repository after `cargo build`. Then run
`cargo test --test it fuzz_corpus::`.
"""

import base64
import http.client
import json
import pathlib
import re
import subprocess

BINARY = "target/debug/fieldtest"
CORPUS = pathlib.Path("fuzz/corpus")
KEY = {"x-api-key": "fieldtest-simulator", "anthropic-version": "2023-06-01", "content-type": "application/json"}

HELLO = {"model": "claude-sonnet-4-5", "max_tokens": 1200, "messages": [{"role": "user", "content": "Say hello in one word."}]}
TOOL = {"name": "weather", "description": "The weather in a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
CALL = {**HELLO, "tools": [TOOL], "tool_choice": {"type": "tool", "name": "weather"}}
THINK = {**HELLO, "thinking": {"type": "enabled", "budget_tokens": 1024}}
REQUESTS = {
    "text": {**HELLO, "stream": True},
    "thinking": {**THINK, "stream": True},
    "call": {**CALL, "stream": True},
    "plain": HELLO,
    "plain-call": CALL,
    "plain-thinking": THINK,
    "refused": {**HELLO, "max_tokens": -1},
}


def read_responses(fault=None):
    """Yields the response to each request in the format of the corpus: status, headers, body."""
    command = [BINARY, "simulate", "anthropic", "--port", "0"] + (["--fault", fault] if fault else [])
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port = None
        while port is None:
            line = server.stdout.readline()
            assert line, f"{command} does not print its port"
            port = re.search(r"127\.0\.0\.1:(\d+)", line)
        for name, body in REQUESTS.items():
            connection = http.client.HTTPConnection("127.0.0.1", int(port[1]))
            connection.request("POST", "/v1/messages", json.dumps(body), KEY)
            response = connection.getresponse()
            cut = ""
            try:
                content = response.read()
            except http.client.IncompleteRead as error:
                content, cut = error.partial, " cut"
            headers = [(k.lower(), v) for k, v in response.getheaders() if k.lower() not in ("date", "transfer-encoding", "content-length")]
            mode = "" if body.get("stream") else " unasked"
            head = "".join(f"{k}: {v}\n" for k, v in headers)
            yield name, f"{response.status}{cut}{mode}\n{head}\n".encode(), content
    finally:
        server.terminate()
        server.wait()


def list_faults():
    output = subprocess.run([BINARY, "simulate", "--list-faults"], capture_output=True, text=True, check=True)
    return sorted(set(re.findall(r"\b(?:http|message|sse|usage|error|tool)\.[a-z0-9-]+", output.stdout)))


def write(target, name, content):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_redaction_seeds():
    """Writes bodies with a secret in each encoding. The property knows the secret."""
    secret = "sk-Q7w/x+Zt9=Lm3_Bv8.Kd2"

    def each(form):
        return "".join(form(ord(character)) for character in secret)

    def event(text):
        delta = {"type": "text_delta", "text": text}
        return "data: " + json.dumps({"type": "content_block_delta", "index": 0, "delta": delta}) + "\n\n"

    start = 'data: {"type":"message_start","message":{"content":[]}}\n\n' + (
        'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    )
    bodies = {
        "plain": secret,
        "json": json.dumps({"text": secret}).replace("/", "\\/"),
        "unicode": each(lambda code: f"\\u{code:04x}"),
        "nested": each(lambda code: f"\\\\u{code:04x}"),
        "url": each(lambda code: f"%25{code:02x}"),
        "html": each(lambda code: f"&#000{code}"),
        "html-names": secret.replace("/", "&sol;").replace("+", "&plus;").replace("=", "&equals;"),
        "base64": base64.b64encode(f"u:{secret}".encode()).decode(),
        "base64-lines": base64.encodebytes((secret * 3).encode()).decode(),
        "hexadecimal": each(lambda code: f"0x{code:02x}, "),
        "decimal": each(lambda code: f"{code}, "),
        "utf-16": secret.encode("utf-16-be").decode("latin-1"),
        "letters": start + "".join(map(event, secret)),
        "halves": start + event(secret[:9]) + ": ping\nstray\n" + event(secret[9:]),
        "lines": start + "".join(map(event, secret)).replace('"delta"', '\nstray\ndata: "delta"'),
        "truncated": start + "".join(map(event, secret[:17])),
    }
    for name, body in bodies.items():
        write("redaction", name, body.encode("latin-1"))


def write_json_seeds():
    texts = {
        "message": json.dumps({"content": [{"type": "text", "text": "a \"quoted\" text"}], "usage": {"n": 1e9}}),
        "wide-objects": '[{"":0}' + ',{"":0}' * 12_000 + "]",
        "wide-numbers": "[0" + ",0" * 21_000 + "]",
        "just-enough": "[0" + ",0" * 19_000 + "]",
        "deep": "[" * 200,
        "deep-enough": "[" * 120 + "]" * 120,
        "equal-keys": "{" + ",".join(['"a":[]'] * 50) + "}",
        "long-number": "[" + "9" * 400 + ",1e999,-0.0]",
        "escapes": '["\\\\","\\"","\\u0000","[{,"]',
        "page": "<p>{a, [b], c}</p>" * 40,
        "unterminated": '{"a": "\\',
    }
    for name, text in texts.items():
        write("json", name, text.encode())


def main():
    for seed in CORPUS.glob("*/*"):
        # Keep the inputs that fuzzing found.
        if not seed.name.startswith("find-"):
            seed.unlink()
    without_fault = {}
    for name, head, body in read_responses():
        without_fault[name] = head + body
        write("message", name, head + body)
        if b"text/event-stream" in head:
            write("sse", name, body)
            write("sse", name + "-crlf", b"\xef\xbb\xbf" + body.replace(b"\n", b"\r\n")[:600])
    for fault in list_faults():
        # The shortest response that shows the fault is enough.
        shown = [(head, body) for name, head, body in read_responses(fault) if head + body != without_fault[name]]
        if shown:
            head, body = min(shown, key=lambda response: len(response[1]))
            write("message", fault, head + body)
            if fault.startswith("sse.") and b"text/event-stream" in head:
                write("sse", fault, body[:1200])
    for path in sorted(pathlib.Path("cases/experiments").glob("*.yaml")):
        head, *rows = re.split(r"(?m)^(?=  - row: )", path.read_text())
        # Two rows at a time: a row may use an anchor of the row before.
        for at in range(0, len(rows), 4):
            write("cases", f"{path.stem}-{at // 4 + 1}", (head + "".join(rows[at:at + 2])).encode())
    write_redaction_seeds()
    write_json_seeds()
    for path in sorted(pathlib.Path("cases/targets").glob("*.yaml")):
        write("cases", f"target-{path.stem}", path.read_bytes())
    limits = pathlib.Path("cases/experiments/06-limits.yaml").read_text()
    target = re.split(r"(?m)^claims:", pathlib.Path("cases/targets/deepseek.yaml").read_text())[0]
    write("cases", "both", f"{limits}\n%%%\n{target}claims:\n  limits.unknown: {{ status: ignored }}\n".encode())


main()
