/** Values as JSON has them, told apart and compared. */

/** A number as its text: a whole number of any size, or a float that JavaScript writes otherwise. */
export class ExactNumber {
  constructor(readonly text: string) {}

  get value(): number {
    return Number(this.text);
  }

  toString(): string {
    return this.text;
  }
}

export type JsonObject = ReadonlyMap<string, Json>;
export type Json = null | boolean | number | string | ExactNumber | readonly Json[] | JsonObject;

/** Says what is meant by an object, and not by a list, a text or nothing. */
export function isObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map;
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** The number that a value is, as near as JavaScript holds it; null for anything else. */
export function numberOf(value: Json | undefined): number | null {
  if (typeof value === "number") return value;
  return value instanceof ExactNumber ? value.value : null;
}

/** Whether two values say the same; the order of keys says nothing. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (a instanceof ExactNumber) return b instanceof ExactNumber && a.text === b.text;
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false;
    return a.every((item, index) => sameJson(item, b[index]));
  }
  if (!isObject(a) || !isObject(b) || a.size !== b.size) return false;
  for (const [key, item] of a) {
    if (!b.has(key) || !sameJson(item, b.get(key))) return false;
  }
  return true;
}

/** The order of texts by character, as the engine sorts keys; UTF-16 would sort some otherwise. */
export function compareTexts(a: string, b: string): number {
  let index = 0;
  while (index < a.length && index < b.length) {
    const left = a.codePointAt(index) ?? 0;
    const right = b.codePointAt(index) ?? 0;
    if (left !== right) return left - right;
    index += left > 0xffff ? 2 : 1;
  }
  return a.length - b.length;
}
