/** JSON from and to plain JavaScript values. */
import { integer } from "./numbers";
import { ExactNumber, isList, isObject, type Json } from "./value";

/**
 * The value as plain objects, for requests and for reading it with usual tools.
 *
 * Whole numbers that JavaScript can't hold become bigints with `bigints` (msgpack sends those
 * unharmed), else the nearest number: whoever must be exact sends the text of `writeJson`.
 */
export function toPlain(value: Json, options: { readonly bigints?: boolean } = {}): unknown {
  if (value instanceof ExactNumber) {
    const isLarge = /^-?\d+$/.test(value.text);
    return isLarge && options.bigints ? BigInt(value.text) : value.value;
  }
  if (isList(value)) return value.map((item) => toPlain(item, options));
  if (!isObject(value)) return value;
  const found: Record<string, unknown> = {};
  for (const [key, item] of value) {
    // Plain assignment to "__proto__" would set the prototype.
    Object.defineProperty(found, key, {
      value: toPlain(item, options),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return found;
}

/** A plain JavaScript value as JSON; what JSON doesn't know is left out of objects, null in lists. */
export function fromPlain(value: unknown): Json {
  return plainJson(value) ?? null;
}

function plainJson(value: unknown): Json | undefined {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value || 0 : null; // no -0
  if (typeof value === "bigint") return integer(value.toString());
  if (value instanceof ExactNumber) return value;
  if (Array.isArray(value)) return value.map(fromPlain);
  if (typeof value !== "object") return undefined;
  const members = value instanceof Map ? value.entries() : Object.entries(value);
  const found = new Map<string, Json>();
  for (const [key, item] of members) {
    const json = plainJson(item);
    if (json !== undefined) found.set(String(key), json);
  }
  return found;
}
