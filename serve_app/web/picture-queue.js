// Which picture is to be seen now. Pictures of what is said wait for their sound; the others follow at 25 a second.
//
// A place is made for a picture as soon as its block has come, in the order of the blocks, and filled when it is decoded.
// Dropped are places, so what was decoded too late to be dropped before is never seen.

const FRAME_MS = 40;
const LATE_MS = 100; // the next silent picture is shown when it comes, and the rest goes on from there
const MOST_SILENT = 12; // waiting and due one after another: the server is at most 0.32 s ahead, and the sound some 0.1 s late
const MOST = 50; // 2 s, as in a window that nobody sees

export class PictureQueue {
  /** `heardAt_ms(item, sample)`: when that sample of an item is heard, by performance.now(); Infinity if that is open. */
  constructor(heardAt_ms) {
    this.heardAt_ms = heardAt_ms;
    this.places = []; // {item, sample, picture}; without an item: silent
    this.held = false;
    this.shown_ms = -Infinity; // when the last one was due
  }

  /** The next place. `sample` of `item` is heard with it; silent, when `item` is null. */
  place(item, sample) {
    const place = { item, sample, picture: null, dropped: false };
    this.places.push(place);
    while (this.places.length > MOST) this.drop([this.places[0]]);
    return place;
  }

  fill(place, picture) {
    if (place.dropped) picture.close();
    else place.picture = picture;
  }

  /** The picture to show now, to be closed by who gets it; null: the one before stays. */
  next(now_ms) {
    return this.nextSpoken(now_ms) ?? this.nextSilent(now_ms);
  }

  nextSpoken(now_ms) {
    if (this.held) return null;
    const place = this.places.findLast((each) => each.item && each.picture && this.heardAt_ms(each.item, each.sample) <= now_ms);
    if (!place) return null;
    this.shown_ms = this.heardAt_ms(place.item, place.sample);
    return this.take(place, this.places.slice(0, this.places.indexOf(place)));
  }

  /** In a hold the pictures of what is not said yet wait, and those behind them are shown. */
  nextSilent(now_ms) {
    const run = this.held ? this.places.filter(isSilent) : headOf(this.places);
    this.drop(run.splice(0, run.length - MOST_SILENT));
    let taken = null;
    for (const place of run) {
      const due_ms = this.shown_ms + FRAME_MS;
      if (!place.picture || due_ms > now_ms) break;
      this.shown_ms = now_ms - due_ms > LATE_MS ? now_ms : due_ms;
      taken?.close();
      taken = this.take(place, []);
    }
    return taken;
  }

  /** The sound stands still, and goes on: what was shown meanwhile is over. */
  hold() {
    this.held = true;
  }

  resume() {
    this.held = false;
    this.dropSilent();
  }

  /** What was to be said is not. */
  dropSpoken() {
    this.held = false;
    this.drop(this.places.filter(({ item }) => item));
  }

  dropSilent() {
    this.drop(this.places.filter(isSilent));
  }

  clear() {
    this.held = false;
    this.drop([...this.places]);
  }

  /** Places that nothing will fill. */
  dropEmpty() {
    this.drop(this.places.filter(({ picture }) => !picture));
  }

  take(place, passed) {
    const { picture } = place;
    place.picture = null;
    this.drop([...passed, place]);
    return picture;
  }

  drop(places) {
    if (places.length === 0) return;
    for (const place of places) {
      place.dropped = true;
      place.picture?.close();
      place.picture = null;
    }
    this.places = this.places.filter(({ dropped }) => !dropped);
  }
}

const isSilent = ({ item }) => !item;

/** The silent ones before the first that is not. */
function headOf(places) {
  const spoken = places.findIndex(({ item }) => item);
  return places.slice(0, spoken < 0 ? places.length : spoken);
}
