// A call by WebRTC: sound and picture as tracks, events on a data channel. To its user it looks like a WebSocket.

const CONNECT_MS = 3000; // then UDP does not pass: one that does is connected after a few hundred
const ANSWER_MS = 5000;
const LOST = 1006;
const BLIND = 4010; // this way leads nowhere here; another may
const CODES = { 401: 3000, 403: 1008, 429: 1013 }; // how a WebSocket closes for the same reason

/** Whether this browser can call and show what comes. */
export function canCall() {
  const codecs = window.RTCPeerConnection && RTCRtpReceiver.getCapabilities?.("video")?.codecs;
  return Boolean(codecs?.some(({ mimeType }) => mimeType === "video/H264"));
}

export class Call {
  /** `key`: for a server that wants one; null. `onStream(stream)`: its sound and picture; null when it is over. */
  constructor(url, key, onStream) {
    this.onStream = onStream;
    this.onmessage = this.onclose = null;
    this.peer = new RTCPeerConnection();
    this.sound = this.peer.addTransceiver("audio", { direction: "sendrecv" });
    this.peer.addTransceiver("video", { direction: "recvonly" });
    this.channel = this.peer.createDataChannel("oai-events");
    this.channel.onmessage = ({ data }) => this.heard(data);
    this.channel.onclose = () => this.lost();
    this.peer.ontrack = ({ streams }) => onStream(streams[0]);
    this.peer.onconnectionstatechange = () => this.peer.connectionState === "failed" && this.lost();
    this.began = false;
    this.goodbye = null; // why the server hung up, in words
    this.timer = null;
    this.connect(url, key);
  }

  get bufferedAmount() {
    return this.channel.bufferedAmount;
  }

  /** What the microphone gives; null: nothing. */
  speak(track) {
    this.sound.sender.replaceTrack(track);
  }

  send(text) {
    if (this.channel.readyState === "open") this.channel.send(text);
  }

  close() {
    clearTimeout(this.timer);
    this.onmessage = this.onclose = null;
    this.channel.onclose = null;
    this.peer.close();
    this.onStream(null);
  }

  async connect(url, key) {
    try {
      // Before there is a description: with it, the browser begins to look for ways.
      this.peer.setConfiguration({ iceServers: await fetchIceServers(url, key) });
      await this.peer.setLocalDescription();
      const answer = await this.offer(url, key);
      if (!answer.ok) {
        this.end(CODES[answer.status] ?? BLIND);
        return;
      }
      this.timer = setTimeout(() => this.end(BLIND), CONNECT_MS);
      await this.peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    } catch (error) {
      this.end(error instanceof TypeError ? LOST : BLIND); // fetch's word for a server that cannot be reached
    }
  }

  offer(url, key) {
    const headers = { "Content-Type": "application/sdp", ...authorization(key) };
    // The server learns this side's addresses from its checks, so none are gathered before.
    const body = this.peer.localDescription.sdp;
    return fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(ANSWER_MS) });
  }

  heard(data) {
    clearTimeout(this.timer);
    this.began = true;
    const event = JSON.parse(data);
    if (event.type === "error" && event.error.code === "session_closed") this.goodbye = event.error.message;
    else this.onmessage?.({ data });
  }

  lost() {
    this.end(this.goodbye ? 1000 : this.began ? LOST : BLIND);
  }

  end(code) {
    const tell = this.onclose;
    this.close();
    tell?.({ code, reason: this.goodbye ?? "" });
  }
}

/** The STUN and TURN servers that the server is configured with. Without them a call may still connect. */
async function fetchIceServers(url, key) {
  const address = new URL(url, document.baseURI);
  address.pathname += "/ice_servers";
  address.search = "";
  const answer = await fetch(address, { headers: authorization(key), signal: AbortSignal.timeout(ANSWER_MS) });
  return answer.ok ? (await answer.json()).data : [];
}

function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Whether a call ended because there is no way for one. */
export function leadsNowhere(code) {
  return code === BLIND;
}
