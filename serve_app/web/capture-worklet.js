// The microphone at the device's rate in; 20 ms frames of 24 kHz PCM out, each with its RMS.

import { Resampler } from "./resampler.js";

const RATE_HZ = 24000;
const FRAME_SAMPLES = 480;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE_HZ);
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.filled = 0;
    this.energy = 0;
  }

  process([channels]) {
    // No channel while the device is starting; there is nothing to send then.
    if (channels.length > 0) this.resampler.push(mono(channels)).forEach(this.take, this);
    return true;
  }

  take(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.frame[this.filled++] = Math.round(clipped * 32767);
    this.energy += clipped * clipped;
    if (this.filled < FRAME_SAMPLES) return;
    const rms = Math.sqrt(this.energy / FRAME_SAMPLES);
    this.port.postMessage({ samples: this.frame, rms }, [this.frame.buffer]);
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.filled = 0;
    this.energy = 0;
  }
}

function mono(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

registerProcessor("capture", Capture);
