import { expect, it } from "vitest";
import { input, output, portType, spec } from "./fixtures/specs";
import { withLookNode } from "./lookNode";
import { nodeTypesOf } from "./spec";
import { readWorkflow } from "./workflow";

const SPECS = [
  spec("Paint", { outputs: [output("image", "Image")] }),
  spec("Split", { outputs: [output("count", "int"), output("mask", "Mask")] }),
  spec("Keep", { inputs: [input("image", "Image")] }),
  spec("PreviewImage", { inputs: [input("image", "Image")] }),
  spec("ShowValue", { inputs: [input("value", "Any")] }),
];
const TYPES = nodeTypesOf({
  items: SPECS,
  port_types: ["Any", "Image", "Mask", "int"].map(portType),
});
const WORKFLOW = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: { paint: { type: "Paint" }, split: { type: "Split" }, look: { type: "Keep" } },
  }),
);

function added(node: string, port: string | null) {
  const found = withLookNode(WORKFLOW, null, TYPES, node, port);
  const entry = found?.workflow.nodes.get(found.name);
  return found && [found.name, entry?.type, [...(entry?.inputs ?? [])]];
}

it("shows pictures as pictures, beside a node of its name", () => {
  expect(added("paint", null)).toEqual([
    "look_2",
    "PreviewImage",
    [["image", new Map([["from", "paint"]])]],
  ]);
});

it("takes the output that a link comes from", () => {
  expect(added("split", "mask")?.[2]).toEqual([["image", new Map([["from", "split.mask"]])]]);
  expect(added("split", null)?.[1]).toBe("ShowValue");
});

it("is none of what gives nothing", () => {
  expect(added("look", null)).toBeNull();
  expect(added("gone", null)).toBeNull();
});
