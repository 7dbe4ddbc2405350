// What the server's events mean for the loudspeaker, the captions and the timeline, and what to tell the server.
// Events and their fields are OpenAI's Realtime API; `parley.*` are this server's own.

import { RATE_HZ, decode, encode } from "./pcm.js";
import { StreamClock } from "./stream-clock.js";

const REPLAYED_LINES = 40;
const QUIET = "quiet"; // the event id of what may come too late, as to stop a reply that has just ended: no error to show

export class Conversation {
  /**
   * `choices`: what the user has chosen (see Choices).
   * `onChange()`: what `activity` says may have changed. `onError(text)`: the server refused something or failed; null: it works again.
   */
  constructor({ connection, speaker, face, captions, timeline, choices, onChange, onError }) {
    Object.assign(this, { connection, speaker, face, captions, timeline, choices, onChange, onError });
    this.usualVoice = undefined; // what this server speaks with if nothing is chosen
    this.reset();
  }

  /** Forget the session, not the captions. */
  reset() {
    this.clock = new StreamClock();
    this.serverState = "idle";
    this.reply = null; // {id} of the response in progress
    this.stopped = null; // id of the response that was stopped here: what still comes of it is not played
    this.received = new Map(); // samples of each item in play
    this.responses = new Map(); // response id of each item in play
    this.sounding = null; // {item, end} of the newest sound; {unwanted: true} if it is not played
    this.spokeUntil_ms = null; // when the user's last turn ended, here
  }

  /** The session is gone: with it what was half said on either side. */
  end() {
    this.captions.dropInterim();
    this.silence();
    this.face.reset();
    this.reset();
  }

  /** In one word: listening, hearing, thinking, speaking, holding. */
  get activity() {
    if (this.serverState === "held") return "holding";
    if (this.speaker.active) return "speaking";
    return { user_speaking: "hearing", thinking: "thinking", speaking: "speaking" }[this.serverState] ?? "listening";
  }

  /** A session goes on over a new connection, in the same settings. */
  goOn() {
    this.reset();
  }

  /** A session began; `lines` were said in the one that it replaces. */
  begin(lines) {
    this.reset();
    this.connection.send({ type: "session.update", session: this.settings() });
    lines.slice(-REPLAYED_LINES).forEach(this.replay, this);
  }

  settings(voice = this.choices.voice) {
    const { avatar } = this.choices;
    const audio = { input: { transcription: {} }, ...(voice && { output: { voice } }) };
    if (avatar === null) return { type: "realtime", output_modalities: ["audio"], audio };
    return { type: "realtime", output_modalities: ["audio", "video"], audio, video: { avatar } };
  }

  /** The user has chosen something else. A reply that is spoken keeps its voice. */
  chosen() {
    this.connection.send({ type: "session.update", session: this.settings(this.choices.voice || this.usualVoice) });
  }

  replay({ role, text }) {
    const part = role === "user" ? "input_text" : "output_text";
    this.connection.send({ type: "conversation.item.create", item: { type: "message", role, content: [{ type: part, text }] } });
  }

  /** A microphone frame that ended at that performance.now() time. Whether it was sent: here, or as a call's track. */
  hear(samples, ended_at_ms) {
    const { connection } = this;
    const sent = connection.isCall
      ? connection.state === "open"
      : connection.send({ type: "input_audio_buffer.append", audio: encode(samples) });
    if (sent) this.clock.sent((samples.length / RATE_HZ) * 1000, ended_at_ms);
    return sent;
  }

  /** Say something in writing. */
  async type(id, text) {
    await this.stop();
    this.spokeUntil_ms = performance.now();
    const content = [{ type: "input_text", text }];
    this.connection.send({ type: "conversation.item.create", item: { id, type: "message", role: "user", content } });
    this.connection.send({ type: "response.create" });
  }

  /** Stop the reply. */
  async stop() {
    if (this.reply) this.sendQuietly({ type: "response.cancel", response_id: this.reply.id });
    await this.silence();
  }

  /** The microphone was turned off: what was half said is forgotten. */
  stopListening() {
    this.sendQuietly({ type: "input_audio_buffer.clear" });
    this.captions.dropInterim();
  }

  /** Play nothing more of what has come, and tell the server how much was heard. */
  async silence() {
    this.stopped = this.reply?.id ?? this.stopped;
    this.face.hush();
    for (const { item, played } of await this.speaker.drop()) {
      this.captions.cut(item);
      this.forget(item);
      if (played === null) continue;
      const audio_end_ms = Math.floor((played * 1000) / RATE_HZ);
      if (this.connection.state !== "open") this.connection.heard_ms = audio_end_ms; // for the session that goes on
      this.sendQuietly({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms });
    }
    this.onChange();
  }

  /** A call: the server shall play no more. */
  clearOutput() {
    this.sendQuietly({ type: "output_audio_buffer.clear" });
  }

  sendQuietly(event) {
    this.connection.send({ event_id: QUIET, ...event });
  }

  forget(item) {
    this.received.delete(item);
    this.responses.delete(item);
  }

  // What the loudspeaker says.

  firstSound(item, at_ms) {
    if (this.spokeUntil_ms !== null) this.timeline.heard(this.responses.get(item), at_ms - this.spokeUntil_ms);
    this.onChange();
  }

  finished(item) {
    this.captions.complete(item);
    this.forget(item);
    this.onChange();
  }

  // What the server says, by the type of its event; those that are not here change nothing on this page.

  on(event) {
    this.handlers[event.type]?.(event);
    this.onChange();
  }

  handlers = {
    "session.created": ({ session }) => {
      this.usualVoice ??= session.audio?.output?.voice;
    },

    "parley.state": ({ state }) => {
      this.serverState = state;
    },

    "parley.transcript.interim": ({ item_id, text }) => this.captions.interim(item_id, text),

    "parley.playback.held": () => {
      this.speaker.hold();
      this.face.hold();
    },

    "parley.playback.resumed": () => {
      this.speaker.resume();
      this.face.resume();
      this.captions.dropInterim();
    },

    "parley.video.block": (event) => {
      const sound = event.spoken_ms > 0 && this.speaker.ready ? this.sounding : null;
      this.face.show(event, sound?.item ? sound : null, !sound?.unwanted);
    },

    "parley.turn.timeline": (event) => this.timeline.server(event),

    "input_audio_buffer.speech_started": () => this.silence(),

    "input_audio_buffer.speech_stopped": ({ audio_end_ms }) => {
      this.spokeUntil_ms = this.clock.timeOf(audio_end_ms);
    },

    "input_audio_buffer.cleared": () => this.captions.dropInterim(),

    "conversation.item.input_audio_transcription.completed": ({ item_id, transcript }) =>
      transcript.trim() ? this.captions.final(item_id, transcript) : this.captions.unclear(item_id),

    "conversation.item.input_audio_transcription.failed": ({ item_id }) => this.captions.remove(item_id),

    "conversation.item.truncated": ({ item_id }) =>
      this.sendQuietly({ type: "conversation.item.retrieve", item_id }),

    "conversation.item.retrieved": ({ item }) => {
      if (item.role === "assistant") this.captions.correct(item.id, item.content[0]?.transcript);
    },

    "response.created": ({ response }) => {
      this.reply = { id: response.id };
      this.onError(null);
    },

    "response.output_audio.delta": ({ response_id, item_id, delta }) => {
      this.sounding = { unwanted: true };
      if (response_id === this.stopped) return;
      const samples = decode(delta);
      const end = (this.received.get(item_id) ?? 0) + samples.length;
      this.received.set(item_id, end);
      this.sounding = { item: item_id, end };
      this.responses.set(item_id, response_id);
      this.speaker.play(item_id, samples);
    },

    "response.output_audio_transcript.delta": ({ response_id, item_id, delta }) => {
      if (response_id === this.stopped) return;
      this.responses.set(item_id, response_id);
      if (this.connection.isCall) this.captions.speak(item_id, delta, this.speaker.word(item_id, response_id));
      else if (this.speaker.ready) this.captions.speak(item_id, delta, this.received.get(item_id) ?? 0);
      else this.captions.write(item_id, delta);
    },

    "output_audio_buffer.started": ({ response_id }) => this.speaker.started(response_id),

    "output_audio_buffer.stopped": ({ response_id }) => this.finished(this.speaker.over(response_id)),

    "output_audio_buffer.cleared": ({ response_id }) => this.captions.cut(this.speaker.over(response_id)),

    "response.output_text.delta": ({ item_id, delta }) => this.captions.write(item_id, delta),

    "response.output_text.done": ({ item_id }) => this.captions.complete(item_id),

    "response.output_audio.done": ({ item_id }) => {
      if (this.speaker.ready) this.speaker.end(item_id);
      else this.captions.complete(item_id);
    },

    "response.done": ({ response }) => {
      this.reply = null;
      if (response.status === "failed") this.onError(response.status_details?.error?.message ?? "The answer failed.");
    },

    error: ({ error }) => {
      if (error.event_id !== QUIET) this.onError(error.message);
    },
  };
}
