// Runs the official TypeScript SDK (argument `sdk`) or the AI SDK (`ai-sdk`) from $CLIENTS_JS.
//
// Reads one JSON object per line: {"base": URL, "busy": URL, "key": KEY, "model": MODEL, "wait":
// SECONDS, "reached": [KIND]}. Prints one line per object: the results of the scenarios of these
// kinds. It does not compare results. The scenarios are those of driver.py.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.CLIENTS_JS}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const TOOL = { name: "weather", description: "The weather of a city", input_schema: SCHEMA };
const HELLO = { role: "user", content: "Say hello in one word." };
const CITY = { role: "user", content: "What is the weather in Bern?" };
const STOP = [" message"];
const ONCE_MORE = { role: "user", content: "And once more." };
const FORCED = { tools: [TOOL], tool_choice: { type: "tool", name: "weather" } };
const THINKING = { thinking: { type: "enabled", budget_tokens: 1024 } };
// Scenarios by kind of response. Only the kinds that a fault changes need to run.
const SCENARIOS = {
  whole: ["whole", "tool", "thinking", "turn_text", "turn_tool", "turn_thinking"],
  stream: ["stream", "stream_text", "stream_tool", "stream_thinking", "events"],
  stop: ["stop", "stream_stop"],
  refused: ["refused", "refused_stream", "unknown_model", "busy"],
};
// Hide notices about models and defaults.
console.warn = console.error = () => {};
process.env.AI_SDK_LOG_WARNINGS = "false";
globalThis.AI_SDK_LOG_WARNINGS = false;
// An abandoned stream rejects promises that nothing awaits.
process.on("unhandledRejection", () => {});

class InUse extends Error {}

// Uses a message like most programs: reads its text, its calls and its tokens.
function plain(message) {
  try {
    message.content.filter((b) => b.type === "text").map((b) => b.text.length);
    message.content.filter((b) => b.type === "tool_use").map((b) => [b.name, Object.keys(b.input)]);
    void (message.usage.input_tokens + message.usage.output_tokens);
  } catch (error) {
    throw new InUse(`${error.constructor.name}: ${error.message}`);
  }
  return JSON.parse(JSON.stringify(message));
}

async function sdk({ base, busy, key, model, wait }) {
  const { default: Anthropic } = await load("@anthropic-ai/sdk");
  const options = { authToken: key, apiKey: null, timeout: 1000 * wait, logLevel: "off" };
  const client = new Anthropic({ ...options, baseURL: base, maxRetries: 0 });
  const patient = new Anthropic({ ...options, baseURL: busy, maxRetries: 1 });
  const ask = (message = HELLO, more = {}) => ({ model, max_tokens: 2000, messages: [message], ...more });
  const create = async (request) => plain(await client.messages.create(request));
  const streamed = async (request) => plain(await client.messages.stream(request).finalMessage());
  const turn = async (message, more = {}, answers = false) => {
    const answer = await client.messages.create(ask(message, more));
    const calls = answers ? answer.content.filter((b) => b.type === "tool_use") : [];
    const results = calls.map((b) => ({ type: "tool_result", tool_use_id: b.id, content: "Rain." }));
    const follow = answers ? { role: "user", content: [...results, { type: "text", text: "Thank you." }] } : ONCE_MORE;
    return create({ ...ask(message, more), messages: [message, { role: "assistant", content: answer.content }, follow] });
  };
  return {
    whole: () => create(ask()),
    tool: () => create(ask(CITY, FORCED)),
    thinking: () => create(ask(HELLO, THINKING)),
    stream: () => streamed(ask()),
    stream_text: async () => {
      let text = "";
      const stream = client.messages.stream(ask());
      stream.on("text", (piece) => (text += piece));
      await stream.done();
      return { text };
    },
    stream_tool: () => streamed(ask(CITY, FORCED)),
    stream_thinking: () => streamed(ask(HELLO, THINKING)),
    events: async () => {
      const events = [];
      for await (const event of await client.messages.create(ask(HELLO, { stream: true }))) events.push(event);
      return events;
    },
    turn_text: () => turn(HELLO),
    turn_tool: () => turn(CITY, FORCED, true),
    turn_thinking: () => turn(HELLO, THINKING),
    stop: () => create(ask(HELLO, { stop_sequences: STOP })),
    stream_stop: () => streamed(ask(HELLO, { stop_sequences: STOP })),
    refused: () => create(ask(HELLO, { max_tokens: -1 })),
    unknown_model: () => create({ ...ask(), model: "no-such-model" }),
    refused_stream: () => streamed(ask(HELLO, { max_tokens: -1 })),
    busy: async () => plain(await patient.messages.create(ask())),
  };
}

async function aiSdk({ base, busy, key, model, wait }) {
  const { createAnthropic } = await load("@ai-sdk/anthropic");
  const ai = await load("ai");
  const at = (url) => createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
  const tools = { weather: ai.tool({ description: TOOL.description, inputSchema: ai.jsonSchema(SCHEMA), execute: async () => "Rain." }) };
  const forced = { tools, toolChoice: { type: "tool", toolName: "weather" }, messages: [CITY] };
  const thinking = { providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } } };
  const ask = (more = {}) => ({
    model: at(base)(model), maxOutputTokens: 2000, maxRetries: 0, abortSignal: AbortSignal.timeout(1000 * wait), messages: [HELLO], ...more,
  });
  // The content of every step; the final text would hide it.
  const shown = (content, text, reason, usage) => ({
    content: content.map((part) => {
      const { type, text: words, toolName, toolCallId, input, output, invalid, error } = part;
      return { type, text: words, name: toolName, id: toolCallId, input, output, invalid, error: error && String(error) };
    }),
    text, stop_reason: reason, usage: { input_tokens: usage.inputTokens, output_tokens: usage.outputTokens },
  });
  const create = async (request) => {
    const result = await ai.generateText(request);
    const content = result.steps.flatMap((step) => step.content);
    return JSON.parse(JSON.stringify(shown(content, result.text, result.finishReason, result.totalUsage)));
  };
  const streamed = async (request) => {
    const result = ai.streamText({ ...request, onError: () => {} });
    const types = [];
    for await (const part of result.fullStream) {
      if (part.type === "error") throw part.error;
      if (part.type === "abort") throw Object.assign(new Error("time-out"), { name: "TimeoutError" });
      if (types.at(-1) !== part.type) types.push(part.type);
    }
    const content = (await result.steps).flatMap((step) => step.content);
    return JSON.parse(JSON.stringify(shown(content, await result.text, await result.finishReason, await result.totalUsage)));
  };
  const turn = async (request) => {
    const first = await ai.generateText(request);
    return create({ ...request, messages: [...request.messages, ...first.response.messages, ONCE_MORE] });
  };
  return {
    whole: () => create(ask()),
    tool: () => create(ask(forced)),
    thinking: () => create(ask(thinking)),
    stream: () => streamed(ask()),
    stream_text: async () => {
      let text = "";
      const result = ai.streamText({ ...ask(), onError: () => {} });
      for await (const piece of result.textStream) text += piece;
      return { text };
    },
    stream_tool: () => streamed(ask(forced)),
    stream_thinking: () => streamed(ask(thinking)),
    turn_text: () => turn(ask()),
    // The tool is run and its result sent back by the library itself.
    turn_tool: () => create(ask({ ...forced, stopWhen: ai.stepCountIs(2) })),
    turn_thinking: () => turn(ask(thinking)),
    stop: () => create(ask({ stopSequences: STOP })),
    stream_stop: () => streamed(ask({ stopSequences: STOP })),
    refused: () => create(ask({ maxOutputTokens: 2000, model: at(base)(model), headers: { "anthropic-version": "1999-01-01" } })),
    unknown_model: () => create(ask({ model: at(base)("no-such-model") })),
    refused_stream: () => streamed(ask({ model: at(base)("no-such-model") })),
    busy: () => create(ask({ model: at(busy)(model), maxRetries: 1 })),
  };
}

// Returns the data that a program can read from an exception.
function errorShape(error) {
  const cause = error?.lastError ?? error;
  const shape = { class: error?.constructor?.name ?? typeof error, line: String(error?.message ?? error).split("\n")[0] };
  const body = cause?.error ?? cause?.data;
  const status = cause?.status ?? cause?.statusCode;
  if (status !== undefined) {
    shape.status = status;
    shape.type = body?.error?.type ?? null;
    shape.message = body?.error?.message ?? null;
    shape.request_id = Boolean(cause.requestID ?? cause.responseHeaders?.["request-id"]);
  }
  return shape;
}

async function outcome(run, wait) {
  let timer;
  const late = new Promise((done) => (timer = setTimeout(() => done({ hangs: true }), 3000 * wait)));
  const result = Promise.resolve()
    .then(run)
    .then(
      (value) => ({ value }),
      (error) => (/time-?out/i.test(`${error?.name} ${error?.constructor?.name}`) ? { hangs: true } : { error: errorShape(error) }),
    );
  const first = await Promise.race([result, late]);
  clearTimeout(timer);
  return first;
}

const make = { sdk, "ai-sdk": aiSdk }[process.argv[2]];
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  const scenarios = await make(order);
  const outcomes = {};
  for (const name of order.reached.flatMap((kind) => SCENARIOS[kind])) if (scenarios[name]) outcomes[name] = await outcome(scenarios[name], order.wait);
  process.stdout.write(`${JSON.stringify(outcomes)}\n`);
}
