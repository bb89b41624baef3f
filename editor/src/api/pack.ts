// msgpack as the editor sends it: like the package's own encoder, but it takes the Maps and exact
// numbers of model/json too, so that `4.0` stays a float and a seed beyond 2^53 stays itself.
import { ExactNumber } from "@/model/json";

const LARGEST = (1n << 64n) - 1n;
const SMALLEST = -(1n << 63n);

/** Bytes of a value: what JSON has, `ExactNumber`, Maps with text keys, and bytes. */
export function pack(value: unknown): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.value(value);
  return writer.bytes();
}

class Writer {
  private room = new DataView(new ArrayBuffer(1024));
  private used = 0;
  private readonly text = new TextEncoder();

  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.room.buffer.slice(0, this.used));
  }

  value(value: unknown): void {
    if (value === null || value === undefined) this.byte(0xc0);
    else if (typeof value === "boolean") this.byte(value ? 0xc3 : 0xc2);
    else if (typeof value === "number") this.number(value);
    else if (typeof value === "string") this.string(value);
    else if (typeof value === "bigint") this.integer(value);
    else if (value instanceof ExactNumber) this.exact(value.text);
    else if (value instanceof Uint8Array) this.binary(value);
    else if (Array.isArray(value)) this.list(value);
    else if (value instanceof Map) this.map([...value]);
    else if (typeof value === "object") this.map(membersOf(value));
    else throw new TypeError(`a ${typeof value} can't be sent`);
  }

  private number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.integer(BigInt(value));
    else this.float(value);
  }

  private exact(text: string): void {
    const whole = /^-?\d+$/.test(text) ? BigInt(text) : null;
    if (whole !== null && whole >= SMALLEST && whole <= LARGEST) this.integer(whole);
    else this.float(Number(text));
  }

  private integer(value: bigint): void {
    if (value >= 0n) this.positive(value);
    else this.negative(value);
  }

  private positive(value: bigint): void {
    if (value < 0x80n) this.byte(Number(value));
    else if (value < 0x100n) this.head(0xcc, 1, (at) => this.room.setUint8(at, Number(value)));
    else if (value < 0x10000n) this.head(0xcd, 2, (at) => this.room.setUint16(at, Number(value)));
    else if (value < 0x100000000n)
      this.head(0xce, 4, (at) => this.room.setUint32(at, Number(value)));
    else this.head(0xcf, 8, (at) => this.room.setBigUint64(at, value));
  }

  private negative(value: bigint): void {
    if (value >= -0x20n) this.byte(Number(value) & 0xff);
    else if (value >= -0x80n) this.head(0xd0, 1, (at) => this.room.setInt8(at, Number(value)));
    else if (value >= -0x8000n) this.head(0xd1, 2, (at) => this.room.setInt16(at, Number(value)));
    else if (value >= -0x80000000n)
      this.head(0xd2, 4, (at) => this.room.setInt32(at, Number(value)));
    else this.head(0xd3, 8, (at) => this.room.setBigInt64(at, value));
  }

  private float(value: number): void {
    this.head(0xcb, 8, (at) => this.room.setFloat64(at, value));
  }

  private string(value: string): void {
    const bytes = this.text.encode(value);
    if (bytes.length < 0x20) this.byte(0xa0 | bytes.length);
    else this.length(bytes.length, 0xd9, 0xda, 0xdb);
    this.raw(bytes);
  }

  private binary(value: Uint8Array): void {
    this.length(value.length, 0xc4, 0xc5, 0xc6);
    this.raw(value);
  }

  private list(values: readonly unknown[]): void {
    if (values.length < 0x10) this.byte(0x90 | values.length);
    else this.length(values.length, null, 0xdc, 0xdd);
    for (const value of values) this.value(value);
  }

  private map(members: readonly (readonly [unknown, unknown])[]): void {
    if (members.length < 0x10) this.byte(0x80 | members.length);
    else this.length(members.length, null, 0xde, 0xdf);
    for (const [key, value] of members) {
      this.string(String(key));
      this.value(value);
    }
  }

  private length(count: number, small: number | null, middle: number, large: number): void {
    if (small !== null && count < 0x100) this.head(small, 1, (at) => this.room.setUint8(at, count));
    else if (count < 0x10000) this.head(middle, 2, (at) => this.room.setUint16(at, count));
    else this.head(large, 4, (at) => this.room.setUint32(at, count));
  }

  private head(kind: number, size: number, write: (at: number) => void): void {
    this.byte(kind);
    this.reserve(size);
    write(this.used);
    this.used += size;
  }

  private byte(value: number): void {
    this.reserve(1);
    this.room.setUint8(this.used, value);
    this.used += 1;
  }

  private raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    new Uint8Array(this.room.buffer).set(bytes, this.used);
    this.used += bytes.length;
  }

  private reserve(size: number): void {
    const needed = this.used + size;
    if (needed <= this.room.byteLength) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.room.byteLength));
    larger.set(new Uint8Array(this.room.buffer, 0, this.used));
    this.room = new DataView(larger.buffer);
  }
}

/** An object's members; what is `undefined` isn't there, as in JSON. */
function membersOf(value: object): readonly (readonly [string, unknown])[] {
  return Object.entries(value).filter(([, member]) => member !== undefined);
}
