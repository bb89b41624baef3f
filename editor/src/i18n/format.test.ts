import { expect, it } from "vitest";
import { bytes, duration, inWords, problemWords, sentences } from "./format";

it.each([
  [0.0001, "1 ms"],
  [0.0421, "42 ms"],
  [0.42, "0.4 s"],
  [9.96, "10 s"],
  [59.7, "1 min"],
  [150, "2 min 30 s"],
  [3900, "1 h 5 min"],
  [Number.NaN, "–"],
])("%d seconds are %s", (seconds, text) => expect(duration(seconds)).toBe(text));

it.each([
  [812, "812 B"],
  [1234, "1.2 kB"],
  [999_999, "1.0 MB"],
  [47_000_000, "47 MB"],
])("%d bytes are %s", (count, text) => expect(bytes(count)).toBe(text));

it("ends what is said before the next is said", () => {
  expect(sentences("it is too small", "Ask for less.")).toBe("it is too small. Ask for less.");
  expect(sentences("It is too small.", undefined, "2 more")).toBe("It is too small. 2 more");
  expect(sentences("小さすぎます", "大きくしてください。", "ほか")).toBe(
    "小さすぎます。 大きくしてください。 ほか",
  );
  expect(sentences("", null)).toBe("");
});

it.each([
  ['Link it: {"from": "load.vae"} or {"from": "tiny.vae"}.', "Link it: load.vae or tiny.vae."],
  ['Write {"from": "size"}.', "Link it to size."],
  ["Remove the `mode` of `save`.", "Let save run (it is muted or bypassed)."],
  ["Did you mean `euler`?", "Did you mean `euler`?"],
])("%s is said as %s", (text, words) => expect(inWords(text)).toBe(words));

it("names the input that something is wrong with", () => {
  expect(problemWords({ port: "image", message: "is missing" })).toBe("image is missing");
  expect(problemWords({ port: "image", message: "there is no node `x`" })).toMatch(/^there/);
});
