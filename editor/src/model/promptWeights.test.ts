import fc from "fast-check";
import { expect, test } from "vitest";
import { weigh } from "./promptWeights";

function pressed(text: string, step: number, selected?: string) {
  const start = selected === undefined ? 0 : text.indexOf(selected);
  const end = selected === undefined ? text.length : start + selected.length;
  return weigh(text, start, end, step);
}

test("a selected word gets brackets and stays selected", () => {
  const found = pressed("a red apple", 0.1, "red");
  expect(found.text).toBe("a (red:1.1) apple");
  expect(found.text.slice(found.start, found.end)).toBe("red");
});

test("pressing again changes the number, and brackets go away at 1", () => {
  let now = pressed("a red apple", 0.1, "red");
  now = weigh(now.text, now.start, now.end, 0.1);
  expect(now.text).toBe("a (red:1.2) apple");
  now = weigh(now.text, now.start, now.end, -0.2);
  expect(now).toEqual({ text: "a red apple", start: 2, end: 5 });
});

test("the cursor alone means the word around it", () => {
  expect(weigh("a red apple", 3, 3, -0.05).text).toBe("a (red:0.95) apple");
  expect(weigh("a (red:1.3) apple", 4, 4, 0.05).text).toBe("a (red:1.35) apple");
});

test("brackets without a number weigh 1.1", () => {
  expect(pressed("(red) apple", 0.05, "red").text).toBe("(red:1.15) apple");
});

test("blanks and whole groups may be selected", () => {
  expect(pressed("a red apple", 0.1, " red ").text).toBe("a (red:1.1) apple");
  expect(pressed("a (red:1.1) apple", 0.1, "(red:1.1)").text).toBe("a (red:1.2) apple");
});

test("escaped brackets are no group", () => {
  expect(pressed("\\(red\\)", 0.1, "red").text).toBe("\\((red:1.1)\\)");
});

test("a weight never goes below nothing", () => {
  expect(pressed("(red:0.05)", -0.1, "red").text).toBe("(red:0)");
});

test("nothing under the cursor changes nothing", () => {
  expect(weigh("a  b", 2, 2, 0.1)).toEqual({ text: "a  b", start: 2, end: 2 });
});

test("there and back again is the same text", () => {
  const words = fc.stringMatching(/^[a-z]+( [a-z]+)*$/);
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 9 }), (text, steps) => {
      let now = weigh(text, 0, text.length, 0.1);
      for (let index = 1; index < steps; index += 1) now = weigh(now.text, now.start, now.end, 0.1);
      for (let index = 0; index < steps; index += 1)
        now = weigh(now.text, now.start, now.end, -0.1);
      expect(now.text).toBe(text);
    }),
  );
});
