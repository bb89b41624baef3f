import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FAMILIES } from "@/model/families";
import { themeOf } from "./apply";

// From the disk: what is imported as a style is empty in tests.
const css = readFileSync("src/theme/tokens.css", "utf8");

function tokensOf(theme: string): ReadonlyMap<string, string> {
  const start = css.indexOf(`:root[data-theme="${theme}"] {`);
  const block = css.slice(start, css.indexOf("}", start));
  return new Map(
    [...block.matchAll(/(--[\w-]+):\s*(#[0-9a-f]{6});/g)].map((m) => [m[1] ?? "", m[2] ?? ""]),
  );
}

/** Relative luminance by WCAG 2.2. */
function luminance(color: string): number {
  const parts = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255);
  const [r = 0, g = 0, b = 0] = parts.map((c) =>
    c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ["--bg", "--bg-canvas", "--bg-panel", "--bg-raised", "--bg-input", "--bg-hover"];
const TEXTS = [
  "--text",
  "--text-muted",
  "--text-faint",
  "--accent-text",
  "--good",
  "--warn",
  "--bad",
  "--info",
  "--cached",
  "--stale",
  "--run",
];
const PAIRS = [
  ["--on-accent", "--accent"],
  ["--on-accent", "--accent-hover"],
  ["--on-bad", "--bad"],
  ["--accent-text", "--accent-soft"],
  ["--accent-text", "--bg-active"],
  ["--text", "--bg-active"],
  ["--text-muted", "--bg-active"],
  ["--text-faint", "--bg-active"],
  ["--good", "--good-soft"],
  ["--warn", "--warn-soft"],
  ["--bad", "--bad-soft"],
  ["--info", "--info-soft"],
];

describe.each([
  ["light", 4.5],
  ["dark", 4.5],
  ["contrast", 7],
])("theme %s", (theme, least) => {
  const tokens = tokensOf(theme);
  const pairs = [...GROUNDS.flatMap((ground) => TEXTS.map((text) => [text, ground])), ...PAIRS];

  it.each(pairs)("%s can be read on %s", (text = "", ground = "") => {
    expect(contrast(tokens.get(text) ?? "", tokens.get(ground) ?? "")).toBeGreaterThanOrEqual(
      least,
    );
  });

  it("has a focus ring that is seen", () => {
    for (const ground of GROUNDS) {
      expect(
        contrast(tokens.get("--focus") ?? "", tokens.get(ground) ?? ""),
      ).toBeGreaterThanOrEqual(3);
    }
  });

  it("has series of plots that are seen", () => {
    const series = [...tokens].filter(([name]) => name.startsWith("--series-"));
    expect(series.length).toBe(8);
    for (const [, color] of series) {
      for (const ground of ["--bg-canvas", "--bg-input", "--bg-raised"]) {
        expect(contrast(color, tokens.get(ground) ?? "")).toBeGreaterThanOrEqual(3);
      }
    }
  });

  it("has families of nodes whose names can be read", () => {
    for (const family of FAMILIES) {
      const ground = tokens.get(`--family-${family}`) ?? "";
      for (const text of ["--on-family", "--on-family-faint"]) {
        expect(contrast(tokens.get(text) ?? "", ground)).toBeGreaterThanOrEqual(least);
      }
    }
    const colors = FAMILIES.map((family) => tokens.get(`--family-${family}`));
    expect(new Set(colors).size).toBe(FAMILIES.length);
  });

  it("has all the colours of the light theme", () => {
    expect([...tokens.keys()]).toEqual([...tokensOf("light").keys()]);
  });
});

describe("the theme", () => {
  const system =
    (...holding: readonly string[]) =>
    (query: string) =>
      holding.includes(query);

  it("follows the system unless one is chosen", () => {
    expect(themeOf("system", system())).toBe("light");
    expect(themeOf("system", system("(prefers-color-scheme: dark)"))).toBe("dark");
    expect(
      themeOf("system", system("(prefers-contrast: more)", "(prefers-color-scheme: dark)")),
    ).toBe("contrast");
    expect(themeOf("light", system("(prefers-color-scheme: dark)"))).toBe("light");
  });
});
