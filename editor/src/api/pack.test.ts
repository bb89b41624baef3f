import { decode } from "@msgpack/msgpack";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ExactNumber } from "@/model/json";
import { pack } from "./pack";

test("what it writes is read back by others", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      // The reader takes no such key, whoever wrote it.
      fc.pre(!JSON.stringify(value).includes('"__proto__":'));
      expect(decode(pack(value))).toEqual(value);
    }),
  );
});

test("whole numbers keep their value at all sizes", () => {
  const sizes = [
    0n,
    127n,
    128n,
    255n,
    256n,
    65535n,
    65536n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 64n - 1n,
  ];
  for (const size of [...sizes, -1n, -32n, -33n, -128n, -129n, -32769n, -(2n ** 31n) - 1n]) {
    const found = decode(pack(size), { useBigInt64: true });
    expect(BigInt(found as number | bigint)).toBe(size);
  }
});

test("an exact number is sent as it is written", () => {
  expect([...pack(new ExactNumber("4.0"))]).toEqual([0xcb, 0x40, 0x10, 0, 0, 0, 0, 0, 0]);
  const seed = new ExactNumber("9223372036854775807");
  expect(decode(pack(seed), { useBigInt64: true })).toBe(9223372036854775807n);
});

test("maps keep their order, whatever the keys look like", () => {
  const nodes = new Map([
    ["b", 1],
    ["10", 2],
    ["2", 3],
  ]);
  expect([...pack(nodes)]).toEqual([0x83, 0xa1, 98, 1, 0xa2, 49, 48, 2, 0xa1, 50, 3]);
});

test("long texts and lists get heads of their own", () => {
  const long = "ä".repeat(70_000);
  const list = Array.from({ length: 70_000 }, (_, index) => index % 3);
  expect(decode(pack({ long, list, bytes: new Uint8Array(300) }))).toEqual({
    long,
    list,
    bytes: new Uint8Array(300),
  });
});

test("what is undefined isn't there", () => {
  expect(decode(pack({ a: undefined, b: 1 }))).toEqual({ b: 1 });
});
