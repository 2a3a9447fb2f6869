"""Drives Claude Code in print mode: a process per scenario, $CLAUDE its binary, $CLAUDE_HOME a folder of its own.

Speaks as driver.py does. It reaches the server through a relay on loopback that counts its requests, since it asks again
where an answer does not please it; every other address leads to a proxy that is not there.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.parse

HOME = pathlib.Path(os.environ["CLAUDE_HOME"])
WORK = HOME / "work"
NOTE = WORK / "note.txt"
NOWHERE = "http://127.0.0.1:9"


class Relay:
    """Hands bytes on, both ways as they come, and counts the requests for messages among them."""

    def __init__(self, base):
        url = urllib.parse.urlparse(base)
        self.upstream = (url.hostname, url.port)
        self.requests = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.upstream)
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, sink, counting):
        try:
            while data := source.recv(1 << 16):
                # A request begins a piece: each waits for the answer before it.
                self.requests += counting and data.startswith(b"POST /v1/messages?")
                sink.sendall(data)
        except OSError:
            pass
        for end, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
            try:
                end.shutdown(how)
            except OSError:
                pass


def claude(order, base, prompt, *options, model=None, **more):
    """One run, as a program would read it."""
    relay = Relay(base)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(HOME), "CI": "1", "TERM": "dumb",
        "ANTHROPIC_BASE_URL": relay.base, "ANTHROPIC_AUTH_TOKEN": order["key"], "ANTHROPIC_SMALL_FAST_MODEL": order["model"],
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1", "CLAUDE_CODE_MAX_RETRIES": "1", "API_TIMEOUT_MS": str(1500 * order["wait"]),
        "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1", **more,
    }
    command = [os.environ["CLAUDE"], "-p", prompt, "--output-format", "json", "--model", model or order["model"], "--tools", "Read", *options]
    try:
        done = subprocess.run(
            command, cwd=WORK, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=12 * order["wait"], check=False
        )
    except subprocess.TimeoutExpired:
        return {"hangs": True}
    finally:
        relay.listener.close()
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return {"error": {"class": f"exit {done.returncode}", "line": (done.stdout or done.stderr).strip()[:200]}}
    if said.get("is_error") or done.returncode:
        lines = str(said.get("result")).splitlines() or [""]
        return {"error": {"class": f"exit {done.returncode}", "line": lines[0][:200], "status": said.get("api_error_status"), "requests": relay.requests}}
    usage = said.get("usage", {})
    # How many there are varies with the folder and the day.
    prompt_tokens = any(usage.get(key) for key in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"))
    return {"value": {
        "text": said.get("result"), "stop_reason": said.get("stop_reason"), "turns": said.get("num_turns"), "requests": relay.requests,
        "counts": {"input": prompt_tokens, "output": bool(usage.get("output_tokens"))},
    }}


HELLO = "Say hello in one word."
# Each with the kind of answer that it is about: a process takes its time, and is not started for what no fault changed.
SCENARIOS = {
    "stream": ("stream", lambda order: claude(order, order["base"], HELLO)),
    "agent": ("stream", lambda order: claude(order, order["base"], f"Call the tool Read with the file_path: {NOTE}", "--max-turns", "3")),
    "refused": ("refused", lambda order: claude(order, order["base"], HELLO, ANTHROPIC_CUSTOM_HEADERS="anthropic-version: 1999-01-01")),
    "unknown_model": ("refused", lambda order: claude(order, order["base"], HELLO, model="no-such-model")),
    "busy": ("refused", lambda order: claude(order, order["busy"], HELLO)),
}


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    NOTE.write_text("The word is heliotrope.\n")
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps({name: run(order) for name, (kind, run) in SCENARIOS.items() if kind in order["reached"]}), flush=True)


main()
