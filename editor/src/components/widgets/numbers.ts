/** Numbers between the text in a field and the value in the file, exact in both directions. */
import { decimalsOf } from "@/components/ui/numbers";
import { ExactNumber, floatJson, integerFromText, type Json, numberOf } from "@/model/json";

export interface NumberRules {
  readonly integer: boolean;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly step: number;
}

/** A key of the words for what is wrong with a text. */
export type NumberFault = "notNumber" | "notWhole";

export type Reading =
  | { readonly value: Json; readonly fault: null }
  | { readonly value: null; readonly fault: NumberFault };

/** The largest whole number of the engine's seeds; JSON.parse can't tell it from 2 ** 64. */
const LARGEST = 2n ** 64n - 1n;

/** The number that a text means; its range is for others to check. */
export function readNumber(text: string, integer: boolean): Reading {
  return integer ? readWhole(text) : readFloat(text);
}

function readWhole(text: string): Reading {
  const plain = text
    .trim()
    .replace(/^\+/, "")
    .replace(/(\d)[\s_](?=\d{3}(?:\D|$))/g, "$1");
  const exact = integerFromText(plain);
  if (exact !== null) return { value: exact, fault: null };
  const value = plainNumber(plain);
  if (value === null) return { value: null, fault: "notNumber" };
  if (!Number.isInteger(value)) return { value: null, fault: "notWhole" };
  return { value: integerFromText(BigInt(value).toString()) ?? value, fault: null };
}

function readFloat(text: string): Reading {
  const plain = text.trim();
  const value = plainNumber(/^[+-]?\d*,\d+$/.test(plain) ? plain.replace(",", ".") : plain);
  if (value === null) return { value: null, fault: "notNumber" };
  return { value: floatJson(value), fault: null };
}

/** What JavaScript's Number takes, without its "", "0x10" and "Infinity". */
function plainNumber(text: string): number | null {
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

function wholeBound(bound: number): bigint {
  return bound === 2 ** 64 ? LARGEST : BigInt(bound);
}

/** The value as a whole number of any size; null if it is none. */
export function wholeOf(value: Json | undefined): bigint | null {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : null;
  if (!(value instanceof ExactNumber)) return null;
  return /^-?\d+$/.test(value.text) ? BigInt(value.text) : null;
}

/** A number as a person reads it: every digit of whole ones, no ".0". */
export function showNumber(value: Json | undefined): string {
  const whole = wholeOf(value);
  if (whole !== null) return whole.toString();
  const number = numberOf(value);
  return number === null ? "" : String(number);
}

/**
 * The number that lies so many steps further, within the range.
 *
 * A value that stands between the steps stays between them: 1.03 plus 0.1 is 1.13.
 */
export function stepped(value: Json | undefined, rules: NumberRules, steps: number): Json {
  return rules.integer ? steppedWhole(value, rules, steps) : steppedFloat(value, rules, steps);
}

function steppedWhole(value: Json | undefined, rules: NumberRules, steps: number): Json {
  const by = BigInt(Math.max(1, Math.round(rules.step)));
  const now = wholeOf(value) ?? BigInt(Math.round(numberOf(value) ?? rules.minimum ?? 0));
  let next = now + by * BigInt(Math.round(steps));
  if (rules.maximum !== null && next > wholeBound(rules.maximum)) next = wholeBound(rules.maximum);
  if (rules.minimum !== null && next < BigInt(Math.ceil(rules.minimum))) {
    next = BigInt(Math.ceil(rules.minimum));
  }
  return integerFromText(next.toString()) ?? 0;
}

function steppedFloat(value: Json | undefined, rules: NumberRules, steps: number): Json {
  const by = rounded(rules.step * steps, decimalsOf(rules.step) + decimalsOf(steps));
  const now = numberOf(value) ?? rules.minimum ?? 0;
  return floatJson(clamped(rounded(now + by, Math.max(decimalsOf(now), decimalsOf(by))), rules));
}

/** A value of a slider, whose steps begin at the minimum. */
export function snapped(value: number, rules: NumberRules): Json {
  const { step } = rules;
  const start = rules.minimum ?? 0;
  const near = start + Math.round((value - start) / step) * step;
  const fine = rounded(clamped(near, rules), Math.max(decimalsOf(step), decimalsOf(start)));
  return rules.integer ? Math.round(fine) : floatJson(fine);
}

/** Steps from end to end; above this many a slider is finer at its lower end. */
const EVEN_STEPS = 400;

/** How a slider's way maps to its range: 1 evenly, 3 with more room for small numbers. */
export function curveOf({ minimum, maximum, step }: NumberRules): number {
  return ((maximum ?? 0) - (minimum ?? 0)) / step > EVEN_STEPS ? 3 : 1;
}

function clamped(value: number, { minimum, maximum }: NumberRules): number {
  return Math.min(maximum ?? Number.MAX_VALUE, Math.max(minimum ?? -Number.MAX_VALUE, value));
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(Math.min(20, digits)));
}
