// What the user has chosen, among what the server offers: a voice, a face, or none. The browser keeps it.

const KEPT = "parley-choices";
const NONE = { voice: "", face: "", shown: true, size: null };
const LANGUAGES = new Intl.DisplayNames(["en"], { type: "language" });

export class Choices {
  /** `voice`, `face`: the two `<select>`. `onChoice()`: the user has chosen something else. */
  constructor({ voice, face, onChoice }) {
    this.selects = { voice, face };
    this.offers = { faces: false, avatars: [], voices: [] };
    this.kept = { ...NONE, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
    for (const [name, select] of Object.entries(this.selects)) {
      select.addEventListener("change", () => {
        this.keep({ [name]: select.value });
        onChoice();
      });
    }
  }

  /** Id of the voice; empty for the server's own choice. */
  get voice() {
    return this.offers.voices.some(({ id }) => id === this.kept.voice) ? this.kept.voice : "";
  }

  /** Id of the face, empty for the server's own choice; null for none. */
  get avatar() {
    if (!this.offers.faces || !this.kept.shown) return null;
    return this.offers.avatars.some(({ id }) => id === this.kept.face) ? this.kept.face : "";
  }

  /** Whether to see a face, where there is one. */
  get shown() {
    return this.kept.shown;
  }

  show(shown) {
    this.keep({ shown });
  }

  /** {width, height} of the face to come, as far as it is known; null where there will be none. */
  get size() {
    if (!this.kept.shown) return null;
    const { faces, avatars } = this.offers;
    if (!faces) return this.kept.size;
    const { width, height } = avatars.find(({ id }) => id === this.avatar) ?? avatars[0] ?? this.kept.size ?? USUAL_SIZE;
    return { width, height };
  }

  /** Where a picture of the face is to be had; null where there is none. */
  get preview() {
    const { avatars } = this.offers;
    const chosen = avatars.find(({ id }) => id === this.avatar) ?? avatars[0];
    return (this.avatar !== null && chosen?.preview_url) || null;
  }

  set size(size) {
    this.keep({ size });
  }

  /** Whether there is anything to choose. */
  get any() {
    return this.offers.voices.length > 1 || (this.offers.faces && this.offers.avatars.length > 1);
  }

  offer(offers) {
    this.offers = offers;
    if (!offers.faces) this.keep({ size: null });
    const { voice, face } = this.selects;
    fill(voice, byLanguage(offers.voices), this.voice);
    fill(face, [{ label: "", options: offers.faces ? offers.avatars.map(nameOf) : [] }], this.avatar ?? "");
  }

  keep(changed) {
    Object.assign(this.kept, changed);
    localStorage.setItem(KEPT, JSON.stringify(this.kept));
  }
}

const USUAL_SIZE = { width: 384, height: 580 };

/** A voice has a description, a face a name. */
function nameOf({ id, name, description }) {
  return { id, name: name || description || id };
}

/** [{label, options}], in the order in which the languages first come. */
function byLanguage(voices) {
  const groups = new Map();
  for (const voice of voices) {
    const label = LANGUAGES.of(voice.language) ?? voice.language;
    groups.set(label, [...(groups.get(label) ?? []), nameOf(voice)]);
  }
  return [...groups].map(([label, options]) => ({ label, options }));
}

/** One of them means no choice: then its label goes, too. */
function fill(select, groups, chosen) {
  const usual = new Option("The server's choice", "");
  const filled = groups.map(({ label, options }) => {
    const made = options.map(({ id, name }) => new Option(name, id));
    if (!label) return made;
    const group = Object.assign(document.createElement("optgroup"), { label });
    group.append(...made);
    return [group];
  });
  select.replaceChildren(usual, ...filled.flat());
  select.value = chosen;
  select.closest("label").hidden = select.options.length <= 2;
}
