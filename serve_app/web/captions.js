// What both sides say, line by line, as they say it.

const KEEP_LINES = 500;
const NEAR_END_PX = 80;
const NAMES = { user: "You", assistant: "Parley" };

export class Captions {
  /** `scroller` holds `list`; `onCount(lines)` hears how many are shown. */
  constructor(scroller, list, onCount) {
    this.list = list;
    this.onCount = onCount;
    this.lines = new Map(); // by item id
    followEnd(scroller, list);
  }

  /** The user's words so far; they may still change. */
  interim(id, text) {
    if (!text && !this.lines.has(id)) return;
    this.show(this.line(id, "user"), text);
  }

  /** What the user said, or typed. */
  final(id, text) {
    for (const [other, line] of this.lines) if (line.unclear) this.remove(other);
    this.finish(this.show(this.line(id, "user"), text));
  }

  /** The user said something that was not understood; the line stays until something is. */
  unclear(id) {
    this.final(id, "not understood");
    const line = this.lines.get(id);
    line.unclear = true;
    line.element.classList.add("unclear");
  }

  /** Words of a reply that belong to its sound from `at_sample` on: they appear when that is heard. */
  speak(id, text, at_sample) {
    this.line(id, "assistant", { hidden: true }).pending.push({ text, at_sample });
  }

  /** A reply has been heard up to that sample. */
  heard(id, samples) {
    const line = this.lines.get(id);
    while (line?.pending.length > 0 && line.pending[0].at_sample <= samples) this.append(line, line.pending.shift().text);
  }

  /** Words of a reply that has no sound. */
  write(id, text) {
    this.append(this.line(id, "assistant"), text);
  }

  /** All of a reply has been heard or read. */
  complete(id) {
    this.heard(id, Infinity);
    const line = this.lines.get(id);
    if (line) this.finish(line);
  }

  /** A reply was cut off: words that were not heard never appear. */
  cut(id) {
    const line = this.lines.get(id);
    if (!line || line.cut) return;
    line.pending = [];
    line.cut = true;
    if (!line.text) {
      this.remove(id);
      return;
    }
    line.element.classList.add("cut");
    line.element.append(Object.assign(document.createElement("p"), { className: "mark", textContent: "interrupted" }));
    this.finish(line);
  }

  /** The words that the server holds to have been heard. */
  correct(id, text) {
    const line = this.lines.get(id);
    if (line?.cut && text) this.show(line, text);
  }

  /** Forget interim words that came to nothing. */
  dropInterim() {
    for (const [id, line] of this.lines) if (line.role === "user" && !line.done) this.remove(id);
  }

  clear() {
    for (const id of [...this.lines.keys()]) this.remove(id);
  }

  /** The finished lines, oldest first: `{id, role, text}`. */
  said() {
    return [...this.lines]
      .filter(([, { text, done, unclear }]) => text && done && !unclear)
      .map(([id, { role, text }]) => ({ id, role, text }));
  }

  line(id, role, { hidden = false } = {}) {
    let line = this.lines.get(id);
    if (!line) {
      line = { role, text: "", done: false, cut: false, unclear: false, pending: [], ...makeElements(role) };
      this.lines.set(id, line);
      if (this.lines.size > KEEP_LINES) this.remove(this.lines.keys().next().value);
    }
    if (!hidden && !line.element.isConnected) {
      this.list.append(line.element);
      this.onCount(this.list.childElementCount);
    }
    return line;
  }

  append(line, text) {
    if (!line.element.isConnected) this.list.append(line.element);
    this.show(line, line.text + text);
    this.onCount(this.list.childElementCount);
  }

  show(line, text) {
    line.text = text;
    line.words.textContent = text.trimStart();
    return line;
  }

  /** Readers of the screen are told a line when it is done, not at every word. */
  finish(line) {
    line.done = true;
    line.element.classList.remove("interim");
    line.element.setAttribute("aria-busy", "false");
  }

  remove(id) {
    this.lines.get(id)?.element.remove();
    this.lines.delete(id);
    this.onCount(this.list.childElementCount);
  }
}

/** Keep the newest words in sight, until the reader scrolls back, and again from the end on. */
function followEnd(scroller, list) {
  let following = true;
  let last = 0;
  scroller.addEventListener("scroll", () => {
    // Words may have grown between a scroll and its event: only a way back counts as the reader's.
    if (scroller.scrollTop < last) following = false;
    if (scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX) following = true;
    last = scroller.scrollTop;
  });
  const observer = new ResizeObserver(() => following && scroller.scrollTo(0, scroller.scrollHeight));
  observer.observe(scroller);
  observer.observe(list);
}

function makeElements(role) {
  const element = Object.assign(document.createElement("article"), { className: `line ${role} interim` });
  element.setAttribute("aria-busy", "true");
  const name = Object.assign(document.createElement("p"), { className: "who", textContent: NAMES[role] });
  const words = Object.assign(document.createElement("p"), { className: "words" });
  element.append(name, words);
  return { element, words };
}
