// The microphone as a stream of 20 ms frames of 24 kHz PCM.

import { insecureTrouble, microphoneLost, microphoneSilent, microphoneTrouble } from "./troubles.js";

const CONSTRAINTS = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 } };
const SILENT_FRAMES = 200; // 4 s of exact zeros from the start: no open microphone is that quiet

export class Microphone {
  /**
   * `onFrame(samples, rms)`: the next 480 samples. `onTrack(track)`: the same as the browser has it; null: it is off.
   * `onTrouble(trouble)`: it went away, or is muted.
   */
  constructor({ onFrame, onTrack, onTrouble }) {
    this.onFrame = onFrame;
    this.onTrack = onTrack;
    this.onTrouble = onTrouble;
    this.open = null; // {stream, context} while on
    this.muted = false;
    this.starts = 0; // tells a start that was overtaken by a stop
  }

  /** Turn it on. Raises a Trouble that says why not. */
  async start() {
    if (!window.isSecureContext || !navigator.mediaDevices) throw insecureTrouble();
    const start = ++this.starts;
    const stream = await navigator.mediaDevices.getUserMedia(CONSTRAINTS).catch((error) => {
      throw microphoneTrouble(error);
    });
    if (start !== this.starts) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    const context = new AudioContext({ latencyHint: "interactive" });
    this.open = { stream, context };
    this.mute(this.muted);
    this.onTrack(stream.getAudioTracks()[0]);
    stream.getAudioTracks()[0].addEventListener("ended", () => this.lost(stream));
    await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
    if (start !== this.starts) return;
    await context.resume();
    const capture = new AudioWorkletNode(context, "capture");
    capture.port.onmessage = frames(this.onFrame, () => this.muted || this.onTrouble(microphoneSilent()));
    // It writes nothing to its output; without a way to the loudspeaker a browser may not run it.
    context.createMediaStreamSource(stream).connect(capture).connect(context.destination);
  }

  /** Turn it off: the browser's sign goes out. */
  stop() {
    this.starts += 1;
    this.open?.stream.getTracks().forEach((track) => track.stop());
    this.open?.context.close();
    if (this.open) this.onTrack(null);
    this.open = null;
  }

  /** Muted it gives silence, and stays open. */
  mute(muted) {
    this.muted = muted;
    for (const track of this.open?.stream.getAudioTracks() ?? []) track.enabled = !muted;
  }

  lost(stream) {
    if (this.open?.stream !== stream) return;
    this.stop();
    this.onTrouble(microphoneLost());
  }
}

/** Hands frames on, and says once if the first ones are all zeros. */
function frames(onFrame, onSilent) {
  let zeros = 0;
  return ({ data: { samples, rms } }) => {
    if (rms > 0) zeros = Infinity;
    else if (++zeros === SILENT_FRAMES) onSilent();
    onFrame(samples, rms);
  };
}
