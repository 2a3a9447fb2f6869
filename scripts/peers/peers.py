"""The peers of scripts/compare-peers: how to install each, what to give it, and how to start it.

Each peer sends the given requests, several in flight if it can, and compares each status with the
expected one. A peer is a pinned version from a package registry. A peer that cannot be installed is
reported with the reason.
"""

import json
import os
import pathlib
import subprocess
import sys
import textwrap

LAST_WORDS = 200


class Missing(Exception):
    """A peer cannot be installed; the message has the reason."""


def run(command, **more):
    """Runs one step of an installation."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode:
        told = [line.strip() for line in done.stdout.splitlines() if "error" in line.lower()] or done.stdout.splitlines()[-1:]
        raise Missing(f"`{' '.join(map(str, command[:4]))} ...` failed: {' '.join(told[:1])[:LAST_WORDS]}")


class Peer:
    """A program that sends HTTP requests. `can` is its maximum of requests in flight, or None."""

    name = version = ""
    can = None
    about = ""

    def __init__(self, home):
        self.home = home / f"{self.name.replace(' ', '-')}-{self.version}"
        self.ready = self.home / ".ready"

    def install(self):
        if not self.ready.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            try:
                self.fetch()
            except FileNotFoundError as error:
                raise Missing(f"`{error.filename}` is not installed here") from error
            self.ready.touch()

    def fetch(self):
        raise NotImplementedError

    def command(self, requests, server, folder, at_once):
        """Writes its input into the folder, and returns its command and its environment."""
        raise NotImplementedError


class FromCrates(Peer):
    def fetch(self):
        run(["cargo", "install", self.name, "--version", self.version, "--locked", "--quiet", "--root", str(self.home)])

    @property
    def binary(self):
        return str(self.home / "bin" / self.name)


class Oha(FromCrates):
    name, version = "oha", "1.16.0"
    about = "raw HTTP, the lower limit: reads no response, keeps none"

    def command(self, requests, server, folder, at_once):
        bodies = folder / "bodies.txt"
        bodies.write_text("".join(request["body"] + "\n" for request in requests))
        headers = [word for name, value in server.headers.items() for word in ("-H", f"{name}: {value}")]
        count = ["-n", str(len(requests)), "-c", str(at_once), "--no-tui", "--output-format", "quiet"]
        return [self.binary, *count, "-m", "POST", *headers, "-Z", str(bodies), f"{server.base}/v1/messages"], {}


class Hurl(FromCrates):
    name, version = "hurl", "8.0.1"
    about = "one file per request, with an assertion of its status"

    def command(self, requests, server, folder, at_once):
        files = []
        headers = "".join(f"{name}: {value}\n" for name, value in server.headers.items())
        for n, request in enumerate(requests):
            (folder / f"{n}.json").write_text(request["body"])
            file = folder / f"{n}.hurl"
            file.write_text(f"POST {server.base}/v1/messages\n{headers}file,{n}.json;\nHTTP {request['status']}\n")
            files.append(str(file))
        return [self.binary, "--test", "--jobs", str(at_once), *files], {}


class Newman(Peer):
    name, version, can = "newman", "6.2.2", 1
    about = "a collection, with a test of each status; one request at a time is its maximum"

    def fetch(self):
        run(["npm", "install", "--prefix", str(self.home), "--no-audit", "--no-fund", f"newman@{self.version}"])

    def command(self, requests, server, folder, at_once):
        def item(n, request):
            tests = [f"pm.test('status', () => pm.response.to.have.status({request['status']}));"]
            return {
                "name": str(n),
                "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": tests}}],
                "request": {
                    "method": "POST",
                    "header": [{"key": name, "value": value} for name, value in server.headers.items()],
                    "body": {"mode": "raw", "raw": request["body"]},
                    "url": f"{server.base}/v1/messages",
                },
            }

        schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
        items = [item(n, request) for n, request in enumerate(requests)]
        collection = folder / "collection.json"
        collection.write_text(json.dumps({"info": {"name": "plain", "schema": schema}, "item": items}))
        return [str(self.home / "node_modules" / ".bin" / "newman"), "run", str(collection), "--silent"], {}


class Pytest(Peer):
    name, version, can = "pytest", "9.2.0", 1
    sdk = "2.12.0"
    about = f"a parametrized test with the official SDK, anthropic {sdk}; one request at a time"

    def fetch(self):
        run([sys.executable, "-m", "venv", str(self.home / "venv")])
        packages = [f"pytest=={self.version}", f"anthropic=={self.sdk}"]
        run([str(self.home / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages])

    def command(self, requests, server, folder, at_once):
        (folder / "requests.json").write_text(json.dumps(requests))
        (folder / "test_plain.py").write_text(textwrap.dedent('''\
            import json, os, pathlib
            import anthropic, pytest

            REQUESTS = json.loads(pathlib.Path(__file__).with_name("requests.json").read_text())
            CLIENT = anthropic.Anthropic(base_url=os.environ["BASE"], api_key=os.environ["KEY"], max_retries=0, default_headers={"anthropic-version": "2023-06-01"})

            @pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
            def test_request(request_):
                try:
                    body = json.loads(request_["body"])
                    CLIENT.post("/v1/messages", cast_to=object, body=body)
                    status = 200
                except anthropic.APIStatusError as error:
                    status = error.status_code
                assert status == request_["status"]
        '''))
        python = str(self.home / "venv" / "bin" / "python")
        return [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "test_plain.py")], {"BASE": server.base, "KEY": server.key}


PEERS = [Oha, Hurl, Newman, Pytest]


def home():
    """Returns the folder for installations."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    return pathlib.Path(os.environ.get("PEERS") or root / "target" / "peers")
