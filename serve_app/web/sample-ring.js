// A first-in, first-out buffer of samples that doubles when it is full. It starts with 5 s of 24 kHz.

export class SampleRing {
  constructor(capacity = 131072) {
    this.data = new Float32Array(capacity);
    this.head = 0;
    this.length = 0;
  }

  /** Append 16-bit samples. */
  push(samples) {
    while (this.length + samples.length > this.data.length) this.grow();
    const mask = this.data.length - 1; // the capacity is a power of two
    for (let i = 0; i < samples.length; i++) {
      this.data[(this.head + this.length + i) & mask] = samples[i] / 32768;
    }
    this.length += samples.length;
  }

  /** The oldest sample. Call it only when `length` > 0. */
  shift() {
    const sample = this.data[this.head];
    this.head = (this.head + 1) & (this.data.length - 1);
    this.length -= 1;
    return sample;
  }

  clear() {
    this.length = 0;
  }

  grow() {
    const bigger = new Float32Array(2 * this.data.length);
    const untilEnd = this.data.subarray(this.head);
    bigger.set(untilEnd);
    bigger.set(this.data.subarray(0, this.head), untilEnd.length);
    this.data = bigger;
    this.head = 0;
  }
}
