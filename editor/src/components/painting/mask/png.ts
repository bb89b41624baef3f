/**
 * PNG files by hand. A canvas multiplies colours by their transparency, so that what lies under a
 * fully transparent pixel is lost; here it stays, as inpainting wants to see it.
 */
import { unzlibSync, zlibSync } from "fflate";

/** Colours and transparency, four bytes a pixel, row by row, not multiplied. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Larger pictures are refused: their pixels wouldn't fit into a page's memory well. */
export const MOST_PIXELS = 64 * 2 ** 20;

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
/** Bytes a pixel of the colour types that are read here, 8 bits a channel. */
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

export function encodePng({ width, height, data }: Pixels): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 6, 0, 0, 0], 8);
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", header),
    chunk("IDAT", zlibSync(filtered(width, height, data), { level: 6 })),
    chunk("IEND", new Uint8Array(0)),
  ];
  return joined(parts);
}

/** The pixels of a PNG of the usual kinds; null for others, which a canvas has to decode. */
export function decodePng(bytes: Uint8Array): Pixels | null {
  try {
    return decode(bytes);
  } catch {
    // A damaged or unusual file: the browser's own decoder has the last word.
    return null;
  }
}

function decode(bytes: Uint8Array): Pixels | null {
  if (!SIGNATURE.every((byte, index) => bytes[index] === byte)) return null;
  const chunks = chunksOf(bytes);
  const header = chunks.find((item) => item.name === "IHDR")?.data;
  if (header === undefined || header.length < 13) return null;
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, color, , , interlaced] = header.subarray(8);
  const channels = CHANNELS[color ?? -1];
  if (width * height > MOST_PIXELS) return null;
  if (depth !== 8 || interlaced !== 0 || channels === undefined) return null;
  const packed = joined(chunks.filter((item) => item.name === "IDAT").map((item) => item.data));
  // Bounded by what the header promises: a small file can't blow up to more.
  const raw = unzlibSync(packed, { out: new Uint8Array(height * (width * channels + 1)) });
  if (raw.length !== height * (width * channels + 1)) return null;
  const rows = unfiltered(raw, width * channels, height, channels);
  const palette = chunks.find((item) => item.name === "PLTE")?.data;
  const transparent = chunks.find((item) => item.name === "tRNS")?.data;
  if (color === 3 && palette === undefined) return null;
  // A single see-through colour is rare enough to leave to the canvas.
  if (transparent !== undefined && color !== 3) return null;
  return { width, height, data: expanded(rows, color ?? 0, palette, transparent) };
}

function expanded(
  rows: Uint8Array,
  color: number,
  palette: Uint8Array | undefined,
  transparent: Uint8Array | undefined,
): Uint8Array {
  const channels = CHANNELS[color] ?? 1;
  const count = rows.length / channels;
  const data = new Uint8Array(count * 4);
  for (let pixel = 0; pixel < count; pixel++) {
    const from = pixel * channels;
    const first = rows[from] ?? 0;
    const to = pixel * 4;
    if (color === 3) {
      for (let c = 0; c < 3; c++) data[to + c] = palette?.[first * 3 + c] ?? 0;
      data[to + 3] = transparent?.[first] ?? 255;
      continue;
    }
    const gray = channels < 3;
    data[to] = first;
    data[to + 1] = gray ? first : (rows[from + 1] ?? 0);
    data[to + 2] = gray ? first : (rows[from + 2] ?? 0);
    data[to + 3] = channels % 2 === 0 ? (rows[from + channels - 1] ?? 255) : 255;
  }
  return data;
}

/** Rows with the filter "up" where it helps pictures most: what changed since the row above. */
function filtered(width: number, height: number, data: Uint8Array): Uint8Array {
  const stride = width * 4;
  const rows = new Uint8Array(height * (stride + 1));
  for (let y = 0; y < height; y++) {
    const to = y * (stride + 1);
    rows[to] = 2;
    for (let x = 0; x < stride; x++) {
      const above = y === 0 ? 0 : (data[(y - 1) * stride + x] ?? 0);
      rows[to + 1 + x] = (data[y * stride + x] ?? 0) - above;
    }
  }
  return rows;
}

function unfiltered(raw: Uint8Array, stride: number, height: number, channels: number): Uint8Array {
  const rows = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const kind = raw[y * (stride + 1)] ?? 0;
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x < channels ? 0 : (rows[at - channels] ?? 0);
      const above = y === 0 ? 0 : (rows[at - stride] ?? 0);
      const corner = x < channels || y === 0 ? 0 : (rows[at - stride - channels] ?? 0);
      const guess = predicted(kind, left, above, corner);
      rows[at] = (raw[y * (stride + 1) + 1 + x] ?? 0) + guess;
    }
  }
  return rows;
}

/** PNG specification, section 9: the filters 0 none, 1 sub, 2 up, 3 average, 4 Paeth. */
function predicted(kind: number, left: number, above: number, corner: number): number {
  if (kind === 1) return left;
  if (kind === 2) return above;
  if (kind === 3) return (left + above) >> 1;
  if (kind !== 4) return 0;
  const estimate = left + above - corner;
  const [a, b, c] = [
    Math.abs(estimate - left),
    Math.abs(estimate - above),
    Math.abs(estimate - corner),
  ];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

interface Chunk {
  readonly name: string;
  readonly data: Uint8Array;
}

function chunksOf(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Chunk[] = [];
  let at = SIGNATURE.length;
  while (at + 12 <= bytes.length) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    found.push({ name, data: bytes.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return found;
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let index = 0; index < 4; index++) bytes[4 + index] = name.charCodeAt(index);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, crc32(bytes.subarray(4, data.length + 8)));
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const CRC = Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (CRC[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
