import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExactNumber, writeJson } from "@/model/json";
import { type NumberRules, readNumber, showNumber, snapped, stepped } from "./numbers";

const WHOLE: NumberRules = { integer: true, minimum: null, maximum: null, step: 1 };
const FLOAT: NumberRules = { integer: false, minimum: null, maximum: null, step: 1 };
const SEED: NumberRules = { ...WHOLE, minimum: 0, maximum: 2 ** 64 };

function written(text: string, { integer }: NumberRules): string {
  const { value, fault } = readNumber(text, integer);
  return fault ?? writeJson(value).trim();
}

describe("reading a number", () => {
  it("keeps every digit of a seed", () => {
    expect(written("18446744073709551615", SEED)).toBe("18446744073709551615");
    expect(written("9007199254740993", SEED)).toBe("9007199254740993");
  });

  it("takes 1e3 and 12.0 for whole numbers, and no fractions", () => {
    expect(written("1e3", WHOLE)).toBe("1000");
    expect(written("12.0", WHOLE)).toBe("12");
    expect(written("1 000 000", WHOLE)).toBe("1000000");
    expect(readNumber("1.5", true).fault).toBe("notWhole");
  });

  it("writes a whole float with its point, and takes a decimal comma", () => {
    expect(written("4", FLOAT)).toBe("4.0");
    expect(written("0,75", FLOAT)).toBe("0.75");
    expect(written(".5", FLOAT)).toBe("0.5");
  });

  it.each(["", "abc", "0x10", "1e999", "Infinity", "--2", "1,000,000"])("refuses %j", (text) => {
    expect(readNumber(text, false).fault).toBe("notNumber");
  });

  it("reads what it shows, whatever the number", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (seed) => {
        const { value } = readNumber(seed.toString(), true);
        expect(showNumber(value ?? undefined)).toBe(seed.toString());
      }),
    );
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const { value } = readNumber(String(number), false);
        expect(Number(showNumber(value ?? undefined))).toBe(number === 0 ? 0 : number);
      }),
    );
  });
});

describe("stepping a number", () => {
  it("has no rounding dust", () => {
    const cfg = { ...FLOAT, minimum: 0, maximum: 100, step: 0.1 };
    expect(writeJson(stepped(0.2, cfg, 1)).trim()).toBe("0.3");
    expect(writeJson(stepped(3.9, cfg, 1)).trim()).toBe("4.0");
    expect(writeJson(stepped(1.03, cfg, 10)).trim()).toBe("2.03");
  });

  it("stops at the ends", () => {
    expect(stepped(16380, { ...WHOLE, minimum: 8, maximum: 16384, step: 8 }, 1)).toBe(16384);
    expect(stepped(0, SEED, -1)).toBe(0);
  });

  it("counts on beyond what JavaScript can hold", () => {
    const next = stepped(new ExactNumber("9007199254740993"), SEED, 1);
    expect(showNumber(next)).toBe("9007199254740994");
    expect(showNumber(stepped(next, SEED, -2))).toBe("9007199254740992");
  });

  it("puts a slider's value on its steps", () => {
    expect(snapped(13, { ...WHOLE, minimum: 8, maximum: 64, step: 8 })).toBe(16);
    expect(
      writeJson(snapped(0.7049, { ...FLOAT, minimum: 0, maximum: 1, step: 0.01 })).trim(),
    ).toBe("0.7");
  });
});
