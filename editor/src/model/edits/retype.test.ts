import { describe, expect, it } from "vitest";
import { input, output, portType, spec } from "../fixtures/specs";
import { linkOf } from "../links";
import { nodeTypesOf } from "../spec";
import { readWorkflow } from "../workflow";
import { retype } from "./retype";

const latents = [output("latent", "Latent"), output("noise", "Latent")];
const SPECS = [
  spec("Empty", { outputs: [output("latent", "Latent")] }),
  spec("Sampler", {
    inputs: [input("latent", "Latent"), input("steps", "int"), input("seed", "int")],
    outputs: [output("latent", "Latent")],
  }),
  spec("Advanced", {
    inputs: [input("start", "Latent"), input("steps", "int"), input("seed", "str")],
    outputs: latents,
  }),
  spec("Load", { outputs: [output("image", "Image")] }),
  spec("Decode", { inputs: [input("latent", "Latent")], outputs: [output("image", "Image")] }),
];
const PORTS = ["Any", "Image", "Latent", "int", "str"].map(portType);
const TYPES = nodeTypesOf({ items: SPECS, port_types: PORTS }, "test");

const nodes = {
  empty: { type: "Empty" },
  sampler: { type: "Sampler", inputs: { latent: { from: "empty" }, steps: 20, seed: 3 } },
  decode: { type: "Decode", inputs: { latent: { from: "sampler" } } },
};

function replaced(node: string, type: string, given: object = nodes, more: object = {}) {
  const workflow = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes: given, ...more }));
  const found = TYPES.byName.get(type);
  if (found === undefined) throw new Error(type);
  return retype(workflow, null, node, found, TYPES);
}

const from = (workflow: ReturnType<typeof replaced>, node: string, port: string) =>
  linkOf(workflow.nodes.get(node)?.inputs.get(port));

describe("retype", () => {
  it("keeps values of the same port, and leads links to the ports that take them", () => {
    const workflow = replaced("sampler", "Advanced");
    const entry = workflow.nodes.get("sampler");
    expect(entry?.type).toBe("Advanced");
    expect(entry?.inputs.get("steps")).toBe(20);
    expect([...(entry?.inputs.keys() ?? [])].sort()).toEqual(["start", "steps"]);
    expect(from(workflow, "sampler", "start")).toEqual({ node: "empty", port: "" });
    expect(from(workflow, "decode", "latent")).toEqual({ node: "sampler", port: "latent" });
  });

  it("comes back to the same links", () => {
    const there = replaced("sampler", "Advanced");
    const sampler = TYPES.byName.get("Sampler");
    const back = sampler && retype(there, null, "sampler", sampler, TYPES);
    expect(back && from(back, "sampler", "latent")).toEqual({ node: "empty", port: "" });
    expect(back && from(back, "decode", "latent")).toEqual({ node: "sampler", port: "" });
  });

  it("takes links away that nothing of the new type fits", () => {
    const workflow = replaced("sampler", "Load");
    expect(workflow.nodes.get("sampler")?.inputs.size).toBe(0);
    expect(workflow.nodes.get("decode")?.inputs.has("latent")).toBe(false);
  });

  it("leaves what a node of an unknown type was given", () => {
    const given = { ...nodes, sampler: { ...nodes.sampler, type: "Smapler" } };
    const inputs = replaced("sampler", "Advanced", given).nodes.get("sampler")?.inputs;
    expect([...(inputs?.keys() ?? [])].sort()).toEqual(["seed", "start", "steps"]);
  });

  it("moves the workflow's parameters with their ports, or drops them", () => {
    const parameters = {
      start: { input: "sampler.latent" },
      count: { input: "sampler.steps" },
      seed: { input: "sampler.seed" },
    };
    const workflow = replaced("sampler", "Advanced", nodes, { parameters });
    const inputs = [...workflow.parameters].map(([name, each]) => [name, each.input]);
    expect(inputs).toEqual([
      ["start", "sampler.start"],
      ["count", "sampler.steps"],
    ]);
  });
});
