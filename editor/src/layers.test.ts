import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
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

/** Paths below src/ of what a module imports of it, types too, without their suffix. */
function imported(path: string): string[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(@\/|\.\.?\/)([^"]+)/g)].map(
    ([, start = "", rest = ""]) =>
      relative(SRC, start === "@/" ? join(SRC, rest) : join(dirname(path), start, rest)),
  );
}

test("imports between the folders point one way", () => {
  const wrong = sources(SRC).flatMap((path) => {
    const layer = LAYERS.indexOf(relative(SRC, path).split("/")[0] ?? "");
    if (layer < 0) return [];
    return imported(path)
      .filter((name) => LAYERS.indexOf(name.split("/")[0] ?? "") > layer)
      .map((name) => `${relative(SRC, path)} imports ${name}`);
  });
  expect(wrong).toEqual([]);
});

test("no modules import each other, for their types neither, nor in a circle", () => {
  const named = (path: string) => relative(SRC, path).replace(/(\/index)?\.tsx?$/, "");
  const left = new Map(sources(SRC).map((path) => [named(path), new Set(imported(path))]));
  // Whoever imports nothing that is left, or is imported by nothing of it, is in no circle.
  for (let before = -1; before !== left.size; ) {
    before = left.size;
    const needed = new Set([...left.values()].flatMap((needs) => [...needs]));
    for (const [name, needs] of left)
      if (!needed.has(name) || ![...needs].some((need) => left.has(need))) left.delete(name);
  }
  expect([...left.keys()]).toEqual([]);
});

test("the model knows neither React nor the page", () => {
  const wrong = sources(join(SRC, "model")).filter((path) =>
    /from "(react|zustand|@xyflow)|\bdocument\.(createElement|body)|\bwindow\./.test(
      readFileSync(path, "utf8"),
    ),
  );
  expect(wrong.map((path) => relative(SRC, path))).toEqual([]);
});
