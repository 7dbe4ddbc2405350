// The way to the server, which comes back when it is lost: a call by WebRTC, or a WebSocket where none is possible.
//
// off → connecting → open → (lost) waiting → connecting → …
// Only `session.created` makes it open: a full server accepts a socket and closes it at once.
// A session that was lost is resumed over a WebSocket with the token that came with it; where that is refused, a new one
// begins.

import { Call, canCall, leadsNowhere } from "./call.js";
import { closeTrouble } from "./troubles.js";

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15000];
const CONNECT_LIMIT_MS = 10000;
const GOODBYE = 1000;
const GIVEN_UP = 4000; // the way is dead; the conversation is not over
const STALLED_BYTES = 640000; // 10 s of sound that does not go out: the way is dead, though nobody has said so

export class Connection {
  /**
   * `url`: of the WebSocket; `callUrl`: where calls are offered, null for none.
   * `onOpen(again, resumed)`: a session began; `again` if one was lost before, `resumed` if it is that one that goes on.
   * `onEvent(event)`: whatever the server says.
   * `onState(state, trouble, wait_ms)`: it changed; `trouble` says why, `wait_ms` when it tries again.
   * `onStream(stream, receiver)`: of a call, and who receives its sound; null when it is over.
   */
  constructor(url, callUrl, { onOpen, onEvent, onState, onStream }) {
    this.url = url;
    this.callUrl = canCall() ? callUrl : null;
    this.on = { onOpen, onEvent, onState, onStream };
    this.track = null; // of the microphone, for a call
    this.state = "off";
    this.socket = null;
    this.timer = null;
    this.failures = 0;
    this.lost = false;
    this.key = null; // for a server that wants one
    this.token = null; // opens the lost session once
    this.resuming = false;
    this.heard_ms = null; // how much was played of the reply that was cut off
    window.addEventListener("online", () => this.state === "waiting" && this.connect());
  }

  /** Whether sound and picture go as tracks. */
  get isCall() {
    return this.socket instanceof Call;
  }

  /** What a call carries of the microphone; null: nothing. */
  speak(track) {
    this.track = track;
    if (this.isCall) this.socket.speak(track);
  }

  /** Connect unless it is, or is about to. */
  open() {
    if (this.state === "off" || this.state === "waiting") this.connect();
  }

  /** End the session for good. */
  close() {
    this.lost = false;
    this.token = null;
    this.rest();
  }

  /** Stop trying to come back. The next `open` still knows that a session was lost. */
  rest() {
    this.leave(GOODBYE);
    this.failures = 0;
    this.become("off");
  }

  /** Whether the event went out. */
  send(event) {
    if (this.state !== "open") return false;
    if (this.socket.bufferedAmount > STALLED_BYTES) {
      this.closed(1006, "");
      return false;
    }
    this.socket.send(JSON.stringify(event));
    return true;
  }

  connect() {
    this.leave(GIVEN_UP);
    this.resuming = this.token !== null;
    const socket = this.callUrl && !this.resuming ? this.call() : this.webSocket();
    this.socket = socket;
    this.timer = setTimeout(() => this.closed(1006, ""), CONNECT_LIMIT_MS);
    socket.onmessage = ({ data }) => this.heard(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.closed(code, reason);
    this.become("connecting");
  }

  call() {
    const call = new Call(this.callUrl, this.key, (stream) => this.on.onStream(stream, call.sound.receiver));
    if (this.track) call.speak(this.track);
    return call;
  }

  webSocket() {
    return new WebSocket(this.resuming ? this.addressOfLost() : this.url, this.protocols());
  }

  /** Browsers let a page set no headers: the key goes where OpenAI takes it from them. */
  protocols() {
    return this.key ? ["realtime", `openai-insecure-api-key.${this.key}`] : [];
  }

  addressOfLost() {
    const address = new URL(this.url);
    address.searchParams.set("resume", this.token);
    if (this.heard_ms !== null) address.searchParams.set("heard_ms", this.heard_ms);
    return address;
  }

  heard(event) {
    if (event.type === "session.created") {
      clearTimeout(this.timer);
      this.failures = 0;
      this.token = event.parley?.resume_token ?? null;
      this.heard_ms = null;
      this.become("open");
      this.on.onOpen(this.lost, this.resuming);
      this.lost = this.resuming = false;
    } else if (this.resuming && event.type === "error") {
      this.token = null;
      this.connect();
      return;
    }
    this.on.onEvent(event);
  }

  closed(code, reason) {
    if (leadsNowhere(code)) {
      this.callUrl = null;
      this.connect();
      return;
    }
    const wasOpen = this.state === "open";
    const trouble = closeTrouble(code, reason, wasOpen || this.lost);
    this.lost ||= wasOpen;
    this.leave(GIVEN_UP);
    if (!trouble.retry) {
      this.become("off", trouble);
      return;
    }
    const step = BACKOFF_MS[Math.min(this.failures++, BACKOFF_MS.length - 1)];
    // Spread out, so that the clients of a restarted server do not come back as one.
    const wait_ms = step * (0.8 + 0.4 * Math.random());
    this.timer = setTimeout(() => this.connect(), wait_ms);
    this.become("waiting", trouble, wait_ms);
  }

  /** Let go of the socket without hearing from it again. */
  leave(code) {
    clearTimeout(this.timer);
    if (!this.socket) return;
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close(code);
    this.socket = null;
  }

  become(state, trouble = null, wait_ms = 0) {
    this.state = state;
    this.on.onState(state, trouble, wait_ms);
  }
}
