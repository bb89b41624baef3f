import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fromPlain, type JsonObject, toPlain } from "../json";
import { applyToJson, NameTaken, readPatch, writePatch } from "./patch";

interface Case {
  readonly name: string;
  readonly patch: unknown;
  readonly taken?: boolean;
  readonly changes?: Record<string, unknown>;
  readonly removes?: readonly string[];
}

const FILE = join(import.meta.dirname, "../../../../tests/data/draft_patches.json");
const { document, cases } = JSON.parse(readFileSync(FILE, "utf8")) as {
  document: Record<string, unknown>;
  cases: readonly Case[];
};

function expected({ changes = {}, removes = [] }: Case): unknown {
  const found = structuredClone(document);
  const parent = (pointer: string): [Record<string, unknown>, string] => {
    const steps = pointer.slice(1).split("/");
    const last = steps.pop() ?? "";
    const inner = steps.reduce((at, step) => at[step] as Record<string, unknown>, found);
    return [inner, last];
  };
  for (const [pointer, value] of Object.entries(changes)) {
    const [inner, last] = parent(pointer);
    inner[last] = value;
  }
  for (const pointer of removes) {
    const [inner, last] = parent(pointer);
    delete inner[last];
  }
  return found;
}

test.each(cases)("a patch does as on the server: $name", (each) => {
  const before = fromPlain(document) as JsonObject;
  const patch = readPatch(JSON.stringify(each.patch));
  expect(readPatch(writePatch(patch))).toEqual(patch);
  if (each.taken) expect(() => applyToJson(before, patch)).toThrow(NameTaken);
  else expect(toPlain(applyToJson(before, patch))).toEqual(expected(each));
  expect(toPlain(before)).toEqual(document);
});
