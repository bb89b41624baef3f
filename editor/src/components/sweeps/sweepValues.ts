/** The values of a sweep, from what a person writes: "1, 2, 3", "1..10", "0..1 step 0.25", "0:1:0.25", or words. */
import type { Json } from "@/model/json";

/** More than this many runs are not started at one go. */
const MOST = 100;

const COLONS = /^(-?[\d.]+):(-?[\d.]+)(?::([\d.]+))?$/;
const RANGE = /^(-?[\d.]+)\s*(?:\.\.|…|to)\s*(-?[\d.]+)(?:\s*(?:step|by)\s*([\d.]+))?$/i;

/** Null when it holds something that isn't a value of the wanted kind. */
export function sweepValues(text: string, kind: "number" | "text"): readonly Json[] | null {
  if (kind === "text") {
    const lines = text.split("\n").map((line) => line.trim());
    return lines.filter((line) => line !== "").slice(0, MOST);
  }
  const parts = text.split(/[\n,;]/).map((part) => part.trim());
  const values = parts.filter((part) => part !== "").map(numbersOf);
  if (values.some((found) => found === null)) return null;
  return values.flatMap((found) => found ?? []).slice(0, MOST);
}

function numbersOf(part: string): readonly number[] | null {
  const range = RANGE.exec(part) ?? COLONS.exec(part);
  if (range) return rangeOf(Number(range[1]), Number(range[2]), range[3]);
  const value = Number(part);
  return Number.isFinite(value) ? [value] : null;
}

function rangeOf(from: number, to: number, written: string | undefined): readonly number[] | null {
  const step = written === undefined ? 1 : Number(written);
  if (![from, to, step].every(Number.isFinite) || step <= 0) return null;
  const count = Math.min(MOST, Math.floor(Math.abs(to - from) / step + 1e-9) + 1);
  const sign = to < from ? -1 : 1;
  return Array.from({ length: count }, (_, index) =>
    Number((from + sign * index * step).toFixed(9)),
  );
}
