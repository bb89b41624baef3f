import { afterEach, describe, expect, it } from "vitest";
import { languageFor, languageName, languages, switchLanguage, t, wordsOf } from "@/i18n";
import { bytes, duration, moment, numeral } from "./format";

/** What is written as in English: names, keys of the keyboard, and words that were borrowed. */
const SAME: Readonly<Record<string, string>> = {
  all: "comfyui controlnet controlnets lora loras smiles vae workflow ctrl esc min mono x",
  de: "audio bytes cfg details graph guidance link meshes name navigation optional orange prompt sampler seed stereo subgraph sweep tabs text traceback version video videos worker workflows zoom tag normal lasso linear radial",
  fr: "prompt actions animations audio charge description image images menu note orange pause points source surface type version violet volume worker workers workflows normal exclusion saturation lasso radial",
  es: "prompt bytes color error experimental inspector panel series worker workers zoom control normal radial",
  ja: "end enter home pgdn pgup shift space",
  "zh-Hans": "end enter home pgdn pgup shift",
};
const HOLES = /\{\{\w+\}\}/g;
const FORM = /_(zero|one|two|few|many|other)$/;
/** Names that are said as they are in every language. */
const NAMES =
  /nodegraph|ComfyUI|Hugging Face|Python|WebGL|IP-Adapter|JSON|SVG|PNG|JPEG|WebP|MP4|FLAC|GLB|SDF|HTTP|UTF-8|“packs”|\.safetensors|#\w+|--(?=\{)|\d+\.\.\d+|step 0\.25|[BE0I](?= (?:brush|eraser|fit|invert))|[×÷]10/g;

const all = await Promise.all(
  languages().map(async (language) => ({ language, words: await wordsOf(language) })),
);
const english = await wordsOf("en");
const others = all.filter(({ language }) => language !== "en");

/** Keys that a language has: English's, with one form for each of its own kinds of numbers. */
function keysIn(language: string): readonly string[] {
  const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
  const keys = Object.keys(english).flatMap((key) => {
    const base = key.replace(FORM, "");
    if (base === key || key.endsWith("_zero")) return [key];
    return forms.map((form) => `${base}_${form}`);
  });
  return [...new Set(keys)].sort();
}

/** The English texts that a text may be of: the same form, or that for many. */
function originals(key: string): readonly string[] {
  const many = key.replace(FORM, "_other");
  return [english[key], english[many]].filter((text) => text !== undefined);
}

const holes = (text: string) => (text.match(HOLES) ?? []).sort().join(" ");
/** The words of a text, but for signs of units. */
const letters = (text: string) =>
  text
    .replace(HOLES, "")
    .match(/\p{L}{3,}|^\p{L}+$/gu)
    ?.map((word) => word.toLowerCase()) ?? [];

it("come in six", () => {
  expect(languages().toSorted()).toEqual(["de", "en", "es", "fr", "ja", "zh-Hans"]);
  expect(languages().map(languageName)).toContain("简体中文");
});

describe.each(others)("$language", ({ language, words }) => {
  it("has a text for each key of English and no other", () => {
    expect(Object.keys(words).sort()).toEqual(keysIn(language));
  });

  it("takes the values that English takes", () => {
    const wrong = Object.entries(words).filter(
      ([key, text]) => !originals(key).map(holes).includes(holes(text)),
    );
    expect(wrong).toEqual([]);
  });

  it("leaves nothing in English", () => {
    const same = new Set(`${SAME.all} ${SAME[language] ?? ""}`.split(" "));
    const left = Object.entries(words).filter(
      ([key, text]) =>
        originals(key).includes(text) && !letters(text).every((word) => same.has(word)),
    );
    expect(left).toEqual([]);
  });

  it("says names and what is to be typed as they are", () => {
    const lost = Object.entries(words).flatMap(([key, text]) => {
      const names = originals(key)[0]?.match(NAMES) ?? [];
      return names
        .map((name) => name.replace(/[“”]/g, ""))
        .filter((name) => !text.includes(name))
        .map((name) => [key, name, text]);
    });
    expect(lost).toEqual([]);
  });
});

describe("the language", () => {
  it.each([
    [["de-AT", "en"], "de"],
    [["zh-CN"], "zh-Hans"],
    [["zh"], "zh-Hans"],
    [["zh-TW", "ja"], "ja"],
    [["pt-BR", "es-419", "en"], "es"],
    [["en-US@posix"], "en"],
    [["nl"], "en"],
    [[], "en"],
  ])("of a browser that wants %j is %s", (wanted, language) => {
    expect(languageFor(wanted)).toBe(language);
  });
});

describe("numbers and times", () => {
  afterEach(() => switchLanguage("en"));

  it("are written as the language writes them", async () => {
    await switchLanguage("de");
    expect(document.documentElement.lang).toBe("de");
    expect([numeral(12480), duration(0.42), bytes(1234)]).toEqual(["12.480", "0,4 s", "1,2 kB"]);
    await switchLanguage("fr");
    expect([duration(3900), bytes(47_000_000)]).toEqual(["1 h 5 min", "47 Mo"]);
    await switchLanguage("ja");
    expect(duration(150)).toBe("2 分 30 秒");
    const then = new Date(2024, 4, 3, 12);
    expect(moment(then.getTime() / 1000, new Date(2025, 0, 1))).toBe("2024年5月3日");
  });

  it("have the form that the language has for them", async () => {
    const said = (count: number) => t("shell.problems", { count });
    await switchLanguage("fr");
    expect([0, 1, 2].map(said)).toEqual(["Aucun problème", "1 problème", "2 problèmes"]);
    expect(t("shell.plan.cached", { count: 0 })).toBe("0 en cache");
    await switchLanguage("ja");
    expect([0, 1, 2].map(said)).toEqual(["問題なし", "1 件の問題", "2 件の問題"]);
  });

  it("are those of the language that was asked for last", async () => {
    await Promise.all([switchLanguage("de"), switchLanguage("ja")]);
    expect(t("ui.close")).toBe("閉じる");
  });
});
