// How the latest turn came about, in milliseconds from the end of the user's speech (or from the typed message).

const NAMES = {
  spoken: "End of speech",
  typed: "Message sent",
  decided: "Turn decided",
  words: "Words final",
  token: "First token",
  sound: "First sound",
  heard: "Heard here",
};

export class Timeline {
  constructor(root) {
    this.root = root;
    this.bar = root.querySelector(".bar");
    this.list = root.querySelector("dl");
    this.total = root.querySelector(".total");
    this.summary = root.querySelector(".summary");
    this.turn = null; // of the response shown
    this.early = null; // a measurement that came before its turn
  }

  /** The server's `parley.turn.timeline`. */
  server(event) {
    this.turn = { id: event.response_id, spoken: event.silence_ms !== null, marks: serverMarks(event), heard_ms: null };
    this.draw();
    if (this.early) this.heard(this.early.response_id, this.early.ms);
  }

  /** Measured here: from the end of speech to the first sound from the loudspeaker. */
  heard(response_id, ms) {
    this.early = { response_id, ms };
    if (this.turn?.id !== response_id) return;
    this.turn.heard_ms = ms;
    this.draw();
  }

  clear() {
    this.turn = null;
    this.root.hidden = true;
  }

  draw() {
    const { spoken, heard_ms } = this.turn;
    const marks = heard_ms === null ? [...this.turn.marks] : [...this.turn.marks, { key: "heard", at_ms: heard_ms }];
    marks.sort((a, b) => a.at_ms - b.at_ms);
    this.bar.replaceChildren(...marks.map(segment));
    this.list.replaceChildren(...[{ key: spoken ? "spoken" : "typed", at_ms: 0 }, ...marks].map(entry));
    const { key, at_ms } = marks.at(-1);
    const total_ms = Math.round(at_ms);
    this.total.textContent = `${total_ms} ms`;
    const start = spoken ? "the end of speech" : "the message";
    this.summary.textContent = `${total_ms} milliseconds from ${start} to ${NAMES[key].toLowerCase()}.`;
    this.root.hidden = false;
  }
}

/** The event counts from the endpoint decision; people count from when they stopped speaking. */
function serverMarks({ silence_ms, words_final_ms, first_token_ms, first_audio_ms }) {
  const decided_ms = silence_ms ?? 0;
  const after = (key, ms) => (ms === null ? [] : [{ key, at_ms: Math.max(0, decided_ms + ms) }]);
  return [
    ...(silence_ms === null ? [] : [{ key: "decided", at_ms: silence_ms }]),
    ...after("words", words_final_ms),
    ...after("token", first_token_ms),
    ...after("sound", first_audio_ms),
  ];
}

/** The stretch of the bar that ends at a mark. */
function segment({ key, at_ms }, index, marks) {
  const element = Object.assign(document.createElement("span"), { className: key });
  element.style.flexGrow = String(Math.max(0.001, at_ms - (marks[index - 1]?.at_ms ?? 0)));
  return element;
}

function entry({ key, at_ms }) {
  const element = Object.assign(document.createElement("div"), { className: key });
  const name = Object.assign(document.createElement("dt"), { textContent: NAMES[key] });
  const value = Object.assign(document.createElement("dd"), { textContent: `${Math.round(at_ms)} ms` });
  element.append(name, value);
  return element;
}
