/** JSON written in the layout of the engine's own files. */
import { numberText } from "./numbers";
import { ExactNumber, isList, isObject, type Json, type JsonObject } from "./value";

const WIDTH = 100;
const DEEPEST_INDENT = 12;
const INDENT = "  ";

/**
 * JSON with short objects and lists on one line, long ones indented.
 *
 * Objects whose path of keys is among `expanded` take a line for each member even if short.
 */
export function writeJson(value: Json, expanded: readonly (readonly string[])[] = []): string {
  const paths = new Set(expanded.map((path) => JSON.stringify(path)));
  const text = `${new Writer(paths).layout(value, [], 0)}\n`;
  // Half a surrogate pair is no character and has no UTF-8; escaped, it survives.
  return text.replace(/\p{Surrogate}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
}

class Writer {
  constructor(private readonly expanded: ReadonlySet<string>) {}

  /** The value's text; `used` is what already stands on its first line. */
  layout(value: Json, path: readonly string[], used: number): string {
    if (!this.isExpanded(path)) {
      if (!isObject(value) && !isList(value)) return compact(value);
      if (path.length > DEEPEST_INDENT) return compact(value);
      const text = compactWithin(value, WIDTH - used - 1);
      if (text !== null) return text;
    }
    if (isObject(value) && value.size > 0) return this.members(value, path);
    if (isList(value) && value.length > 0) return this.items(value, path);
    return compact(value);
  }

  private isExpanded(path: readonly string[]): boolean {
    return path.length <= 3 && this.expanded.has(JSON.stringify(path));
  }

  private members(value: JsonObject, path: readonly string[]): string {
    const lines: string[] = [];
    for (const [key, item] of value) {
      const head = `${INDENT.repeat(path.length + 1)}${quote(key)}: `;
      lines.push(head + this.layout(item, [...path, key], lengthOf(head)));
    }
    return `{\n${lines.join(",\n")}\n${INDENT.repeat(path.length)}}`;
  }

  private items(value: readonly Json[], path: readonly string[]): string {
    const head = INDENT.repeat(path.length + 1);
    const lines = value.map((item) => head + this.layout(item, [...path, "[]"], head.length));
    return `[\n${lines.join(",\n")}\n${INDENT.repeat(path.length)}]`;
  }
}

/** The value on one line if it takes no more than so many characters, else null. */
function compactWithin(value: Json, room: number): string | null {
  if (leastLength(value, room) > room) return null;
  const text = compact(value);
  return lengthOf(text) <= room ? text : null;
}

/** A value as people read it, in a line: a text without its quotes, a number with all its digits. */
export function valueText(value: Json): string {
  return typeof value === "string" ? value : compact(value);
}

/** A lower bound of the compact text's length; stops looking once it is past the limit. */
function leastLength(value: Json, limit: number): number {
  if (typeof value === "string") return value.length / 2 + 2;
  if (!isObject(value) && !isList(value)) return 1;
  let length = 2;
  for (const item of isObject(value) ? value.values() : value) {
    if (length > limit) break;
    length += 1 + leastLength(item, limit - length);
  }
  return length;
}

function compact(value: Json): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return numberText(value);
  if (value instanceof ExactNumber) return value.text;
  if (isList(value)) return `[${value.map(compact).join(", ")}]`;
  if (!isObject(value)) return String(value);
  const members: string[] = [];
  for (const [key, item] of value) members.push(`${quote(key)}: ${compact(item)}`);
  return `{${members.join(", ")}}`;
}

/** Characters as people count them, a pair of surrogates as one. */
function lengthOf(text: string): number {
  let length = text.length;
  for (let index = 1; index < text.length; index += 1) {
    if (isLow(text.charCodeAt(index)) && isHigh(text.charCodeAt(index - 1))) length -= 1;
  }
  return length;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

function quote(text: string): string {
  // JSON.stringify would escape halves of surrogate pairs too early: they count as one character.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones JSON escapes
  const escaped = text.replace(/["\\\u0000-\u001f]/g, (sign) => ESCAPES[sign] ?? unicode(sign));
  return `"${escaped}"`;
}

function unicode(sign: string): string {
  return `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
