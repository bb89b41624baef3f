import { expect, test } from "vitest";
import {
  firstMeant,
  NO_SOURCES,
  type PromptSources,
  proposalsFor,
  taken,
} from "./promptCompletion";

const SOURCES: PromptSources = {
  prompts: ["a red apple, soft light", "a green leaf on a table"],
  embeddings: [
    { word: "redstyle", file: null },
    { word: "glow(v2)", file: "embeddings/glow(v2).safetensors" },
  ],
  loras: [
    { name: "loras/ink_sketch.safetensors", words: "ink drawing" },
    { name: "tiny/lcm_lora", words: "" },
  ],
  tags: [{ name: "fuji_(fruit)", count: 40, aliases: ["malus"] }],
  words: ["red", "green", "soft", "reddish", "glow"],
};

/** What is proposed where | stands. */
function said(written: string, asked = false, sources = SOURCES): readonly string[] {
  const { text, found } = proposed(written, asked, sources);
  return found.map((each) => `${each.kind}: ${taken(text, each).text}`);
}

function proposed(written: string, asked = false, sources: PromptSources = SOURCES) {
  const caret = written.indexOf("|");
  const text = written.replace("|", "");
  return { text, found: proposalsFor(text, caret, sources, asked) };
}

test("words are proposed from two letters on, embeddings before what the encoder knows", () => {
  expect(said("a blue r|")).toEqual([]);
  expect(said("a blue re|")).toEqual([
    "embedding: a blue redstyle",
    "word: a blue red",
    "word: a blue reddish",
  ]);
  expect(said("a (Re|:1.2) leaf")).toContain("word: a (Red:1.2) leaf");
});

test("what was run before goes on from what is typed, whole or by phrases", () => {
  expect(said("a r|")).toEqual(["prompt: a red apple, soft light", "phrase: a red apple"]);
  expect(said("fox, so|")).toEqual(["phrase: fox, soft light", "word: fox, soft"]);
});

test("asked for, an empty prompt has all earlier ones, and one letter is enough", () => {
  expect(said("|", true).slice(0, 2)).toEqual([
    "prompt: a red apple, soft light",
    "prompt: a green leaf on a table",
  ]);
  expect(said("a blue r|", true)).toContain("word: a blue red");
});

test("nothing is proposed within a word, or that stands there already", () => {
  expect(said("re|d")).toEqual([]);
  expect(said("soft|", false, { ...NO_SOURCES, words: ["soft"] })).toEqual([]);
});

test("an embedding is put in as plain characters", () => {
  expect(said("gl|")).toEqual(["embedding: glow\\(v2\\)", "word: glow"]);
});

test("an embedding that the graph doesn't load is one that a node loads", () => {
  const { text, found } = proposed("gl|");
  expect(found.map(({ embedding }) => embedding?.file)).toEqual([
    "embeddings/glow(v2).safetensors",
    undefined,
  ]);
  expect(proposed("reds|").found[0]?.embedding).toBeUndefined();
  // Tab alone changes nothing but the text.
  expect(firstMeant(text, found)?.text).toBe("glow");
});

test("LoRAs are proposed by words of their names, and by what prompts say for them", () => {
  const names = (written: string) => proposed(written).found.map(({ lora }) => lora?.name);
  for (const written of ["a fox, ink|", "a fox, sket|", "a fox, ink dr|", "<lora:SKE|"])
    expect(names(written), written).toContain("loras/ink_sketch.safetensors");
  expect(names("a fox, lo|")).toEqual(["tiny/lcm_lora"]);
  expect(names("a fox <lora:|")).toEqual(["loras/ink_sketch.safetensors", "tiny/lcm_lora"]);
  expect(names("drawing|")).toEqual([]);
});

test("a LoRA leaves nothing in the text but its words", () => {
  expect(said("a fox, sket|")).toEqual(["lora: a fox, ink drawing"]);
  expect(said("a fox lcm| in snow")).toEqual(["lora: a fox in snow"]);
  expect(said("a fox <lora:lcm|")).toEqual(["lora: a fox "]);
});

test("unasked, a LoRA is taken by Tab only where nothing else can be meant", () => {
  const first = (written: string) => {
    const { text, found } = proposed(written);
    return firstMeant(text, found)?.kind;
  };
  expect(first("a fox, lc|")).toBeUndefined();
  expect(first("a fox <lora:lc|")).toBe("lora");
});

test("tags of a list are proposed by name or alias, as prompts write them", () => {
  expect(said("a leaf, fuj|")).toEqual(["tag: a leaf, fuji \\(fruit\\)"]);
  expect(said("a leaf, Malu|")).toEqual(["tag: a leaf, fuji \\(fruit\\)"]);
  const [found] = proposed("malus|").found;
  expect(found?.tag).toMatchObject({ alias: "malus", tag: { count: 40 } });
  // The tag is what stands there already.
  expect(said("fuji \\(fruit\\)|")).toEqual([]);
});
