/** When each frame of a video is shown, read from its file: browsers don't tell. */
import { boxesOf, inside } from "./mp4";

/** The frames of a video, in the order in which they are shown. */
export interface VideoTiming {
  /** Seconds at which each begins, ascending from 0. */
  readonly starts: Float64Array;
  /** Seconds at which the last one ends. */
  readonly end: number;
}

/** More than a day at 12 frames a second; what claims more isn't believed. */
const MOST_FRAMES = 1 << 20;

/** Of frames that follow each other evenly. */
export function evenTiming(frames: number, rate: number): VideoTiming {
  const count = Math.min(MOST_FRAMES, Math.max(1, Math.round(frames)));
  return { starts: Float64Array.from({ length: count }, (_, at) => at / rate), end: count / rate };
}

/** Frames a second, on average. */
export function rateOf({ starts, end }: VideoTiming): number {
  return end > 0 ? starts.length / end : 0;
}

/** The frame that is shown at a time. */
export function frameAt({ starts }: VideoTiming, seconds: number): number {
  // Times of players are rounded.
  const sought = seconds + 1e-4;
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= sought) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A time at which a frame is shown: its middle, as players round to either side of an edge. */
export function timeWithin({ starts, end }: VideoTiming, frame: number): number {
  const at = Math.min(starts.length - 1, Math.max(0, frame));
  return ((starts[at] ?? 0) + (starts[at + 1] ?? end)) / 2;
}

/** The timing in the `moov` of an MP4 or MOV; null if it has no track of pictures that can be read. */
export function mp4Timing(movie: Uint8Array): VideoTiming | null {
  const media = boxesOf(movie)
    .filter(({ kind }) => kind === "trak")
    .map(({ body }) => inside(body, "mdia"))
    .find((each) => latin(inside(each, "hdlr"), 8) === "vide");
  if (media === undefined) return null;
  const head = viewOf(inside(media, "mdhd"));
  const table = inside(inside(media, "minf"), "stbl");
  const unit = numberAt(head, head.byteLength > 0 && head.getUint8(0) === 1 ? 20 : 12);
  const decoded = decodedAt(viewOf(inside(table, "stts")));
  if (unit === 0 || decoded.length < 2) return null;
  const shown = Float64Array.from(decoded.slice(0, -1));
  addOffsets(shown, viewOf(inside(table, "ctts")));
  shown.sort();
  const first = shown[0] ?? 0;
  const last = (decoded.at(-1) ?? 0) - (decoded.at(-2) ?? 0);
  const end = ((shown.at(-1) ?? 0) - first + last) / unit;
  return { starts: shown.map((each) => (each - first) / unit), end };
}

/** When each frame is decoded, in the track's unit, and when the last one is over. */
function decodedAt(durations: DataView): readonly number[] {
  const found = [0];
  let now = 0;
  for (let at = 8; at + 8 <= durations.byteLength && found.length <= MOST_FRAMES; at += 8) {
    const [count, duration] = [numberAt(durations, at), numberAt(durations, at + 4)];
    for (let each = 0; each < count && found.length <= MOST_FRAMES; each += 1) {
      now += duration;
      found.push(now);
    }
  }
  return found;
}

/** Frames that others are made from are decoded before those that are shown first. */
function addOffsets(shown: Float64Array, offsets: DataView): void {
  let frame = 0;
  for (let at = 8; at + 8 <= offsets.byteLength && frame < shown.length; at += 8) {
    const count = numberAt(offsets, at);
    const by = offsets.getInt32(at + 4);
    for (const until = Math.min(shown.length, frame + count); frame < until; frame += 1) {
      shown[frame] = (shown[frame] ?? 0) + by;
    }
  }
}

// Numbers of the elements of a WebM or MKV.
const SEGMENT = 0x18538067;
const TRACKS = 0x1654ae6b;
const TRACK = 0xae;
const KIND = 0x83;
const PICTURES = 1;
const FRAME_NANOSECONDS = 0x23e383;

/** Frames a second that the head of a WebM or MKV tells; null if it tells none. */
export function webmRate(head: Uint8Array): number | null {
  const segment = elementsOf(head).find(({ id }) => id === SEGMENT);
  const tracks = segment && elementsOf(segment.body).find(({ id }) => id === TRACKS);
  for (const { id, body } of tracks ? elementsOf(tracks.body) : []) {
    const numbers = new Map(elementsOf(body).map((each) => [each.id, unsigned(each.body)]));
    const nanoseconds = numbers.get(FRAME_NANOSECONDS);
    if (id === TRACK && numbers.get(KIND) === PICTURES && nanoseconds) return 1e9 / nanoseconds;
  }
  return null;
}

interface Element {
  readonly id: number;
  readonly body: Uint8Array;
}

const MOST_ELEMENTS = 1000;

/** The elements one after the other; one that goes on beyond what is known is cut off there. */
function elementsOf(bytes: Uint8Array): readonly Element[] {
  const found: Element[] = [];
  let at = 0;
  while (at < bytes.length && found.length < MOST_ELEMENTS) {
    const idWidth = widthAt(bytes, at);
    const sizeWidth = widthAt(bytes, at + idWidth);
    const start = at + idWidth + sizeWidth;
    if (idWidth === 0 || sizeWidth === 0 || start > bytes.length) break;
    const said = unsigned(bytes.subarray(at + idWidth, start)) - 2 ** (7 * sizeWidth);
    // All ones: it goes on until what holds it ends.
    const isOpen = said === 2 ** (7 * sizeWidth) - 1;
    const size = isOpen ? bytes.length - start : said;
    const id = unsigned(bytes.subarray(at, at + idWidth));
    found.push({ id, body: bytes.subarray(start, start + size) });
    at = start + size;
  }
  return found;
}

/** Bytes of the number that begins there, told by its leading zeros; 0 if there is none. */
function widthAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  return first === 0 ? 0 : Math.clz32(first) - 23;
}

function unsigned(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function numberAt(view: DataView, at: number): number {
  return at + 4 <= view.byteLength ? view.getUint32(at) : 0;
}

function latin(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
