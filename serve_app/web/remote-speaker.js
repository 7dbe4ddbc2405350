// A call's sound, which the browser plays by itself: what has been heard of it is told by the server. In the place of
// `Speaker`, with the same methods.

import { SoundClock } from "./sound-clock.js";

const WORDS_MS = 250; // behind its event a word is heard: the server's lead of a block, and the jitter buffer
const TICK_MS = 40;

export class RemoteSpeaker {
  /** `player`: the media element. `clear()`: tell the server to stop playing. The rest as for `Speaker`. */
  constructor(player, { clear, onHeard, onFirst, onLevel }) {
    this.player = player;
    this.clear = clear;
    this.on = { onHeard, onFirst, onLevel };
    this.items = new Map(); // of each response that is not heard to its end
    this.sounding = new Set(); // responses
    this.clock = new SoundClock(); // no picture waits for it: the browser keeps it in step
    this.receiver = null;
    this.timer = null;
    this.ready = true;
  }

  /** A call's stream, and who receives its sound; null: it is over. */
  attach(stream, receiver) {
    this.receiver = receiver;
    this.player.srcObject = stream;
    if (stream) this.player.play().catch(() => {}); // with the next click, where the browser forbids it still
    else this.forget();
  }

  async start() {
    if (this.player.srcObject) this.player.play().catch(() => {});
  }

  get active() {
    return this.sounding.size > 0;
  }

  mute(muted) {
    this.player.muted = muted;
  }

  /** A word of an item has come; the place in time that stands for it, to be handed to `onHeard`. */
  word(item, response) {
    this.items.set(response, item);
    this.timer ??= setInterval(() => this.tick(), TICK_MS);
    return performance.now() + WORDS_MS;
  }

  end() {}

  hold() {}

  resume() {}

  /** As `Speaker.drop`; how much was played the server knows. */
  async drop() {
    if (this.active) this.clear();
    const cut = [...this.items.values()].map((item) => ({ item, played: null }));
    this.forget();
    return cut;
  }

  /** The server plays a response, and plays it no more. */
  started(response) {
    this.sounding.add(response);
    this.on.onFirst(this.items.get(response), performance.now());
  }

  /** Its item; undefined if it was dropped here. */
  over(response) {
    const item = this.items.get(response);
    this.items.delete(response);
    this.sounding.delete(response);
    if (this.items.size === 0) this.forget();
    return item;
  }

  forget() {
    clearInterval(this.timer);
    this.timer = null;
    this.items.clear();
    this.sounding.clear();
    this.on.onLevel(0);
  }

  tick() {
    for (const item of this.items.values()) this.on.onHeard(item, performance.now());
    const [source] = this.receiver?.getSynchronizationSources() ?? [];
    this.on.onLevel((this.active && source?.audioLevel) || 0);
  }
}
