// What stands for the other side: today a disc that moves with the voices, later a face. And the state, in words.

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

  userLevel(rms) {
    const level = loudness(rms).toFixed(3);
    this.talk.style.setProperty("--level", level);
    this.stage.style.setProperty("--user-level", level);
  }

  replyLevel(rms) {
    this.stage.style.setProperty("--reply-level", loudness(rms).toFixed(3));
  }
}
