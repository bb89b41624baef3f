/** A value before and after, short enough to be read at a glance. */
import { type Json, writeJson } from "../json";

const LONGEST = 40;
/** Texts up to this long are shown whole. */
const SHORT = 24;

/** Two values as they are shown; of two long texts only the words that differ, if they say enough. */
export function valueTexts(before: Json, after: Json): readonly [string, string] {
  if (typeof before !== "string" || typeof after !== "string") {
    return [valueText(before), valueText(after)];
  }
  const [was, now] = differingWords(plain(before), plain(after));
  return [quoted(was), quoted(now)];
}

function valueText(value: Json): string {
  return typeof value === "string" ? quoted(plain(value)) : shortened(plain(writeJson(value)));
}

function plain(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}

/** A name such as `euler` stands for itself; where a text begins and ends is to be seen. */
function quoted(text: string): string {
  return /^[^\s“”]+$/.test(text) && text.length <= SHORT ? text : `“${shortened(text)}”`;
}

function shortened(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1).trimEnd()}…` : text;
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
