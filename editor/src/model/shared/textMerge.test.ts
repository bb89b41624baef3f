import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mergeText, movedCaret } from "./textMerge";

interface Case {
  readonly name: string;
  readonly before: string;
  readonly text: string;
  readonly current: string;
  readonly merged: string;
}

const FILE = join(import.meta.dirname, "../../../../tests/data/text_merges.json");
const CASES = JSON.parse(readFileSync(FILE, "utf8")) as readonly Case[];

test.each(CASES)("texts merge as on the server: $name", ({ before, text, current, merged }) => {
  expect(mergeText(before, text, current)).toBe(merged);
});

test.each([
  ["typed before it", "a c|at", "a black cat", "a black c|at"],
  ["typed behind it", "a |cat", "a cat sits", "a |cat sits"],
  ["typed at it", "ab|cd", "abXcd", "ab|Xcd"],
  ["what it stood in is gone", "a big| cat", "a cat", "a |cat"],
  ["emoji count as the browser counts them", "😀|x", "🚀🚀😀x", "🚀🚀😀|x"],
])("a caret stays at its letter: %s", (_, before, after, expected) => {
  const caret = before.indexOf("|");
  const moved = movedCaret(before.replace("|", ""), after, caret);
  expect(`${after.slice(0, moved)}|${after.slice(moved)}`).toBe(expected);
});
