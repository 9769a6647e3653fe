// Calls of the server's API, and its errors in plain words.

/** An error to be shown: `message` in plain words, `detail` as the server says it. */
export class Failure extends Error {
  constructor(message, detail = "") {
    super(message);
    this.detail = detail;
  }
}

const UNREACHABLE = "The server does not answer. Is textrnn serve still running?";
const BROKEN = "The connection broke off before the answer was complete.";

/** The response to a request; a POST if there is a body. Throws a `Failure`, or an AbortError. */
export async function ask(path, { body, signal } = {}) {
  const post = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await shown(fetch(path, { ...(body && post), signal }), UNREACHABLE);
  if (response.ok) return response;
  const detail = await response.json().then((answer) => answer.error, () => "");
  throw new Failure(inWords(response), detail);
}

/** The rows of a signature's answer: `predictions`, one for each of the instances. */
export async function predict(model, signature, instances, signal) {
  const body = { signature_name: signature, instances };
  const response = await ask(`${model}:predict`, { body, signal });
  return (await shown(response.json(), BROKEN)).predictions;
}

/** The events of a text that is generated: `text`, `tokens` so far, and at last a `finish_reason`. */
export async function* stream(model, body, signal) {
  const response = await ask(`${model}:stream`, { body, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await shown(reader.read(), BROKEN);
    if (done) throw new Failure(BROKEN);
    const events = (buffer + value).split("\n\n");
    buffer = events.pop();
    for (const line of events) {
      const event = JSON.parse(line.slice("data: ".length));
      if (event.error) throw new Failure("The model failed while it generated the text.", event.error);
      yield event;
      if (event.finish_reason) return;
    }
  }
}

/** What a promise gives; what it throws becomes a `Failure`, unless the person stopped it. */
async function shown(promise, message) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Failure(message);
  }
}

function inWords({ status, headers }) {
  const seconds = headers.get("Retry-After");
  switch (status) {
    case 400: return "The server cannot answer this request.";
    case 404: return "This model is no longer loaded. Choose another one.";
    case 408: return "The request took too long to arrive. Try again.";
    case 413: return "The text is longer than the server takes. Give a shorter one.";
    case 429:
    case 503: return `The server is busy. Try again${seconds ? ` in ${seconds} s` : " later"}.`;
    case 504: return "The model took too long. Give a shorter text.";
    default: return `The server failed with status ${status}.`;
  }
}
