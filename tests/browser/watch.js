// Looks at the face at every refresh and at the sound, and notes which frame of the test pattern is shown, how
// far its mouth is open, and when sound begins and ends; all by performance.now(). Needs tap.js.

window.watch = { frames: [], sounds: [] };

const COLUMNS = 8;
const ROWS = 4;
const glass = new OffscreenCanvas(160, 128).getContext("2d", { willReadFrequently: true });

// CRC-8 of x⁸+x²+x+1, begun with ones, over the number's three bytes: as in deployments/avatar/test_pattern.py.
const checksum = (number) =>
  [16, 8, 0].reduce((crc, shift) => {
    crc ^= (number >> shift) & 255;
    for (let bit = 0; bit < 8; bit++) crc = crc & 128 ? ((crc << 1) ^ 7) & 255 : crc << 1;
    return crc;
  }, 255);

window.watch.read = (picture) => {
  glass.drawImage(picture, 0, 0, 160, 128);
  const { data } = glass.getImageData(0, 0, 160, 128);
  const bright = (x, y) => data[4 * (160 * y + x)] > 125;
  let [number, sum] = [0, 0];
  for (let cell = 0; cell < COLUMNS * ROWS; cell++) {
    const bit = bright(20 * (cell % COLUMNS) + 10, 16 * Math.floor(cell / COLUMNS) + 8);
    if (cell < 8) sum |= bit << cell;
    else number |= bit << (cell - 8);
  }
  let open = 0;
  for (let y = 80; y < 112; y++) open += bright(80, y) / 32;
  return { number: sum === checksum(number) ? number : null, open };
};

const SILENT_S = 0.05;
let quietSince_s = 0;
let loud = false;

// Edges of the sound, to the sample: `on` and `off`, each at the moment when it is heard.
const listen = () => {
  const analyser = window.tap.analysers.find(({ context }) => context.sampleRate === 24000);
  if (!analyser) return;
  const { context } = analyser;
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const end_s = context.currentTime;
  const { contextTime, performanceTime } = context.getOutputTimestamp();
  const note = (edge, at_s) => window.watch.sounds.push({ edge, at_ms: performanceTime + 1000 * (at_s - contextTime) });
  for (let i = 0; i < samples.length; i++) {
    const at_s = end_s - (samples.length - i) / 24000;
    if (at_s <= (window.watch.heard_s ?? 0)) continue;
    window.watch.heard_s = at_s;
    if (Math.abs(samples[i]) > 0.02) {
      if (!loud) note("on", at_s);
      loud = true;
      quietSince_s = at_s;
    } else if (loud && at_s - quietSince_s > SILENT_S) {
      loud = false;
      note("off", quietSince_s);
    }
  }
};

const look = () => {
  const shown = document.getElementById(document.getElementById("stage").dataset.way === "call" ? "player" : "face");
  if (shown.checkVisibility({ visibilityProperty: true })) {
    const { number, open } = window.watch.read(shown);
    if (window.watch.frames.at(-1)?.number !== number) window.watch.frames.push({ number, open, at_ms: performance.now() });
  }
  listen();
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
