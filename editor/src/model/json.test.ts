import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareTexts,
  ExactNumber,
  floatJson,
  fromPlain,
  integerFromText,
  type Json,
  JsonFault,
  numberOf,
  readJson,
  sameJson,
  toPlain,
  writeJson,
} from "./json";

const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 70n }).map((value) => new ExactNumber(`${value}`)),
    fc.string({ unit: "binary" }),
    fc.array(tie("value")),
    fc
      .uniqueArray(fc.tuple(fc.string({ unit: "binary" }), tie("value")), {
        selector: ([key]) => key,
      })
      .map((members) => new Map(members)),
  ),
})).value;

describe("readJson and writeJson", () => {
  it("give back every value", () => {
    fc.assert(fc.property(json, (value) => sameJson(readJson(writeJson(value)), value)));
  });

  it("give back every text once it is written", () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = writeJson(value);
        expect(writeJson(readJson(text))).toBe(text);
      }),
    );
  });

  it.each([
    ["4.0", "4.0"],
    ["4.50", "4.5"],
    ["1e5", "100000.0"],
    ["1e16", "1e+16"],
    ["1E-5", "1e-05"],
    ["0.0001", "0.0001"],
    ["123456789012345680000.0", "1.2345678901234568e+20"],
    ["0.000001", "1e-06"],
    ["5e-324", "5e-324"],
    ["-0", "0"],
    ["-0.0", "-0.0"],
    ["9223372036854775807", "9223372036854775807"],
    ["18446744073709551615", "18446744073709551615"],
    ["9007199254740991", "9007199254740991"],
  ])("writes the number %s as %s", (given, written) => {
    expect(writeJson(readJson(given))).toBe(`${written}\n`);
  });

  it("keep the order of keys that look like numbers", () => {
    const text = '{"10": 1, "9": 2, "__proto__": 3, "constructor": 4}\n';
    expect(writeJson(readJson(text))).toBe(text);
  });

  it("write halves of surrogate pairs as escapes, and count them as one character", () => {
    expect(writeJson(readJson('"\\ud83d"'))).toBe('"\\ud83d"\n');
    expect(writeJson(readJson('"\\ud83d\\ude00"'))).toBe('"😀"\n');
  });

  it("break lines that are longer than 99 characters", () => {
    const list = [..."x".repeat(20)];
    expect(writeJson(list).split("\n")).toHaveLength(23);
    expect(writeJson(list.slice(0, 19)).split("\n")).toHaveLength(2);
  });

  it.each([
    ["", 1, 1],
    ["{", 1, 2],
    ['{"a": 1,}', 1, 9],
    ["[1,\n 2,\n x]", 3, 2],
    ['{"a": 1, "a": 2}', 1, 10],
    ["// no\n1", 1, 1],
    ["1 2", 1, 3],
    ["NaN", 1, 1],
    ["1e400", 1, 1],
    ["01", 1, 2],
    ['"a\tb"', 1, 1],
    ["'a'", 1, 1],
  ])("refuse %j at line %i, column %i", (text, line, column) => {
    const fault = faultOf(() => readJson(text));
    expect(fault).toBeInstanceOf(JsonFault);
    expect([fault?.line, fault?.column]).toEqual([line, column]);
  });

  it("refuse what is nested too deeply", () => {
    expect(() => readJson("[".repeat(100_000))).toThrow(JsonFault);
  });
});

function faultOf(act: () => unknown): JsonFault | null {
  try {
    act();
    return null;
  } catch (fault) {
    return fault instanceof JsonFault ? fault : null;
  }
}

describe("plain values", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(toPlain(fromPlain(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("hold large whole numbers as bigints if asked to", () => {
    const seed = readJson("18446744073709551615");
    expect(toPlain(seed, { bigints: true })).toBe(18446744073709551615n);
    expect(fromPlain(18446744073709551615n)).toEqual(seed);
  });

  it("never touch prototypes", () => {
    const plain = toPlain(readJson('{"__proto__": {"polluted": true}}'));
    expect(Object.getPrototypeOf(plain)).toBe(Object.prototype);
    expect(Object.keys(plain as object)).toEqual(["__proto__"]);
  });
});

describe("numbers", () => {
  it("of float ports stay floats", () => {
    expect(writeJson([floatJson(4), floatJson(4.5), floatJson(-0)])).toBe("[4.0, 4.5, 0.0]\n");
    expect(numberOf(floatJson(4))).toBe(4);
  });

  it("of any size are read from their digits", () => {
    expect(integerFromText("12")).toBe(12);
    expect(integerFromText("18446744073709551615")).toEqual(
      new ExactNumber("18446744073709551615"),
    );
    expect(integerFromText("1.5")).toBeNull();
  });
});

it("compareTexts sorts by character, not by UTF-16", () => {
  expect(["😀", "￿", "a", "\ud83d", "ab"].sort(compareTexts)).toEqual([
    "a",
    "ab",
    "\ud83d",
    "￿",
    "😀",
  ]);
});
