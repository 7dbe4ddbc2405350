// The small buttons: microphone and sound off, face or none, full screen. And their keys.

export class Controls {
  /**
   * `buttons`: {mute, sound, face, full}. `onMute(muted)`: the microphone; `onSilence(silent)`: the loudspeaker;
   * `onFace(shown)`. `screen`: the element that fills the screen.
   */
  constructor(buttons, { onMute, onSilence, onFace, screen }) {
    this.buttons = buttons;
    this.screen = screen;
    toggle(buttons.mute, onMute);
    toggle(buttons.sound, onSilence);
    toggle(buttons.face, (hidden) => onFace(!hidden));
    buttons.full.addEventListener("click", () => this.fill());
    document.addEventListener("fullscreenchange", () => press(buttons.full, document.fullscreenElement !== null));
    this.offer({ talking: false, faces: false, shown: true });
  }

  /** What there is to switch now. */
  offer({ talking, faces, shown }) {
    const { mute, face, full } = this.buttons;
    if (!talking && pressed(mute)) mute.click();
    mute.disabled = !talking;
    face.hidden = !faces;
    press(face, !shown);
    full.hidden = !faces || !shown || !document.fullscreenEnabled;
  }

  /** A key that was pressed outside of every field. */
  key(key) {
    const { mute, full } = this.buttons;
    if (key === "m" && !mute.disabled) mute.click();
    else if (key === "f" && !full.hidden) full.click();
  }

  fill() {
    // Where the browser refuses, the window stays as it is.
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    else this.screen.requestFullscreen().catch(() => {});
  }
}

const pressed = (button) => button.getAttribute("aria-pressed") === "true";
const press = (button, on) => button.setAttribute("aria-pressed", String(on));

function toggle(button, act) {
  button.addEventListener("click", () => {
    press(button, !pressed(button));
    act(pressed(button));
  });
}
