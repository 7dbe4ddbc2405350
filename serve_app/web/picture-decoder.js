// H.264 access units in, pictures out, in the same order; after a failure from the next keyframe on.

import { codecOf } from "./annex-b.js";
import { pictureTrouble } from "./troubles.js";

const FRAME_US = 40000;
const MOST_FAILURES = 5; // in a row: this browser will not learn it

export class PictureDecoder {
  /**
   * `onPicture(picture, tag)`: a VideoFrame, to be closed by who gets it; `tag` as it was given with its unit.
   * `onLost()`: what was given and is not out yet never comes. `onTrouble(trouble)`: there will be no pictures at all.
   */
  constructor({ onPicture, onLost, onTrouble }) {
    this.on = { onPicture, onLost, onTrouble };
    this.decoder = null;
    this.tags = new Map(); // by timestamp
    this.given = 0;
    this.codec = null;
    this.failures = 0;
  }

  /** Whether what comes next must be a keyframe. */
  get waits() {
    return this.decoder === null;
  }

  get hopeless() {
    return this.failures >= MOST_FAILURES || !window.VideoDecoder;
  }

  /** The next unit: bytes. Those that cannot be decoded are left out, silently: whether it was taken. */
  push(unit, keyframe, tag) {
    if (this.hopeless) {
      this.giveUp();
      return false;
    }
    const codec = keyframe ? codecOf(unit) : null;
    if (codec && (this.waits || codec !== this.codec)) this.begin(codec);
    if (this.waits) return false;
    const timestamp = FRAME_US * this.given++;
    this.tags.set(timestamp, tag);
    try {
      this.decoder.decode(new EncodedVideoChunk({ type: keyframe ? "key" : "delta", timestamp, data: unit }));
    } catch {
      this.failed(); // DataError: it wants a keyframe, or found no parameters in one
      return false;
    }
    return true;
  }

  /** Forget everything; begin anew with a keyframe. */
  reset() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.tags.clear();
  }

  begin(codec) {
    this.reset();
    const decoder = new VideoDecoder({
      output: (picture) => this.out(decoder, picture),
      error: () => decoder === this.decoder && this.failed(),
    });
    this.decoder = decoder;
    this.codec = codec;
    decoder.configure({ codec, optimizeForLatency: true });
  }

  out(decoder, picture) {
    if (decoder !== this.decoder) {
      picture.close();
      return;
    }
    this.failures = 0;
    const tag = this.tags.get(picture.timestamp);
    this.tags.delete(picture.timestamp);
    this.on.onPicture(picture, tag);
  }

  failed() {
    this.failures += 1;
    this.reset();
    this.on.onLost();
    if (this.hopeless) this.giveUp();
  }

  giveUp() {
    this.on.onTrouble?.(pictureTrouble());
    this.on.onTrouble = null;
  }
}
