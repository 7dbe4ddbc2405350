// When a moment of the stream that the server counts in milliseconds happened here, in performance.now() time.

const KEEP = 3000; // 60 s of 20 ms frames

export class StreamClock {
  constructor() {
    this.marks = [];
    this.sent_ms = 0;
  }

  /** A frame that ended now was sent. */
  sent(duration_ms, ended_at_ms) {
    this.sent_ms += duration_ms;
    this.marks.push({ end_ms: this.sent_ms, at_ms: ended_at_ms });
    if (this.marks.length > KEEP) this.marks.shift();
  }

  /** When that moment of the stream was; null if it is too long ago. */
  timeOf(stream_ms) {
    const mark = this.marks.find(({ end_ms }) => end_ms >= stream_ms);
    if (!mark || stream_ms < this.marks[0].end_ms - 20) return null;
    return mark.at_ms - (mark.end_ms - stream_ms);
  }
}
