import { expect, test } from "vitest";
import { readWorkflow } from "@/model/workflow";
import { placeOf, runNames } from "./places";

const NODE = '{"type": "Draw"}';
const workflow = readWorkflow(`{
  "format": "nodegraph/1",
  "nodes": {"make": {"type": "paint"}, "again": {"type": "paint"}, "10": ${NODE}},
  "subgraphs": {
    "paint": {"nodes": {"sample": ${NODE}, "inner": {"type": "deep"}, "7": ${NODE}}},
    "deep": {"nodes": {"end": ${NODE}}}
  }
}`);

test("a node of the file's own graph has its own name", () => {
  expect(runNames(workflow, null, null, "10")).toEqual(["10"]);
  expect(placeOf(workflow, null, "10")).toEqual({ path: [], node: "10" });
});

test("a node of a block has a name for each use of the block", () => {
  expect(runNames(workflow, null, "paint", "sample")).toEqual(["make/sample", "again/sample"]);
  expect(runNames(workflow, null, "deep", "end")).toEqual(["make/inner/end", "again/inner/end"]);
});

test("a run's name leads to the block and the node", () => {
  expect(placeOf(workflow, null, "again/inner/end")).toEqual({
    path: ["paint", "deep"],
    node: "end",
  });
  expect(placeOf(workflow, null, "make/7")).toEqual({ path: ["paint"], node: "7" });
});

test("rounds of loops and calls are passed over", () => {
  expect(placeOf(workflow, null, "make/3/sample[12]")).toEqual({ path: ["paint"], node: "sample" });
});

test("what isn't there is shown by the block that it was in", () => {
  expect(placeOf(workflow, null, "make/gone")).toEqual({ path: [], node: "make" });
  expect(placeOf(workflow, null, "gone")).toBeNull();
});
