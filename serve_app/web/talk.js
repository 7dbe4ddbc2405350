// The page: what its button, its keys and its text field do. Everything else is a part that knows only itself.

import { Captions } from "./captions.js";
import { Choices } from "./choices.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { Conversation } from "./conversation.js";
import { Face } from "./face.js";
import { Microphone } from "./microphone.js";
import { Notice } from "./notice.js";
import { fetchOffers, fetchPicture } from "./offers.js";
import { Presence } from "./presence.js";
import { RemoteSpeaker } from "./remote-speaker.js";
import { Speaker } from "./speaker.js";
import { Timeline } from "./timeline.js";

const find = (id) => document.getElementById(id);
const KEY = "parley-key";
const WAY = "parley-way";
const PREROLL_FRAMES = 100; // 2 s that were said while the connection was not there yet

const QUERY = "model=parley&parley_events=1";
const address = new URL(`v1/realtime?${QUERY}`, document.baseURI);
address.protocol = address.protocol.replace("http", "ws");
// For networks where calls go wrong in a way that the page does not notice: `?way=socket`.
const callable = (new URLSearchParams(location.search).get("way") ?? sessionStorage.getItem(WAY)) !== "socket";
const callAddress = callable ? new URL(`v1/realtime/calls?${QUERY}`, document.baseURI) : null;

let talking = false; // the user wants to be heard
let muted = false; // but not now
let asking = false; // the browser asks the user for the microphone
const preroll = []; // microphone frames: {samples, at_ms}
const unsent = []; // typed messages: {id, text}

const notice = new Notice(find("notice"));
const presence = new Presence({ stage: find("stage"), state: find("state"), talk: find("talk") });
const timeline = new Timeline(find("timeline"));
const captions = new Captions(find("scroller"), find("captions"), (lines) => {
  find("welcome").hidden = lines > 0;
  find("new").hidden = lines === 0;
});

const heard = {
  onHeard: (item, samples) => captions.heard(item, samples),
  onFirst: (item, at_ms) => conversation.firstSound(item, at_ms),
  onFinished: (item) => conversation.finished(item),
  onLevel: (rms) => presence.replyLevel(rms),
};
const speaker = new Speaker(heard);
const player = find("player");
const remoteSpeaker = new RemoteSpeaker(player, { ...heard, clear: () => conversation.clearOutput() });

const connection = new Connection(address, callAddress, {
  onOpen: opened,
  onEvent: (event) => conversation.on(event),
  onState: connectionChanged,
  onStream: (stream, receiver) => remoteSpeaker.attach(stream, receiver),
});

const face = new Face(find("face"), {
  heardAt_ms: (item, sample) => speaker.clock.heardAt_ms(item, sample),
  onSize: pictured,
  onTrouble: (trouble) => notice.show("picture", trouble.message, dismiss),
});

const choices = new Choices({ voice: find("voice"), face: find("avatar"), onChoice: chosen });

const conversation = new Conversation({
  connection,
  speaker,
  face,
  captions,
  timeline,
  choices,
  onChange: show,
  onError: (text) => (text ? notice.show("error", text, dismiss) : notice.hide("error")),
});

connection.key = sessionStorage.getItem(KEY);

player.addEventListener("resize", () => player.videoWidth > 2 && pictured(player.videoWidth, player.videoHeight));

/** There is a picture, of that size. */
function pictured(width, height) {
  choices.size = { width, height };
  presence.face(choices.size, choices.avatar !== null);
}

const microphone = new Microphone({
  onFrame: hear,
  onTrack: (track) => connection.speak(track),
  onTrouble: microphoneTroubled,
});

const controls = new Controls(
  { mute: find("mute"), sound: find("sound"), face: find("no-face"), full: find("full") },
  {
    onMute: (off) => {
      muted = off;
      microphone.mute(off);
      show();
    },
    onSilence: (off) => [speaker, remoteSpeaker].forEach((each) => each.mute(off)),
    onFace: (shown) => {
      choices.show(shown);
      chosen();
    },
    screen: document.querySelector("main"),
  },
);

/** What is there to be chosen. Asked again when a session begins, as long as there is no face: the stage may be late. */
async function look() {
  const before = choices.avatar;
  choices.offer(await fetchOffers(connection.key));
  find("choose").hidden = !choices.any;
  if (choices.avatar !== before) chosen();
  else show();
  const still = choices.preview && (await fetchPicture(choices.preview, connection.key));
  if (still) face.still(still);
}

function chosen() {
  if (choices.avatar === null) face.reset();
  if (connection.state === "open") conversation.chosen();
  presence.face(choices.size, choices.avatar !== null && (face.shown > 0 || player.videoWidth > 2));
  show();
}

function hear(samples, rms) {
  presence.userLevel(rms);
  preroll.push({ samples, at_ms: performance.now() });
  if (connection.state !== "open" && preroll.length > PREROLL_FRAMES) preroll.shift();
  while (preroll.length > 0 && conversation.hear(preroll[0].samples, preroll[0].at_ms)) preroll.shift();
}

function microphoneTroubled(trouble) {
  if (trouble.kind === "lost") stopTalking();
  notice.show("microphone", trouble.message);
}

async function startTalking() {
  talking = true;
  asking = true;
  notice.hide();
  show();
  const [, trouble] = await Promise.all([startSound(), microphone.start().catch((trouble) => trouble)]);
  asking = false;
  if (trouble) {
    stopTalking();
    notice.show("microphone", trouble.message);
  } else if (talking) connection.open();
  show();
}

function stopTalking() {
  talking = false;
  microphone.stop();
  preroll.length = 0;
  presence.userLevel(0);
  conversation.stopListening();
  conversation.stop();
  if (connection.state === "waiting" && unsent.length === 0) {
    connection.rest();
    notice.hide("connection");
  }
  show();
}

/** Without sound the conversation goes on in writing. */
function startSound() {
  remoteSpeaker.start();
  return speaker.start().catch((trouble) => notice.show("sound", trouble.message, dismiss));
}

async function say(text) {
  const message = { id: newItemId(), text };
  captions.final(message.id, text);
  notice.hide();
  await startSound();
  if (connection.state === "open") {
    conversation.type(message.id, text);
    return;
  }
  unsent.push(message);
  connection.open();
}

async function startAnew() {
  connection.close();
  conversation.end();
  await conversation.speaker.drop();
  unsent.length = 0;
  captions.clear();
  timeline.clear();
  notice.hide();
  if (talking) connection.open();
  show();
}

/** The protocol takes ids of up to 32 characters. */
function newItemId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `item_${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function opened(again, resumed) {
  conversation.speaker = connection.isCall ? remoteSpeaker : speaker;
  find("stage").dataset.way = connection.isCall ? "call" : "socket";
  if (!connection.callUrl) sessionStorage.setItem(WAY, "socket"); // not to look for another in vain with each page
  const waiting = new Set(unsent.map(({ id }) => id));
  if (resumed) conversation.goOn();
  else conversation.begin(again ? captions.said().filter(({ id }) => !waiting.has(id)) : []);
  notice.hide("connection");
  if (!choices.offers.faces) look();
  for (const { id, text } of unsent.splice(0)) await conversation.type(id, text);
}

function connectionChanged(state, trouble, wait_ms) {
  if (trouble) {
    conversation.end();
    if (state === "off") gaveUp(trouble);
    else notice.show("connection", `${trouble.message} Trying again${wait_ms >= 3000 ? ` in ${Math.round(wait_ms / 1000)} seconds` : ""}…`, retryNow);
  }
  show();
}

const dismiss = { label: "Dismiss", act: () => notice.hide() };
const retryNow = { label: "Try now", act: () => connection.open() };

/** The server does not want us now; asking again and again would not help it. */
function gaveUp(trouble) {
  const wasTalking = talking;
  stopTalking();
  if (trouble.kind === "key") {
    askForKey(trouble, wasTalking);
    return;
  }
  notice.show("connection", trouble.message, wasTalking ? { label: "Try again", act: startTalking } : retryNow);
}

/** Kept for as long as the tab is open. */
function askForKey(trouble, wasTalking) {
  const wrong = connection.key !== null;
  notice.show("connection", wrong ? "The server does not know this key." : trouble.message);
  find("key").hidden = false;
  find("key-text").focus();
  find("key").onsubmit = (event) => {
    event.preventDefault();
    // A key is one word, as a header or a subprotocol can carry it.
    connection.key = find("key-text").value.replace(/[^!#$%&'*+.^_`|~0-9A-Za-z-]/g, "") || null;
    if (connection.key) sessionStorage.setItem(KEY, connection.key);
    find("key").hidden = true;
    find("key-text").value = "";
    look();
    if (wasTalking) startTalking();
    else connection.open();
  };
}

const MOODS = {
  listening: "Listening",
  hearing: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  holding: "Speaking",
};

function show() {
  const [mood, words] = moodAndWords();
  presence.show(mood, words);
  const label = talking ? "Stop" : "Talk";
  if (find("talk-label").textContent !== label) find("talk-label").textContent = label;
  find("talk").classList.toggle("on", talking);
  controls.offer({ talking, faces: choices.offers.faces, shown: choices.shown });
}

function moodAndWords() {
  if (asking) return ["waiting", "Waiting for the microphone"];
  if (connection.state === "connecting") return ["waiting", "Connecting"];
  if (connection.state === "waiting") return ["lost", "Reconnecting"];
  if (connection.state === "off") return ["off", talking ? "Connecting" : "Ready"];
  const activity = conversation.activity;
  if (activity === "listening" || activity === "hearing") {
    if (!talking) return ["off", "Microphone off"];
    if (muted) return ["off", "Muted"];
  }
  return [activity, MOODS[activity]];
}

find("talk").addEventListener("click", () => (talking ? stopTalking() : startTalking()));
find("new").addEventListener("click", startAnew);

find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("say").value.trim();
  if (!text) return;
  find("say").value = "";
  say(text);
});

for (const button of document.querySelectorAll("#welcome button")) {
  button.addEventListener("click", () => {
    find("say").focus(); // the button goes away
    say(button.textContent);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  // On a button or in the text field the space bar means what it always means there.
  if (event.key === " " && !event.target.closest("button, input, select, a")) {
    event.preventDefault();
    find("talk").click();
  } else if (event.key === "Escape") {
    if (find("choices").matches(":popover-open")) return; // it closes that
    if (conversation.activity === "speaking" || conversation.activity === "thinking") conversation.stop();
    else if (talking) stopTalking();
  } else if (!event.target.closest("input, select")) controls.key(event.key.toLowerCase());
});

window.addEventListener("pagehide", () => connection.close());
presence.face(choices.size, false);
show();
look();
