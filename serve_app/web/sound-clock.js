// When each sample of an item is heard, from what the loudspeaker reports now and then.

const SAMPLES_PER_MS = 24;
const REACH_MS = 100; // so far behind a report its rate is believed; reports come every 40 ms
const KEEP = 4;

export class SoundClock {
  constructor() {
    this.marks = new Map(); // by item: {played, at_ms, reach_ms}
  }

  /** At `at_ms`, by performance.now(), the sample after `played` is heard; `moving`: and the others behind it. */
  mark(item, played, at_ms, moving) {
    this.marks.delete(item);
    this.marks.set(item, { played, at_ms, reach_ms: moving ? REACH_MS : 0 });
    if (this.marks.size > KEEP) this.marks.delete(this.marks.keys().next().value);
  }

  /** All of it has gone out. */
  finish(item) {
    const mark = this.marks.get(item);
    if (mark) mark.reach_ms = Infinity;
  }

  clear() {
    this.marks.clear();
  }

  /** In performance.now() time; Infinity if it is not known. */
  heardAt_ms(item, sample) {
    const mark = this.marks.get(item);
    if (!mark) return Infinity;
    const after_ms = (sample - mark.played) / SAMPLES_PER_MS;
    return after_ms <= mark.reach_ms ? mark.at_ms + after_ms : Infinity;
  }
}
