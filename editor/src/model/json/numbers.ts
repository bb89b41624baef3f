/** Numbers in the text that the engine writes for them. */
import { ExactNumber, type Json } from "./value";

/**
 * A number as a float port's value, so that a whole one stays "4.0" in the file and a change from
 * 4.0 to 4.5 and back leaves no trace.
 */
export function floatJson(value: number): Json {
  return Number.isInteger(value) ? floatFromText(String(value)) : value;
}

/** A whole number of any size from its digits; null if that is none. */
export function integerFromText(text: string): Json | null {
  return /^-?\d{1,4300}$/.test(text.trim()) ? integer(text.trim()) : null;
}

/** A whole number from its digits. */
export function integer(text: string): Json {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  return new ExactNumber(text);
}

/** A float as the engine reads and writes it: a whole one keeps its ".0". */
export function floatFromText(text: string): Json {
  const value = Number(text);
  return Number.isInteger(value) ? new ExactNumber(floatText(value)) : value;
}

/** A number as the engine writes it: what is whole here is a whole number there. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`JSON has no number ${value}`);
  return Number.isInteger(value) ? BigInt(value).toString() : floatText(value);
}

/** A float in the shortest way, with a point or an exponent: 4.0, 1e-05, 1e+16. */
function floatText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  if (value === 0) return "0.0";
  const [digits = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 16) {
    const size = String(Math.abs(power)).padStart(2, "0");
    return `${digits}e${power < 0 ? "-" : "+"}${size}`;
  }
  const plain = String(value);
  if (/[e]/.test(plain)) return value.toFixed(Math.max(1, decimals(digits) - power));
  return plain.includes(".") ? plain : `${plain}.0`;
}

function decimals(digits: string): number {
  return digits.split(".")[1]?.length ?? 0;
}
