/** A value before and after, short enough to be read at a glance. */
import { type Json, writeJson } from "../json";

/** Characters of both together, so that what it is now is seen as well. */
const LONGEST = 40;
/** Of what was there before, where both are long. */
const LEAST = 16;
/** Texts up to this long are shown whole. */
const SHORT = 24;

/** Two values as they are shown; of two long texts only the words that differ, if they say enough. */
export function valueTexts(before: Json, after: Json): readonly [string, string] {
  const texts = [plain(before), plain(after)] as const;
  const areTexts = typeof before === "string" && typeof after === "string";
  const [was, now] = areTexts ? differingWords(...texts) : texts;
  const room = Math.max(LEAST, LONGEST - now.length);
  return [shown(before, was, room), shown(after, now, LONGEST - Math.min(was.length, room))];
}

function plain(value: Json): string {
  const text = typeof value === "string" ? value : writeJson(value);
  return text.trim().replaceAll(/\s+/g, " ");
}

/** A name such as `euler` stands for itself; where a text begins and ends is to be seen. */
function shown(value: Json, text: string, most: number): string {
  const isPlain = typeof value !== "string" || (/^[^\s“”]+$/.test(text) && text.length <= SHORT);
  const short = text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text;
  return isPlain ? short : `“${short}”`;
}

function differingWords(before: string, after: string): readonly [string, string] {
  if (before.length <= SHORT && after.length <= SHORT) return [before, after];
  const [was, now] = [before.split(" "), after.split(" ")];
  const shorter = Math.min(was.length, now.length);
  let start = 0;
  while (start < shorter && was[start] === now[start]) start += 1;
  let end = 0;
  while (end < shorter - start && was.at(-1 - end) === now.at(-1 - end)) end += 1;
  // A word beside what was only put in or taken out, so that both sides say where.
  if (start > 0 && start + end === shorter) start -= 1;
  return [cut(was, start, end), cut(now, start, end)];
}

function cut(words: readonly string[], start: number, end: number): string {
  const middle = words.slice(start, words.length - end).join(" ");
  return `${start > 0 ? "… " : ""}${middle}${end > 0 ? " …" : ""}`;
}
