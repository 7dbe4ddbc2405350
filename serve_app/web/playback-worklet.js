// Plays 24 kHz PCM and knows to the sample how much of each item has gone out.
//
// in:  {type: "samples", item, samples}   more of an item
//      {type: "end", item}                nothing more of it will come
//      {type: "hold"} {type: "resume"}    stop at a sample, go on from it
//      {type: "drop", ticket}             forget everything that has not been played
// out: {type: "first", item, at_s}        its first sample goes out, in the context's time
//      {type: "position", item, played, at_s, moving, rms}   the one after `played` goes out at `at_s`, if it moves
//      {type: "finished", item}           all of it has gone out
//      {type: "dropped", ticket, cut}     cut: the items that were not finished, {item, played}
//      {type: "starved", item}            nothing was there to play in the middle of an item

import { SampleRing } from "./sample-ring.js";

const FADE_SAMPLES = sampleRate * 0.008; // a stop takes 8 ms: sooner clicks
const CUSHION_SAMPLES = sampleRate * 0.04; // wait for this much before starting, or for as long
const REPORT_SAMPLES = sampleRate * 0.04;
const TAIL = 0.97; // per sample: what is left of the last sample when nothing follows (a tenth after 3 ms)

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ring = new SampleRing();
    this.items = []; // in order of playing: {item, queued, played, ended}
    this.running = false; // false while the cushion fills
    this.waited = 0;
    this.held = false;
    this.gain = 1;
    this.last = 0;
    this.fading = []; // what is still to be heard of dropped items
    this.energy = 0;
    this.sinceReport = 0;
    this.port.onmessage = ({ data }) => this[data.type](data);
  }

  samples({ item, samples }) {
    let entry = this.items.find((each) => each.item === item);
    if (!entry) this.items.push((entry = { item, queued: 0, played: 0, ended: false }));
    entry.queued += samples.length;
    this.ring.push(samples);
  }

  end({ item }) {
    const entry = this.items.find((each) => each.item === item);
    if (entry) entry.ended = true;
  }

  hold() {
    this.held = true;
  }

  resume() {
    this.held = false;
  }

  /** The cut is exact at once: the fade that follows is counted as played. */
  drop({ ticket }) {
    const length = this.running && this.gain > 0 ? Math.min(FADE_SAMPLES, this.ring.length) : 0;
    this.fading = Array.from({ length }, (_, i) => this.take(currentTime) * this.gain * (1 - (i + 1) / length));
    const cut = this.items.filter(({ queued, ended }) => queued > 0 || !ended).map(({ item, played }) => ({ item, played }));
    this.port.postMessage({ type: "dropped", ticket, cut });
    this.ring.clear();
    this.items = [];
    this.running = false;
    this.held = false;
    this.gain = 1;
  }

  process(_inputs, [[out]]) {
    this.settle();
    for (let i = 0; i < out.length; i++) out[i] = this.nextSample(currentTime + i / sampleRate);
    this.report(out);
    return true;
  }

  /** Start when enough is there; finish what has been played to its end. */
  settle() {
    while (this.items.length > 0 && this.items[0].queued === 0 && (this.items[0].ended || this.items.length > 1)) {
      this.port.postMessage({ type: "finished", item: this.items.shift().item });
    }
    if (this.items.length === 0) this.running = false;
    if (this.running || this.ring.length === 0) return;
    this.waited += 128;
    if (this.ring.length < CUSHION_SAMPLES && !this.items[0].ended && this.waited < CUSHION_SAMPLES) return;
    this.running = true;
    this.waited = 0;
  }

  nextSample(at_s) {
    if (this.fading.length > 0) return (this.last = this.fading.shift());
    if (!this.running || (this.held && this.gain === 0)) return this.fadeOut();
    if (this.ring.length === 0) return this.starve();
    this.gain = this.held ? Math.max(0, this.gain - 1 / FADE_SAMPLES) : Math.min(1, this.gain + 1 / FADE_SAMPLES);
    return (this.last = this.take(at_s) * this.gain);
  }

  /** The next sample, counted to its item. */
  take(at_s) {
    const entry = this.items.find(({ queued }) => queued > 0);
    if (entry.played === 0) this.port.postMessage({ type: "first", item: entry.item, at_s });
    entry.queued -= 1;
    entry.played += 1;
    return this.ring.shift();
  }

  /** Nothing to play: the cushion fills anew, and the sound comes back softly. */
  starve() {
    this.running = false;
    const entry = this.items.find(({ ended }) => !ended);
    if (entry) {
      this.gain = 0;
      this.port.postMessage({ type: "starved", item: entry.item });
    }
    return this.fadeOut();
  }

  fadeOut() {
    return (this.last *= TAIL);
  }

  report(out) {
    for (const sample of out) this.energy += sample * sample;
    this.sinceReport += out.length;
    if (this.sinceReport < REPORT_SAMPLES) return;
    const entry = this.items[0];
    if (entry) {
      const rms = Math.sqrt(this.energy / this.sinceReport);
      const moving = this.running && !this.held;
      const at_s = currentTime + out.length / sampleRate;
      this.port.postMessage({ type: "position", item: entry.item, played: entry.played, at_s, moving, rms });
    }
    this.energy = 0;
    this.sinceReport = 0;
  }
}

registerProcessor("playback", Playback);
