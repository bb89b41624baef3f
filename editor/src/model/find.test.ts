import { expect, test } from "vitest";
import { find } from "./find";
import { builtInTypes } from "./fixtures";
import { readWorkflow } from "./workflow";

const workflow = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    parameters: { words: "positive.text" },
    nodes: {
      positive: {
        type: "EncodePrompt",
        inputs: { text: "a red Äpfel on white", encoder: { from: "load" } },
      },
      sample: { type: "KSampler", label: "Draw the apple", note: "slow", inputs: { seed: 4711 } },
    },
    subgraphs: { block: { nodes: { inner: { type: "SaveImage", inputs: { name: "apple" } } } } },
    ui: { notes: [{ id: "1", text: "An apple a day", box: [0, 0, 10, 10] }] },
  }),
);

test("names, labels, values and notes of all graphs are found", () => {
  expect(find(workflow, "apple").map((hit) => [hit.scope, hit.item, hit.in, hit.port])).toEqual([
    [null, "sample", "label", undefined],
    ["block", "inner", "value", "name"],
    [null, "note/1", "note", undefined],
  ]);
});

test("case, accents and numbers are found as people type them", () => {
  expect(find(workflow, "apfel")[0]).toMatchObject({
    node: "positive",
    port: "text",
    match: [6, 11],
  });
  expect(find(workflow, "4711")[0]).toMatchObject({ node: "sample", port: "seed" });
});

test("types are found by their label, parameters by their name", () => {
  const types = builtInTypes();
  expect(find(workflow, "encode prompt", { types })[0]).toMatchObject({
    node: "positive",
    in: "type",
  });
  expect(find(workflow, "words")[0]).toMatchObject({
    node: "positive",
    port: "text",
    in: "parameter",
  });
});

test("links are no values, and nothing finds nothing", () => {
  expect(find(workflow, "load")).toEqual([]);
  expect(find(workflow, "  ")).toEqual([]);
});
