/** Texts in an MP4 or MOV: as FFmpeg writes them, by name (`mdta`) or by a code of four signs. */

export interface Box {
  readonly kind: string;
  /** As much of it as there is. */
  readonly body: Uint8Array;
  /** Bytes that it says its body has. */
  readonly size: number;
}

/** What codes of four signs stand for. */
const NAMES: Readonly<Record<string, string>> = { "©cmt": "comment" };
const MOST_BOXES = 10_000;

/** The texts by name, in small letters; what is damaged is passed over. */
export function mp4Texts(bytes: Uint8Array): Map<string, string> {
  const movie = inside(bytes, "moov");
  const metas = [movie, inside(movie, "udta")].map((holder) => inside(holder, "meta"));
  return new Map(metas.flatMap((meta) => textsOf(withoutVersion(meta))));
}

function textsOf(meta: Uint8Array): readonly (readonly [string, string])[] {
  const names = namesIn(inside(meta, "keys"));
  return boxesOf(inside(meta, "ilst")).flatMap(({ kind, body }) => {
    const number = new DataView(latinBytes(kind).buffer).getUint32(0);
    const name = names[number - 1] ?? NAMES[kind];
    const data = inside(body, "data");
    // Its kind and language come first.
    return name && data.length > 8 ? [[name, new TextDecoder().decode(data.subarray(8))]] : [];
  });
}

/** Names that entries are numbered by, from 1. */
function namesIn(keys: Uint8Array): readonly string[] {
  // Each is a box whose kind is `mdta`, after a version and their count.
  return boxesOf(keys.subarray(8)).map(({ body }) => new TextDecoder().decode(body).toLowerCase());
}

/** MOV has its boxes at once, MP4 after four bytes. */
function withoutVersion(meta: Uint8Array): Uint8Array {
  return kindAt(meta, 4) === "hdlr" ? meta : meta.subarray(4);
}

export function inside(bytes: Uint8Array, kind: string): Uint8Array {
  return boxesOf(bytes).find((box) => box.kind === kind)?.body ?? new Uint8Array(0);
}

export function boxesOf(bytes: Uint8Array): readonly Box[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Box[] = [];
  let at = 0;
  while (at + 8 <= bytes.length && found.length < MOST_BOXES) {
    const said = view.getUint32(at);
    const isLong = said === 1 && at + 16 <= bytes.length;
    const head = isLong ? 16 : 8;
    // A box of no length goes on to the end.
    const size = isLong ? Number(view.getBigUint64(at + 8)) : said || bytes.length - at;
    if (size < head) break;
    const body = bytes.subarray(at + head, at + size);
    found.push({ kind: kindAt(bytes, at + 4), body, size: size - head });
    at += size;
  }
  return found;
}

function kindAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

function latinBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.padEnd(4, "\0"), (sign) => sign.charCodeAt(0));
}
