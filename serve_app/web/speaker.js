// Plays the replies, and knows what has been heard of them.

import { RATE_HZ } from "./pcm.js";
import { SoundClock } from "./sound-clock.js";
import { speakerTrouble } from "./troubles.js";

const MUTE_S = 0.005; // time constant: sooner clicks

export class Speaker {
  /**
   * `onHeard(item, samples)`: that much of an item has left the loudspeaker.
   * `onFirst(item, at_ms)`: its first sound left the loudspeaker, in performance.now() time.
   * `onFinished(item)`: all of it has. `onLevel(rms)`: how loud it is, 25 times a second while it plays.
   */
  constructor({ onHeard, onFirst, onFinished, onLevel }) {
    this.on = { onHeard, onFirst, onFinished, onLevel };
    this.context = null;
    this.node = null;
    this.gain = null;
    this.clock = new SoundClock();
    this.playing = new Set();
    this.drops = new Map();
    this.muted = false;
    this.starved = 0; // how often there was nothing to play in the middle of a reply
  }

  /** Call it from a click or a key: browsers allow no sound before. Raises a Trouble if there can be no sound. */
  async start() {
    this.context ??= this.build();
    try {
      const context = await this.context;
      // Not awaited: where the browser still forbids sound, this ends only with the next click.
      if (context.state !== "running") context.resume().catch(() => {});
    } catch (error) {
      this.context = null;
      throw speakerTrouble(error);
    }
  }

  async build() {
    const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
    await context.audioWorklet.addModule(new URL("./playback-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => this.told[data.type](data, context);
    this.gain = new GainNode(context, { gain: this.muted ? 0 : 1 });
    node.connect(this.gain).connect(context.destination);
    this.node = node;
    return context;
  }

  /** Whether sound can be played. */
  get ready() {
    return this.node !== null;
  }

  get active() {
    return this.playing.size > 0;
  }

  /** Replies go on unheard, and count as heard. */
  mute(muted) {
    this.muted = muted;
    this.gain?.gain.setTargetAtTime(muted ? 0 : 1, this.gain.context.currentTime, MUTE_S);
  }

  play(item, samples) {
    if (!this.node) return;
    this.playing.add(item);
    this.node.port.postMessage({ type: "samples", item, samples }, [samples.buffer]);
  }

  end(item) {
    this.node?.port.postMessage({ type: "end", item });
  }

  hold() {
    this.node?.port.postMessage({ type: "hold" });
  }

  resume() {
    this.node?.port.postMessage({ type: "resume" });
  }

  /** Forget what has not been played. What was cut off: a list of `{item, played}` in samples. */
  drop() {
    if (!this.ready) return Promise.resolve([]);
    this.playing.clear();
    this.clock.clear();
    const ticket = crypto.getRandomValues(new Uint32Array(1))[0];
    this.node.port.postMessage({ type: "drop", ticket });
    return new Promise((resolve) => this.drops.set(ticket, resolve));
  }

  /** What the worklet says, by the type of its message. */
  told = {
    first: ({ item, at_s }, context) => {
      const at_ms = leftTheLoudspeaker(context, at_s);
      this.clock.mark(item, 0, at_ms, true);
      this.on.onFirst(item, at_ms);
    },

    position: ({ item, played, at_s, moving, rms }, context) => {
      if (played > 0) this.clock.mark(item, played, leftTheLoudspeaker(context, at_s), moving);
      this.on.onLevel(this.muted ? 0 : rms);
      this.on.onHeard(item, played - (context.outputLatency || 0) * RATE_HZ);
    },

    finished: ({ item }) => {
      this.playing.delete(item);
      this.clock.finish(item);
      if (!this.active) this.on.onLevel(0);
      this.on.onFinished(item);
    },

    dropped: ({ ticket, cut }) => {
      this.on.onLevel(0);
      this.drops.get(ticket)?.(cut);
      this.drops.delete(ticket);
    },

    starved: () => {
      this.starved += 1;
    },
  };
}

/** When the sample that the context plays at `at_s` is heard, in performance.now() time. */
function leftTheLoudspeaker(context, at_s) {
  const { contextTime, performanceTime } = context.getOutputTimestamp();
  if (performanceTime > 0) return performanceTime + (at_s - contextTime) * 1000;
  return performance.now() + (at_s - context.currentTime + (context.outputLatency || 0)) * 1000;
}
