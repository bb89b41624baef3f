import { describe, expect, it } from "vitest";
import { switchLanguage, t, wordsOf } from "@/i18n";
import late from "./en/late";
import { keysUsed } from "./keysUsed.testing";

const english = await wordsOf("en");
const sources = import.meta.glob<string>(
  ["../**/*.{ts,tsx}", "!../**/*.test.{ts,tsx}", "!../**/*.testing.ts"],
  {
    eager: true,
    query: "?raw",
    import: "default",
  },
);
const used = keysUsed(Object.entries(sources), Object.keys(english));

describe("English", () => {
  it("has every text that is used", () => {
    expect(used.missing).toEqual([]);
  });

  it("has no text that isn't used", () => {
    expect(used.unused).toEqual([]);
  });

  it("opens and closes each value that a text takes", () => {
    const odd = Object.values(english).filter((text) =>
      /\{\{|\}\}/.test(text.replaceAll(/\{\{\w+\}\}/g, "")),
    );
    expect(odd).toEqual([]);
  });
});

/** Modules that use the words of the first download: what is fetched with the late words is none. */
function early(): ReadonlySet<string> {
  const modules = new Map(Object.entries(sources).map(([path, text]) => [path.slice(3), text]));
  const reached = new Set(["main.tsx"]);
  // A set hands out what is added while it is walked.
  for (const path of reached) {
    const text = (modules.get(path) ?? "").replaceAll(LATE_PART, "");
    for (const [, isType, from = ""] of text.matchAll(IMPORT)) {
      const name = from.startsWith("@/")
        ? from.slice(2)
        : new URL(from, `http://src/${path}`).pathname.slice(1);
      const ways = ["", ".ts", ".tsx", "/index.ts", "/index.tsx"].map((end) => `${name}${end}`);
      const way = ways.find((each) => modules.has(each));
      if (way !== undefined && !isType) reached.add(way);
    }
  }
  for (const path of modules.keys()) if (/^commands\/\w+\.ts$/.test(path)) reached.add(path);
  return reached;
}

const IMPORT = /(?:^(?:import|export)( type)?\b[^"';]*|\bimport\(\s*)"((?:@\/|\.)[^"]*)"/gm;
/** Both forms that registry.ts has for them, and those of others. */
const LATE_PART = /\b(?:panel|dialog|latePart)\([^;]*?\bimport\("[^"]*"\)/g;

describe("late words", () => {
  it("are not used before they are there", () => {
    const reached = early();
    expect(reached).toContain("components/canvas/Canvas.tsx");
    expect(reached).toContain("commands/canvas.ts");
    expect(reached).not.toContain("components/shell/SettingsDialog.tsx");
    const first = Object.entries(sources).filter(([path]) => reached.has(path.slice(3)));
    const keys = Object.entries(late).flatMap(([path, words]) =>
      Object.keys(words).map((key) => `${path.slice("./late/".length, -".json".length)}.${key}`),
    );
    expect(keys).toContain("comparison.title");
    expect(keysUsed(first, keys).used).toEqual([]);
  });
});

describe("texts", () => {
  it("take values, unescaped", () => {
    expect(t("ui.useTyped", { text: "<a & b>" })).toBe("Use “<a & b>”");
  });

  it("know one and many", () => {
    expect(t("shell.problems", { count: 0 })).toBe("No problems");
    expect(t("shell.problems", { count: 1 })).toBe("1 problem");
    expect(t("shell.problems", { count: 3 })).toBe("3 problems");
  });

  it("are English where an own language lacks them", async () => {
    await switchLanguage("own-1", { "ui.close": "Schließen" });
    expect([t("ui.close"), t("ui.clear")]).toEqual(["Schließen", "Clear"]);
    await switchLanguage("en");
    expect(t("ui.close")).toBe("Close");
  });
});
