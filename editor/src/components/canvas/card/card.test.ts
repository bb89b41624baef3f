import { describe, expect, it } from "vitest";
import { TYPES } from "@/components/canvas/fixture";
import { input, spec } from "@/model/fixtures/specs";
import { nodeTypesOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { cardOf } from "./card";

const LATER = { advanced: true, required: false };
const types = nodeTypesOf({
  items: [
    spec("Pipe", {
      inputs: [
        input("model", "Model"),
        input("words", "Words", LATER),
        input("more", "Words", LATER),
      ],
    }),
  ],
  port_types: [...TYPES.portTypes.values()],
});
const workflow = readWorkflow(`{
  "format": "nodegraph/1",
  "nodes": {"pipe": {"type": "Pipe", "inputs": {"words": {"from": "load.words"}}}}
}`);

function entryOf(name: string) {
  const entry = workflow.nodes.get(name);
  if (!entry) throw new Error(`no ${name}`);
  return entry;
}

function ports(shown?: ReadonlySet<string>) {
  return cardOf("pipe", entryOf("pipe"), {
    types,
    workflow,
    nodes: workflow.nodes,
    shown,
    fed: undefined,
  });
}

describe("cardOf", () => {
  it("leaves advanced ports to the inspector until they are linked", () => {
    const card = ports();
    expect(card.inputs.map((port) => port.name)).toEqual(["model", "words"]);
    expect(card.hidden).toBe(1);
  });

  it("has those that are to be shown", () => {
    const card = ports(new Set(["more"]));
    expect(card.inputs.map((port) => port.name)).toEqual(["model", "words", "more"]);
    expect(card.hidden).toBe(0);
  });

  it("may come yet if its pack is being read", () => {
    const found = (unread: readonly string[]) => {
      const context = { workflow, nodes: workflow.nodes, shown: undefined };
      const types = nodeTypesOf({ items: [], port_types: [], unread });
      return cardOf("a", { ...entryOf("pipe"), type: "cool:Pipe" }, { ...context, types });
    };
    expect(found(["cool"])).toMatchObject({ mayCome: true, inputs: [{ unknown: false }] });
    for (const others of [[""], []])
      expect(found(others)).toMatchObject({ mayCome: false, inputs: [{ unknown: true }] });
  });

  it("shows a placeholder of ComfyUI by its name there, with the ports that links use", () => {
    const { nodes } = readWorkflow(`{"format": "nodegraph/1", "nodes": {
      "spark": {"type": "comfyui:Sparkle", "inputs": {"image": {"from": "load"}, "widget_0": 1}},
      "save": {"type": "Save", "inputs": {"image": {"from": "spark.picture"}}}
    }}`);
    const entry = nodes.get("spark");
    if (!entry) throw new Error("no spark");
    const card = cardOf("spark", entry, { types, workflow, nodes, shown: undefined });
    expect([card.title, card.subtitle]).toEqual(["Sparkle", "ComfyUI"]);
    expect(card.inputs).toMatchObject([{ name: "image", linked: true, unknown: false }]);
    expect(card.outputs).toMatchObject([{ name: "picture", unknown: false }]);
  });
});
