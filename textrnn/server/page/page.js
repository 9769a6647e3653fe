// The page of `textrnn serve`.

import { Failure, ask, predict, stream } from "./api.js";
import { choices, element, piecesOf, showPieces } from "./tokens.js";

const TASKS = { generate: "advance", classify: "explain", translate: "translate" }; // the signatures they need
const SECONDS_BETWEEN_LOOKS = 5;
const panel = (name) => document.getElementById(`panel-${name}`);

// === Tabs ===

const tabs = [...document.querySelectorAll("[role=tab]")];
const nameOf = (tab) => tab.id.replace("tab-", "");

function open(name) {
  for (const tab of tabs) {
    const chosen = nameOf(tab) === name;
    tab.ariaSelected = chosen;
    tab.tabIndex = chosen ? 0 : -1;
    panel(nameOf(tab)).hidden = !chosen;
  }
}

tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => {
    history.replaceState(null, "", `#${nameOf(tab)}`);
    open(nameOf(tab));
  });
  tab.addEventListener("keydown", (event) => {
    const last = tabs.length - 1;
    const next = {
      ArrowRight: index === last ? 0 : index + 1, ArrowLeft: index ? index - 1 : last, Home: 0, End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    tabs[next].focus();
    tabs[next].click();
  });
});

const asked = () => tabs.map(nameOf).find((name) => `#${name}` === location.hash);
addEventListener("hashchange", () => asked() && open(asked()));

// === Models ===

let known = "";

async function look() {
  const connection = document.getElementById("connection");
  try {
    const found = await (await ask("v1/models")).text();
    connection.hidden = true;
    if (found !== known) showModels(JSON.parse(found).data);
    known = found;
  } catch (error) {
    connection.textContent = error.message;
    connection.hidden = false;
  }
}

function showModels(models) {
  const first = Object.keys(TASKS).find((name) => optionsOf(models, TASKS[name]).length);
  for (const [name, signature] of Object.entries(TASKS)) {
    const options = optionsOf(models, signature);
    const select = panel(name).querySelector("select");
    const chosen = select.value;
    select.replaceChildren(...options.map(([path, text]) => element("option", { value: path }, text)));
    if (options.some(([path]) => path === chosen)) select.value = chosen;
    showOneOf(panel(name), options.length > 0);
  }
  const rows = models.flatMap(rowsOf);
  panel("models").querySelector("tbody").replaceChildren(...rows);
  showOneOf(panel("models"), rows.length > 0);
  if (!known) open(asked() ?? first ?? "models");
}

function showOneOf(section, some) {
  section.querySelector(".empty").hidden = some;
  section.querySelector("form, .scroll").hidden = !some;
}

/** Pairs of a path and a text: the newest version of each model, and others that are loaded. */
function optionsOf(models, signature) {
  return models.flatMap(({ id, versions }) => {
    const path = `v1/models/${encodeURIComponent(id)}`;
    return versions
      .filter(({ state }) => state === "AVAILABLE")
      .map((version, index) => ({ ...version, path: index ? `${path}/versions/${version.version}` : path }))
      .filter(({ signatures }) => signatures.includes(signature))
      .map((version) => [version.path, `${id}, version ${version.version}`]);
  });
}

function rowsOf({ id, versions }) {
  return versions.map(({ version, state, status, signatures }) => {
    const failed = status.error_message;
    const words = { AVAILABLE: "ready", START: "waiting", LOADING: "loading", UNLOADING: "unloading", END: "unloaded" };
    return element("tr", {},
      element("th", { scope: "row" }, id),
      element("td", { "data-name": "version" }, version),
      element("td", { class: failed ? "failed" : state.toLowerCase() },
        failed ? `cannot be loaded: ${failed}` : words[state]),
      element("td", { class: "signatures" }, signatures.join(", ")));
  });
}

async function lookAgain() {
  if (!document.hidden) await look();
  setTimeout(lookAgain, 1000 * SECONDS_BETWEEN_LOOKS);
}

// === Tasks ===

/** Run `work(form, model, signal)` when a form is sent. A new run ends the one before. */
function onRun(name, work) {
  const section = panel(name), form = section.querySelector("form");
  const [error, note] = [form.querySelector(".error"), form.querySelector(".note")];
  let running = null;
  const stop = () => running?.abort();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    stop();
    const own = (running = new AbortController());
    error.hidden = true;
    note.textContent = "";
    form.classList.add("running");
    let end = "", failed = null;
    try {
      check(form);
      end = await work(form, form.elements.model.value, own.signal);
    } catch (found) {
      if (own.signal.aborted) end = "Stopped.";
      else failed = found;
    }
    if (running !== own) return; // a later run has the place
    running = null;
    form.classList.remove("running");
    form.dispatchEvent(new Event("ended"));
    note.textContent = end ?? "";
    if (failed) {
      showError(error, failed);
      look();
    }
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    if (event.key === "Escape") stop();
  });
  return { form, stop };
}

function showError(place, error) {
  if (!(error instanceof Failure)) console.error(error);
  const message = error instanceof Failure ? error.message : "The page failed. Load it again.";
  place.replaceChildren(element("strong", {}, message));
  if (error.detail) place.append(" ", element("span", {}, error.detail));
  place.hidden = false;
}

/** Check the numbers of a form. Throws a `Failure` that names the first wrong one. */
function check(form) {
  const numbers = [...form.querySelectorAll("input[type=number]")];
  for (const input of numbers) input.ariaInvalid = !input.checkValidity();
  const wrong = numbers.find((input) => !input.checkValidity());
  if (!wrong) return;
  wrong.closest("details")?.setAttribute("open", "");
  wrong.focus();
  const { min, max, step } = wrong;
  const kind = step === "1" ? "a whole number" : "a number";
  throw new Failure(`${wrong.labels[0].textContent}: give ${kind} ${max ? `from ${min} to ${max}` : `of at least ${min}`}.`);
}

/** The numbers of a form that are given. */
function numbersOf(form) {
  const given = [...form.querySelectorAll("input[type=number]")].filter((input) => input.value);
  return Object.fromEntries(given.map((input) => [input.name, input.valueAsNumber]));
}

function textOf(form) {
  const text = form.elements.text.value;
  if (text.trim()) return text;
  form.elements.text.focus();
  throw new Failure("Give a text first.");
}

const percent = (share) => `${Math.round(100 * share)} %`;

// === Generate ===

if (matchMedia("(max-width: 46rem)").matches) document.querySelector(".sampling").open = false;

const generating = onRun("generate", async (form, model, signal) => {
  const body = { text: form.elements.text.value, seed: Math.floor(1e6 * Math.random()), ...numbersOf(form) };
  const story = form.querySelector(".story"), made = story.querySelector(".made");
  story.querySelector(".given").textContent = body.text;
  made.textContent = "";
  story.hidden = false;
  story.scrollIntoView({ block: "nearest" });
  story.ariaBusy = true; // a screen reader reads the text when it is complete
  stopButton.hidden = false;
  const start = performance.now();
  let tokens = 0;
  const summary = (end) => {
    const seconds = Math.max((performance.now() - start) / 1000, 0.001);
    return `${end} ${tokens} tokens in ${seconds.toFixed(1)} s, seed ${body.seed}.`;
  };
  try {
    for await (const event of stream(model, body, signal)) {
      made.append(event.text);
      tokens = event.tokens;
      if (event.finish_reason) {
        return summary(event.finish_reason === "stop" ? "The text has ended." : "The length is reached.");
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return summary("Stopped.");
  } finally {
    made.normalize();
  }
});

const stopButton = generating.form.querySelector(".stop");
stopButton.addEventListener("click", generating.stop);
generating.form.addEventListener("ended", () => {
  generating.form.querySelector(".story").ariaBusy = false;
  const focused = document.activeElement === stopButton;
  stopButton.hidden = true;
  if (focused) generating.form.querySelector(".primary").focus();
});

// === Classify ===

onRun("classify", async (form, model, signal) => {
  const text = textOf(form);
  const [[explained], [classified]] = await Promise.all(
    ["explain", "serving_default"].map((signature) => predict(model, signature, [text], signal)),
  );
  const answer = form.querySelector(".answer");
  showClasses(answer.querySelector(".classes"), classified);
  showWords(answer, explained, text);
  answer.hidden = false;
  return warningsOf(classified).join(" ");
});

const MOST_CLASSES = 5;
const FAINT = 0.05; // words with less of the largest weight are not marked

function showClasses(list, { labels, scores }) {
  const classes = labels.map((label, index) => ({ label, score: scores[index] })).sort((a, b) => b.score - a.score);
  list.replaceChildren(...classes.slice(0, MOST_CLASSES).map(({ label, score }) => {
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", score);
    return element("li", {}, element("span", { class: "name", dir: "auto" }, label), " ",
      element("span", { class: "share" }, percent(score)), bar);
  }));
}

const signed = (weight) => `${weight < 0 ? "−" : "+"}${Math.abs(weight).toFixed(2)}`;

function showWords(answer, { label, words, weights, attention }, text) {
  const detail = answer.querySelector(".detail"), pieces = [];
  words.forEach((word, index) => {
    if (word) pieces.push({ text: word, weight: weights[index], share: attention?.[index] });
  });
  const most = Math.max(...pieces.map(({ weight }) => Math.abs(weight)), 1e-9);
  const items = showPieces(answer.querySelector(".words"), pieces, text);
  items.forEach((item, index) => {
    const { weight } = pieces[index], depth = Math.abs(weight) / most;
    item.classList.add("mark");
    if (depth > FAINT) item.classList.add(weight > 0 ? "for" : "against");
    item.style.setProperty("--weight", depth.toFixed(3));
  });
  const hint = "Point at a word, or move through them with the arrow keys, to see its weight.";
  choices(items, (index) => {
    const { text: word, weight, share } = pieces[index] ?? {};
    detail.textContent = word === undefined ? hint
      : `“${word}” adds ${signed(weight)} to the log-odds of ${label}`
        + `${share === undefined ? "" : ` and gets ${percent(share)} of the attention`}.`;
  });
  detail.textContent = hint;
  answer.querySelector(".label").textContent = label;
  const strongest = pieces.filter(({ weight }) => Math.abs(weight) > FAINT * most).sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, 8);
  answer.querySelector(".strongest").replaceChildren(...strongest.map(({ text: word, weight }) =>
    element("li", {}, element("span", { class: `mark ${weight > 0 ? "for" : "against"}`, dir: "auto" }, word), " ", signed(weight))));
}

// === Translate ===

const MOST_ATTENDED = 1000; // characters of a text: the size of the attention grows with their square

onRun("translate", async (form, model, signal) => {
  const text = textOf(form);
  if (text.length > MOST_ATTENDED) return await translateLong(form, model, text, signal);
  const instance = { text, num_beams: -1, length_penalty: -1, max_new_tokens: -1, ...numbersOf(form) };
  const [found] = await predict(model, "translate", [instance], signal);
  const answer = form.querySelector(".answer"), others = form.querySelector(".others");
  const texts = found.text.filter((one, index) => index === 0 || one);
  const items = texts.map((one, index) => element("li", {},
    element("span", { dir: "auto" }, one), " ", element("span", { class: "share" }, found.scores[index].toFixed(2).replace("-", "−"))));
  others.querySelector("ol").replaceChildren(...items);
  others.hidden = texts.length < 2;
  choices(items, (index) => showAttention(answer, found, index, text)).select(0);
  showAttention(answer, found, 0, text);
  answer.hidden = false;
  return warningsOf(found).join(" ");
});

async function translateLong(form, model, text, signal) {
  const [found] = await predict(model, "serving_default", [text], signal);
  const answer = form.querySelector(".answer");
  for (const [place, whole] of [[".target", found], [".source", text]])
    showPieces(answer.querySelector(place), [{ text: whole }], whole);
  answer.querySelector(".detail").textContent = "";
  answer.querySelector(".others").hidden = true;
  answer.hidden = false;
  const most = MOST_ATTENDED.toLocaleString("en");
  return `A text of more than ${most} characters is translated with the model’s own settings, without its attention.`;
}

function warningsOf({ truncated, unfamiliar, unfinished }) {
  return [
    truncated && "The text is longer than the model reads: its end was ignored.",
    unfamiliar && "The text is unlike those the model was trained on: the answer may be meaningless.",
    unfinished?.[0] && "The translation reached its maximum length and is cut off.",
  ].filter(Boolean);
}

/** Show a candidate and the text. Pointing at a token of one side shades what belongs to it on the other. */
function showAttention(answer, found, candidate, text) {
  const detail = answer.querySelector(".detail");
  const sides = [
    [".target", found.tokens[candidate], found.text[candidate]],
    [".source", found.source_tokens, text],
  ].map(([place, tokens, whole]) => {
    const pieces = piecesOf(tokens);
    return { pieces, items: showPieces(answer.querySelector(place), pieces, whole) };
  });
  const [target, source] = sides;
  const weights = target.pieces.map(({ indices }) => source.pieces.map((piece) => {
    const all = indices.flatMap((row) => piece.indices.map((column) => found.attention[candidate][row][column]));
    return all.reduce((sum, one) => sum + one, 0) / indices.length;
  }));
  const hint = "Point at a token, or move through them with the arrow keys, to see the attention.";
  const light = (own, index) => {
    const shares = index < 0 ? [] : own ? weights.map((row) => row[index]) : weights[index];
    sides[own].items.forEach((item, at) => {
      item.classList.toggle("here", at === index);
      item.style.removeProperty("--weight");
    });
    sides[1 - own].items.forEach((item, at) => {
      item.classList.remove("here");
      item.style.setProperty("--weight", Math.sqrt(shares[at] ?? 0).toFixed(3)); // small ones are visible, too
    });
    detail.textContent = index < 0 ? hint : attended(sides[own].items[index], sides[1 - own].items, shares, own);
  };
  const lists = sides.map((side, own) => choices(
    side.items,
    (index) => (index < 0 ? light(1 - own, lists[1 - own].chosen) : light(own, index)),
    () => lists[1 - own].select(-1),
  ));
  detail.textContent = hint;
}

function attended(item, others, shares, backwards) {
  const most = shares.map((share, index) => [share, others[index].textContent])
    .filter(([share]) => share >= 0.05).sort(([a], [b]) => b - a).slice(0, 4)
    .map(([share, word]) => `“${word}” ${percent(share)}`).join(", ") || "no token in particular";
  return `“${item.textContent}” ${backwards ? "is attended to by" : "attends to"} ${most}.`;
}

lookAgain();
