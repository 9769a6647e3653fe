// Tokens and words as they stand in a text, and lists of them to move through.

/** An element with attributes and children. Strings become text, never HTML. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Show pieces of a text, such as words or tokens, as they stand in it.
 *
 * @param {Element} container where they are shown.
 * @param {{text: string}[]} pieces in the order of the text.
 * @param {string} text in which their spaces are found.
 * @returns {Element[]} an element for each piece.
 */
export function showPieces(container, pieces, text) {
  const shown = [], items = [];
  let end = 0, missed = false;
  for (const piece of pieces) {
    const special = SPECIAL.test(piece.text);
    const word = piece.text.replaceAll(SPACE, " ").trim() || piece.text.replaceAll(SPACE, " ");
    const start = special ? -1 : text.indexOf(word, end);
    const gap = start < 0 ? "" : text.slice(end, start);
    if (start >= 0 && gap.length <= MOST_SKIPPED) {
      shown.push(missed && gap.trim() ? " " : gap); // what was missed stands in the gap
      end = start + word.length;
      missed = false;
    } else {
      if (piece.text.startsWith(SPACE)) shown.push(" ");
      missed ||= !special;
    }
    const item = special
      ? element("span", { class: "special", title: piece.text }, piece.text === "</s>" ? "[end]" : piece.text)
      : element("span", {}, word);
    items.push(item);
    shown.push(item);
  }
  const rest = text.slice(end);
  if (rest.trim()) shown.push(element("span", { class: "rest" }, rest));
  container.replaceChildren(...shown);
  return items;
}

const SPACE = "\u2581"; // how SentencePiece writes a space
const SPECIAL = /^<\/?[a-z]+>$/;
const MOST_SKIPPED = 40; // a tokenizer changes some characters, and the next piece is found behind them

/** Tokens as pieces: `{text, indices}`. The bytes of a character are one piece. */
export function piecesOf(tokens) {
  const pieces = [];
  let decoder = null, indices = [];
  tokens.forEach((token, index) => {
    if (!token) return; // padding
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
    if (!byte) {
      if (indices.length) pieces.push({ text: "\ufffd", indices });
      decoder = null;
      indices = [];
      pieces.push({ text: token, indices: [index] });
      return;
    }
    decoder ??= new TextDecoder();
    indices.push(index);
    const text = decoder.decode(Uint8Array.of(parseInt(byte[1], 16)), { stream: true });
    if (text) {
      pieces.push({ text, indices });
      indices = [];
    }
  });
  if (indices.length) pieces.push({ text: "\ufffd", indices });
  return pieces;
}

/**
 * Let a person move through items: with arrow keys, Home and End, by pointing, or by a tap.
 *
 * @param {Element[]} items of a listbox.
 * @param {(index: number) => void} show is called with what is pointed at, or else with what is chosen;
 *     -1 for nothing.
 * @param {() => void} choose is called when one is chosen.
 * @returns {{chosen: number, select: (index: number) => void}}
 */
export function choices(items, show, choose = () => {}) {
  const list = {
    chosen: -1,
    select(index) {
      list.chosen = index;
      items.forEach((item, at) => (item.ariaSelected = at === index));
    },
  };
  list.select(-1);
  items.forEach((item, index) => {
    item.role = "option";
    item.tabIndex = index ? -1 : 0;
    item.addEventListener("pointerenter", () => show(index));
    item.addEventListener("pointerleave", () => show(list.chosen));
    item.addEventListener("focus", () => {
      items.forEach((other) => (other.tabIndex = other === item ? 0 : -1));
      list.select(index);
      choose();
      show(index);
    });
    item.addEventListener("keydown", (event) => {
      const last = items.length - 1;
      const next = {
        ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: last,
      }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      items[Math.min(Math.max(next, 0), last)].focus();
    });
  });
  return list;
}
