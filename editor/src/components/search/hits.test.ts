import { expect, test } from "vitest";
import { FEW, type Hit, type Kind, rowsOf } from "./hits";

const hit = (kind: Kind, score: number, id = `${kind} ${score}`): Hit => ({
  id,
  kind,
  score,
  label: id,
  note: "",
  matches: [],
  open: () => undefined,
});
const ids = (hits: readonly Hit[], only: Kind | null = null) =>
  rowsOf(hits, only).map((row) => row.hit.id);

test("the kind with the best hit comes first, with its name above it", () => {
  const rows = rowsOf([hit("commands", 40), hit("graph", 90), hit("graph", 30)], null);
  expect(rows.map((row) => [row.hit.id, row.isFirst])).toEqual([
    ["graph 90", true],
    ["graph 30", false],
    ["commands 40", true],
  ]);
});

test("of what is found alike, commands come first, and results always last", () => {
  const alike = [hit("results", 95), hit("types", 80), hit("commands", 80)];
  expect(ids(alike)).toEqual(["commands 80", "types 80", "results 95"]);
});

test("of each kind a few, of one kind all", () => {
  const many = Array.from({ length: 30 }, (_, at) => hit("graph", 50, `node ${at}`));
  expect(ids([...many, hit("types", 10)])).toHaveLength(FEW + 1);
  expect(ids([...many, hit("types", 10)], "graph")).toHaveLength(30);
});
