// A stream of floats at any rate → the same stream at another, low-pass filtered so that nothing folds back.
//
// Polyphase windowed sinc (Kaiser window, β = 7: about 70 dB down). 24 zero crossings to each side delay by 1 ms at 24 kHz
// and keep everything below 9.5 kHz of the 12 kHz there are. Formulae: Oppenheim & Schafer, Discrete-Time Signal Processing,
// §4.6 (rational rates) and §7.5 (Kaiser).

const ZERO_CROSSINGS = 24;
const BETA = 7;
const CUTOFF = 0.895; // of the lower Nyquist frequency: the middle of the transition band, which ends at Nyquist

export class Resampler {
  constructor(fromHz, toHz) {
    const shared = gcd(fromHz, toHz);
    this.up = toHz / shared;
    this.down = fromHz / shared;
    const stretch = Math.max(1, fromHz / toHz);
    this.half = Math.ceil((ZERO_CROSSINGS * stretch) / CUTOFF);
    this.phases = makePhases(this.up, this.half, CUTOFF / stretch);
    this.history = new Float32Array(2 * this.half); // the stream's newest samples, and silence before its first
    this.next = 0; // position of the next output, in 1/up of an input sample after the oldest complete window
  }

  /** The output samples that `input` completes. */
  push(input) {
    const taps = 2 * this.half;
    const line = new Float32Array(taps + input.length);
    line.set(this.history);
    line.set(input, taps);
    const end = input.length * this.up;
    const output = new Float32Array(Math.max(0, Math.ceil((end - this.next) / this.down)));
    for (let n = 0; n < output.length; n++, this.next += this.down) {
      const start = Math.floor(this.next / this.up) + 1;
      const weights = this.phases[this.next % this.up];
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += weights[k] * line[start + k];
      output[n] = sum;
    }
    this.next -= end;
    this.history = line.slice(input.length);
    return output;
  }
}

/** For each fraction p/up of a sample, the weights of the 2·half samples around it; each set sums to 1. */
function makePhases(up, half, cutoff) {
  return Array.from({ length: up }, (_, phase) => {
    const weights = new Float32Array(2 * half);
    let sum = 0;
    for (let k = 0; k < weights.length; k++) {
      const distance = k - half + 1 - phase / up;
      weights[k] = sinc(cutoff * distance) * kaiser(distance / half);
      sum += weights[k];
    }
    return weights.map((weight) => weight / sum);
  });
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x) {
  return Math.abs(x) >= 1 ? 0 : bessel0(BETA * Math.sqrt(1 - x * x)) / bessel0(BETA);
}

/** The modified Bessel function I₀ by its power series. */
function bessel0(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-9; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}
