// One line that says what is wrong, and a button if something can be done about it.

export class Notice {
  constructor(root) {
    this.root = root;
    this.words = root.querySelector(".words");
    this.button = root.querySelector("button");
    this.kind = null;
    this.button.addEventListener("click", () => this.act?.());
    this.act = null;
  }

  /** `action`: {label, act}. */
  show(kind, text, action = null) {
    this.kind = kind;
    this.root.dataset.kind = kind;
    if (this.words.textContent !== text) this.words.textContent = text;
    this.act = action?.act ?? null;
    this.button.textContent = action?.label ?? "";
    this.button.hidden = !action;
    this.root.hidden = false;
  }

  /** Take it away: any, or only of these kinds. */
  hide(...kinds) {
    if (kinds.length > 0 && !kinds.includes(this.kind)) return;
    this.root.hidden = true;
    this.words.textContent = "";
    this.kind = null;
  }
}
