import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";

/** Folders of src/, each may import those before it and itself; commands stand beside components. */
const LAYERS = ["i18n", "model", "api", "store", "hooks", "components"];
const SRC = join(import.meta.dirname, ".");

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) && !/\.test\./.test(entry.name) ? [path] : [];
  });
}

function imported(path: string): string[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"@\/([^"/]+)/g)].map((found) => found[1] ?? "");
}

test("imports between the folders point one way", () => {
  const wrong = sources(SRC).flatMap((path) => {
    const layer = LAYERS.indexOf(relative(SRC, path).split("/")[0] ?? "");
    if (layer < 0) return [];
    return imported(path)
      .filter((name) => LAYERS.indexOf(name) > layer)
      .map((name) => `${relative(SRC, path)} imports ${name}`);
  });
  expect(wrong).toEqual([]);
});

test("the model knows neither React nor the page", () => {
  const wrong = sources(join(SRC, "model")).filter((path) =>
    /from "(react|zustand|@xyflow)|\bdocument\.(createElement|body)|\bwindow\./.test(
      readFileSync(path, "utf8"),
    ),
  );
  expect(wrong.map((path) => relative(SRC, path))).toEqual([]);
});
