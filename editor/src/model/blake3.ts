/**
 * BLAKE3, the digest by which the server knows files, which browsers don't have.
 *
 * As in the paper by O'Connor, Aumasson, Neves and Wilcox-O'Hearn (2020), without keys: chunks of
 * 1024 bytes are hashed by themselves, and their values in pairs up to the root of a binary tree.
 */
const IV = Uint32Array.of(
  ...[0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a],
  ...[0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
);
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const ROUNDS = 7;
const BLOCK = 64;
const CHUNK = 1024;
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;

/** For each round, which word of the message comes where. */
const SCHEDULE: Uint8Array = (() => {
  const found = new Uint8Array(ROUNDS * 16);
  let order = PERMUTATION.map((_, index) => index);
  for (let round = 0; round < ROUNDS; round++) {
    found.set(order, round * 16);
    order = PERMUTATION.map((index) => order[index] ?? 0);
  }
  return found;
})();

/** What a block is hashed with, besides its bytes: the node of the tree that it belongs to. */
interface Output {
  readonly chaining: Uint32Array;
  readonly words: Uint32Array;
  readonly counter: number;
  readonly length: number;
  readonly flags: number;
}

const state = new Uint32Array(16);
const message = new Uint32Array(16);

/** The digest of some bytes, as 64 hexadecimal digits. */
export function blake3(bytes: Uint8Array): string {
  const hash = new Blake3();
  hash.update(bytes);
  return hash.hex();
}

/** A digest of bytes that come in parts. */
export class Blake3 {
  private readonly buffer = new Uint8Array(CHUNK);
  private filled = 0;
  private chunks = 0;
  /** Values of whole subtrees, the largest one first. */
  private readonly subtrees: Uint32Array[] = [];

  update(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length) {
      // The last chunk is the root or beside it: it waits until more comes.
      if (this.filled === CHUNK) this.close(this.buffer);
      // Whole chunks that others follow needn't be copied.
      while (this.filled === 0 && bytes.length - from > CHUNK) {
        this.close(bytes.subarray(from, from + CHUNK));
        from += CHUNK;
      }
      const part = bytes.subarray(from, from + CHUNK - this.filled);
      this.buffer.set(part, this.filled);
      this.filled += part.length;
      from += part.length;
    }
  }

  hex(): string {
    let output = chunkOutput(this.buffer.subarray(0, this.filled), this.chunks);
    for (const left of this.subtrees.toReversed()) output = parent(left, chainingOf(output));
    compress(output, ROOT);
    return [...state.subarray(0, 8)].map(littleEndian).join("");
  }

  private close(chunk: Uint8Array): void {
    let subtree = chainingOf(chunkOutput(chunk, this.chunks));
    this.filled = 0;
    this.chunks += 1;
    // As many subtrees are whole now as the number of chunks ends in zeros.
    for (let count = this.chunks; count % 2 === 0; count /= 2) {
      const left = this.subtrees.pop();
      if (left) subtree = chainingOf(parent(left, subtree));
    }
    this.subtrees.push(subtree);
  }
}

/** The last block of a chunk, all before it being hashed. */
function chunkOutput(bytes: Uint8Array, counter: number): Output {
  let chaining: Uint32Array = IV;
  let from = 0;
  for (; bytes.length - from > BLOCK; from += BLOCK) {
    readWords(bytes.subarray(from, from + BLOCK), message);
    const flags = from === 0 ? CHUNK_START : 0;
    chaining = chainingOf({ chaining, words: message, counter, length: BLOCK, flags });
  }
  const words = new Uint32Array(16);
  const last = bytes.subarray(from);
  readWords(last, words);
  const flags = (from === 0 ? CHUNK_START : 0) | CHUNK_END;
  return { chaining, words, counter, length: last.length, flags };
}

function parent(left: Uint32Array, right: Uint32Array): Output {
  const words = new Uint32Array(16);
  words.set(left);
  words.set(right, 8);
  return { chaining: IV, words, counter: 0, length: BLOCK, flags: PARENT };
}

function chainingOf(output: Output): Uint32Array {
  compress(output, 0);
  return state.slice(0, 8);
}

function readWords(bytes: Uint8Array, words: Uint32Array): void {
  const whole = bytes.length >> 2;
  for (let index = 0, from = 0; index < whole; index++, from += 4) {
    const low = byte(bytes, from) | (byte(bytes, from + 1) << 8);
    words[index] = low | (byte(bytes, from + 2) << 16) | (byte(bytes, from + 3) << 24);
  }
  if (bytes.length === BLOCK) return;
  words.fill(0, whole);
  for (let from = whole * 4; from < bytes.length; from++) {
    words[whole] = word(words, whole) | (byte(bytes, from) << ((from % 4) * 8));
  }
}

function byte(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}

function word(words: Uint32Array, index: number): number {
  return words[index] as number;
}

/** Hash a block into `state`. */
function compress({ chaining, words, counter, length, flags }: Output, root: number): void {
  const v = state;
  v.set(chaining);
  v.set(IV.subarray(0, 4), 8);
  v[12] = counter;
  v[13] = Math.floor(counter / 2 ** 32);
  v[14] = length;
  v[15] = flags | root;
  for (let round = 0; round < ROUNDS * 16; round += 16) {
    mix(v, words, 0, 4, 8, 12, round);
    mix(v, words, 1, 5, 9, 13, round + 2);
    mix(v, words, 2, 6, 10, 14, round + 4);
    mix(v, words, 3, 7, 11, 15, round + 6);
    mix(v, words, 0, 5, 10, 15, round + 8);
    mix(v, words, 1, 6, 11, 12, round + 10);
    mix(v, words, 2, 7, 8, 13, round + 12);
    mix(v, words, 3, 4, 9, 14, round + 14);
  }
  for (let index = 0; index < 8; index++) v[index] = word(v, index) ^ word(v, index + 8);
}

/** The quarter round: two words of the message mixed into four of the state. */
function mix(
  v: Uint32Array,
  words: Uint32Array,
  a: number,
  b: number,
  c: number,
  d: number,
  step: number,
): void {
  // Locals, as typed arrays are read and written a good deal slower.
  let va = word(v, a);
  let vb = word(v, b);
  let vc = word(v, c);
  let vd = word(v, d);
  va = (va + vb + word(words, byte(SCHEDULE, step))) | 0;
  vd = turned(vd ^ va, 16);
  vc = (vc + vd) | 0;
  vb = turned(vb ^ vc, 12);
  va = (va + vb + word(words, byte(SCHEDULE, step + 1))) | 0;
  vd = turned(vd ^ va, 8);
  vc = (vc + vd) | 0;
  vb = turned(vb ^ vc, 7);
  v[a] = va;
  v[b] = vb;
  v[c] = vc;
  v[d] = vd;
}

function turned(value: number, by: number): number {
  return (value >>> by) | (value << (32 - by));
}

function littleEndian(value: number): string {
  const bytes = [value, value >>> 8, value >>> 16, value >>> 24];
  return bytes.map((each) => (each & 255).toString(16).padStart(2, "0")).join("");
}
