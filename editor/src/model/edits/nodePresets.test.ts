import { describe, expect, it } from "vitest";
import { input, spec } from "../fixtures/specs";
import { linkOf } from "../links";
import { readWorkflow } from "../workflow";
import { nodePreset, withPreset } from "./nodePresets";

const SAMPLER = spec("Sampler", {
  inputs: [
    input("latent", "Latent"),
    input("steps", "int"),
    input("cfg", "float"),
    input("seed", "int", { widget: "seed" }),
  ],
});

function workflowWith(inputs: object) {
  const nodes = { empty: { type: "Empty" }, sampler: { type: "Sampler", inputs } };
  return readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
}

describe("presets of a node", () => {
  const kept = workflowWith({ latent: { from: "empty" }, steps: 30, seed: 5 });
  const preset = nodePreset(kept, null, "sampler", SAMPLER);

  it("keep the values, without links and the seed", () => {
    const [node, ...others] = preset?.nodes.values() ?? [];
    expect(others).toEqual([]);
    expect([...(node?.inputs ?? [])]).toEqual([["steps", 30]]);
  });

  it("give their values, and defaults where they have none; links and the seed stay", () => {
    if (preset === null) throw new Error("no preset");
    const before = workflowWith({ latent: { from: "empty" }, cfg: 3, steps: 8, seed: 9 });
    const inputs = withPreset(before, null, "sampler", preset, SAMPLER).nodes.get(
      "sampler",
    )?.inputs;
    expect([...(inputs?.keys() ?? [])].sort()).toEqual(["latent", "seed", "steps"]);
    expect(linkOf(inputs?.get("latent"))?.node).toBe("empty");
    expect(inputs?.get("steps")).toBe(30);
    expect(inputs?.get("seed")).toBe(9);
  });

  it("leave a linked value linked, and nodes of another type alone", () => {
    if (preset === null) throw new Error("no preset");
    const linked = workflowWith({ steps: { from: "empty" } });
    const inputs = withPreset(linked, null, "sampler", preset, SAMPLER).nodes.get(
      "sampler",
    )?.inputs;
    expect(linkOf(inputs?.get("steps"))?.node).toBe("empty");
    expect(withPreset(linked, null, "empty", preset, spec("Empty", {}))).toBe(linked);
  });
});
