"""Runs Claude Code in print mode, one process per scenario. $CLAUDE is its binary, $CLAUDE_HOME its
home folder.

Uses the protocol of driver.py. A relay on loopback counts the requests, because Claude Code sends
some requests again after a response. Requests to other addresses go to a proxy that does not exist.
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
    """Forwards bytes in both directions, and counts the requests for messages."""

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
                # A request is at the start of a chunk, because the client waits for each response.
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
    """Runs one scenario, and reads its output as a program does."""
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
    # The number varies with the folder and the day.
    prompt_tokens = any(usage.get(key) for key in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"))
    return {"value": {
        "text": said.get("result"), "stop_reason": said.get("stop_reason"), "turns": said.get("num_turns"), "requests": relay.requests,
        "counts": {"input": prompt_tokens, "output": bool(usage.get("output_tokens"))},
    }}


HELLO = "Say hello in one word."
# Each scenario has its kind of response. A process is slow, so only affected scenarios run.
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
