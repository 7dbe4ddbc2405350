// The face that comes as H.264 in the server's `parley.video.block`, shown on a canvas in step with the sound.

import { PictureDecoder } from "./picture-decoder.js";
import { PictureQueue } from "./picture-queue.js";
import { bytesOf } from "./pcm.js";

const FRAME_MS = 40;
const FRAME_SAMPLES = 960;
const LEAST_SPOKEN_MS = 10; // with less of its sound in speech, a picture is silent
const ON_SCREEN_MS = 16; // what is drawn now is seen with the screen's next refresh

export class Face {
  /**
   * `heardAt_ms(item, sample)`: when that sample is heard (see PictureQueue). `onSize(width, height)`: of the picture,
   * before it is shown, when it changes. `onTrouble(trouble)`: there will be no picture.
   */
  constructor(canvas, { heardAt_ms, onSize, onTrouble }) {
    this.canvas = canvas;
    this.onSize = onSize;
    this.screen = canvas.getContext("2d", { alpha: false });
    this.queue = new PictureQueue(heardAt_ms);
    this.decoder = new PictureDecoder({
      onPicture: (picture, place) => this.queue.fill(place, picture),
      onLost: () => this.queue.dropEmpty(),
      onTrouble,
    });
    this.drawing = null;
    this.shown = 0; // pictures
  }

  /**
   * The next 200 ms. `sound`: {item, end}, the sample behind what was said in the block; null: nothing was, or no sound
   * is played. `wanted` is false for what is said but not heard any more.
   */
  show({ frames, spoken_ms, cut }, sound, wanted = true) {
    if (cut === "all") this.queue.clear();
    else if (cut) this.queue.dropSilent();
    const begin = sound ? sound.end - Math.round(spoken_ms * (FRAME_SAMPLES / FRAME_MS)) : 0;
    frames.forEach(({ data, keyframe }, index) => {
      const spoken = index * FRAME_MS < spoken_ms - LEAST_SPOKEN_MS;
      const place = this.queue.place(spoken && sound ? sound.item : null, begin + index * FRAME_SAMPLES);
      // It is decoded even if it is not shown: those behind it build on it.
      if (!this.decoder.push(bytesOf(data), keyframe, place) || (spoken && !wanted)) this.queue.drop([place]);
    });
    this.drawing ??= requestAnimationFrame(() => this.draw());
  }

  /** The sound stands still: the mouth closes, and what is not said yet waits. */
  hold() {
    this.queue.hold();
  }

  resume() {
    this.queue.resume();
  }

  /** What was to be said is not. */
  hush() {
    this.queue.dropSpoken();
  }

  /** The session is gone; its last picture stays. */
  reset() {
    this.queue.clear();
    this.decoder.reset();
  }

  draw() {
    const picture = this.queue.next(performance.now() + ON_SCREEN_MS);
    if (picture) this.paint(picture);
    this.drawing = this.queue.places.length > 0 ? requestAnimationFrame(() => this.draw()) : null;
  }

  /** Something to look at before the first picture: an ImageBitmap. */
  still(bitmap) {
    if (this.shown === 0) this.paint(bitmap);
    else bitmap.close();
  }

  /** A VideoFrame or an ImageBitmap. */
  paint(picture) {
    const { displayWidth: width = picture.width, displayHeight: height = picture.height } = picture;
    if (this.shown++ === 0 || this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.onSize(width, height);
    }
    this.screen.drawImage(picture, 0, 0, width, height);
    picture.close();
  }
}
