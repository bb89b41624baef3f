import { describe, expect, it } from "vitest";
import { switchLanguage, t, wordsOf } from "@/i18n";
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
