// 24 kHz, 16-bit mono PCM: the one format between page and server, base64 on the wire.

export const RATE_HZ = 24000;

/** Base64 of the samples, little-endian as every browser's typed arrays are. */
export function encode(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let text = "";
  // One call takes at most some 100,000 arguments.
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return btoa(text);
}

/** Int16Array of what `encode` made. */
export function decode(base64) {
  const bytes = bytesOf(base64);
  return new Int16Array(bytes.buffer, 0, bytes.length >> 1);
}

/** Uint8Array of base64. */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Loudness from 0 (−60 dB and below) to 1 (−6 dB and above): what a level indicator shows. */
export function loudness(rms) {
  const db = 20 * Math.log10(Math.max(rms, 1e-6));
  return Math.min(1, Math.max(0, (db + 60) / 54));
}
