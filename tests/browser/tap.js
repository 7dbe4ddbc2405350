// Put into a page before its own scripts. It listens to what goes to the loudspeaker and writes down what the captions
// show and when, without help from the page itself. `heard_ms` is how much sound
// the loudspeaker has had, by its own clock: a machine that stands still for a moment does not change it.

window.tap = { analysers: [], loudest: 0, heard_ms: 0, captions: [], notices: [], errors: [] };

const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const analyser = new AnalyserNode(this.context, { fftSize: 2048 });
    connect.call(this, analyser);
    window.tap.analysers.push(analyser);
  }
  return connect.call(this, target, ...rest);
};

window.tap.rms = () => {
  const levels = window.tap.analysers.map((analyser) => {
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  });
  return Math.max(0, ...levels);
};

const loudspeaker = () => window.tap.analysers.find(({ context }) => context.sampleRate === 24000);

// The frequency of the strongest part of the sound, in hertz.
window.tap.pitch_hz = () => {
  const analyser = loudspeaker();
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  return (bins.indexOf(Math.max(...bins)) * analyser.context.sampleRate) / analyser.fftSize;
};

let measured_s = 0;

const listen = () => {
  const now_s = loudspeaker()?.context.currentTime ?? 0;
  const rms = window.tap.rms();
  window.tap.loudest = Math.max(window.tap.loudest, rms);
  if (rms > 0.05) window.tap.heard_ms += 1000 * (now_s - measured_s);
  measured_s = now_s;
  return window.tap.heard_ms;
};

setInterval(listen, 20);

document.addEventListener("DOMContentLoaded", () => {
  const note = () => {
    const lines = [...document.querySelectorAll("#captions .line")].map((line) => ({
      who: line.querySelector(".who").textContent,
      interim: line.classList.contains("interim"),
      text: line.querySelector(".words").textContent,
    }));
    window.tap.captions.push({ heard_ms: listen(), lines });
  };
  const alert = document.querySelector("#notice .words");
  new MutationObserver(() => alert.textContent && window.tap.notices.push(alert.textContent)).observe(alert, { childList: true });
  new MutationObserver(note).observe(document.getElementById("captions"), {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
  });
});

document.addEventListener("securitypolicyviolation", (event) => window.tap.errors.push(`${event.violatedDirective} ${event.blockedURI}`));
window.addEventListener("error", (event) => window.tap.errors.push(event.message));
window.addEventListener("unhandledrejection", (event) => window.tap.errors.push(String(event.reason)));
