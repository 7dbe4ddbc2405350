// What stands for the other side: a face, or a disc that moves with the voices. And the state, in words.

import { loudness } from "./pcm.js";

export class Presence {
  constructor({ stage, state, talk }) {
    this.stage = stage;
    this.stateText = state;
    this.talk = talk;
  }

  /** `mood` picks the looks; `words` is what is read. */
  show(mood, words) {
    this.stage.dataset.mood = mood;
    if (this.stateText.textContent !== words) this.stateText.textContent = words;
  }

  /** `size`: {width, height} of the face, which keeps its place before it comes; null: the disc. `live`: it is there. */
  face(size, live) {
    const page = this.stage.parentElement;
    page.classList.toggle("faced", size !== null);
    this.stage.classList.toggle("live", live);
    if (size) page.style.setProperty("--aspect", (size.width / size.height).toFixed(4));
  }

  userLevel(rms) {
    const level = loudness(rms).toFixed(3);
    this.talk.style.setProperty("--level", level);
    this.stage.style.setProperty("--user-level", level);
  }

  replyLevel(rms) {
    this.stage.style.setProperty("--reply-level", loudness(rms).toFixed(3));
  }
}
