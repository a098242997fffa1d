// What OpenAI's client sees of the gateway: `node sdk.mjs FOLDER URLS`. The client is in FOLDER;
// URLS is JSON: an `open` gateway, a `slow` one that answers one at a time, and one with `keys`.
// All of it is told as JSON on the standard output.
import { createRequire } from "node:module";

const [folder, urls] = process.argv.slice(2);
const OpenAI = createRequire(`${folder}/`)("openai");
const { open, slow, keys } = JSON.parse(urls);
const messages = [{ role: "user", content: "Say hello" }];

const clientOf = (url, more) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0, ...more });
const client = clientOf(open);
const ask = (more, of = client) => of.chat.completions.create({ model: "model", messages, ...more });

async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

async function failure(action) {
  try {
    await action();
  } catch (error) {
    const { status, code, param, type, message, headers } = error;
    const retryAfter = headers?.get("retry-after");
    return { name: error.constructor.name, status, code, param, type, message, retryAfter };
  }
  return null;
}

const look = {
  type: "function",
  function: { name: "look", parameters: { type: "object", properties: { q: { type: "string" } } } },
};
const schema = { type: "object", properties: {}, additionalProperties: false };
const response_format = { type: "json_schema", json_schema: { name: "none", strict: true, schema } };

async function helped() {
  const runner = client.chat.completions.stream({ model: "model", messages, n: 2 });
  const { choices } = await runner.finalChatCompletion();
  return choices.map((choice) => choice.message.content);
}

async function rated(of) {
  const { data, response } = await ask({}, of).withResponse();
  const names = ["adapter", "completion", "feedback"];
  const headers = Object.fromEntries(names.map((n) => [n, response.headers.get(`x-thumbwheel-${n}`)]));
  const told = await fetch(`${open}/v1/feedback`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ thumb: "up", token: headers.feedback }),
  });
  return { id: data.id, token: data.feedback_token, headers, status: told.status };
}

// The slow gateway answers one at a time: while a stream lasts, it turns all others away.
async function busy() {
  const stream = await ask({ stream: true }, clientOf(slow));
  const first = await failure(() => ask({}, clientOf(slow)));
  const seen = [];
  const watching = async (...args) => {
    const response = await fetch(...args);
    seen.push({ status: response.status, at: Date.now() });
    return response;
  };
  const patient = ask({}, clientOf(slow, { maxRetries: 5, fetch: watching }));
  await all(stream);
  const said = (await patient).choices[0].message.content;
  const pauses = seen.slice(1).map(({ at }, i) => at - seen[i].at);
  return { first, said, statuses: seen.map(({ status }) => status), pauses };
}

async function aborted() {
  const words = [];
  const stream = await ask({ stream: true, user: "who stops" }, clientOf(slow));
  for await (const part of stream) {
    words.push(part.choices[0].delta.content);
    if (words.length === 2) stream.controller.abort();
  }
  return words;
}

async function given_up() {
  const signal = AbortSignal.timeout(50);
  const { chat } = clientOf(slow, { maxRetries: 5 });
  return failure(() => chat.completions.create({ model: "model", messages }, { signal }));
}

const text = { model: "model", prompt: "Say hello" };
const said = {
  whole: await ask({ user: "ann", stop: ["\n"], seed: 7 }),
  streamed: await all(await ask({ stream: true })),
  usage: await all(await ask({ stream: true, stream_options: { include_usage: true } })),
  two: await ask({ n: 2 }),
  helped: await helped(),
  tools: await ask({ tools: [look], tool_choice: "auto" }),
  formed: await ask({ response_format }),
  logprobs: await ask({ logprobs: true, top_logprobs: 2 }),
  models: await all(client.models.list()),
  text: await client.completions.create(text),
  text_streamed: await all(await client.completions.create({ ...text, stream: true })),
  unknown: await failure(() => ask({ model: "gpt-9" })),
  malformed: await failure(() => ask({ messages: "hi" })),
  wrong_key: await failure(() => ask({}, clientOf(keys))),
  right_key: await ask({}, clientOf(keys, { apiKey: "key-of-shop" })),
  rated: await rated(client),
  busy: await busy(),
  aborted: await aborted(),
  given_up: await given_up(),
};
console.log(JSON.stringify(said));
