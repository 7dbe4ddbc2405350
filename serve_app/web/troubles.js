// What can go wrong, in words that say what to do.

export class Trouble extends Error {
  /** `retry`: trying again by itself may help. */
  constructor(kind, message, { retry = false } = {}) {
    super(message);
    this.kind = kind;
    this.retry = retry;
  }
}

const MICROPHONE = {
  NotAllowedError: ["refused", "The microphone was refused. Allow it for this page in the browser's address bar, then press Talk again. You can type meanwhile."],
  NotFoundError: ["missing", "No microphone was found. Plug one in and press Talk again, or type."],
  NotReadableError: ["busy", "The microphone is there but gives no sound: another program may be using it. Close that one and press Talk again, or type."],
};

/** Why getUserMedia failed. */
export function microphoneTrouble(error) {
  const [kind, message] = MICROPHONE[error.name] ?? ["broken", `The microphone cannot be used (${error.message || error.name}). You can type.`];
  return new Trouble(kind, message);
}

/** Browsers give pages a microphone only over https or on this very machine. */
export function insecureTrouble() {
  return new Trouble("insecure", "Browsers give the microphone only to pages opened over https, or at 127.0.0.1 or localhost. Open this page so, or type.");
}

export function microphoneLost() {
  return new Trouble("lost", "The microphone was unplugged or taken away. Press Talk to start again.");
}

export function microphoneSilent() {
  return new Trouble("silent", "The microphone is on but gives only silence: it may be muted on the device or in the system's settings.");
}

/** Why there is no sound; what is said can be read meanwhile. */
export function speakerTrouble(error) {
  return new Trouble("mute", `This browser plays no sound here (${error.message || error.name}). Answers appear in writing.`);
}

/** Why there is no face. */
export function pictureTrouble() {
  const why = window.isSecureContext ? "This browser cannot decode the face's pictures (H.264 by WebCodecs)" : "Browsers decode pictures only for pages opened over https, or at 127.0.0.1 or localhost";
  return new Trouble("picture", `${why}. The conversation goes on with sound alone.`);
}

const CLOSING = {
  1000: (reason) => new Trouble("ended", sentence("The server ended the session", reason)),
  1001: () => new Trouble("stopping", "The server is shutting down.", { retry: true }),
  1008: (reason) => new Trouble("refused", sentence("The server refused to go on", reason)),
  3000: () => new Trouble("key", "This server opens with a key."),
  1013: () => new Trouble("full", "The server is full: everyone it has room for is talking. Try again in a moment."),
};

/** Why a WebSocket closed; `wasOpen` if a session had begun. */
export function closeTrouble(code, reason, wasOpen) {
  if (CLOSING[code]) return CLOSING[code](reason);
  const lost = wasOpen ? "The connection was lost." : "The server cannot be reached.";
  return new Trouble("lost", lost, { retry: true });
}

function sentence(what, reason) {
  return reason ? `${what}: ${reason.replace(/\.$/, "")}.` : `${what}.`;
}
