import { describe, expect, test } from "vitest";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { input, spec } from "./fixtures/specs";
import {
  defaultOf,
  inputOf,
  nodeTypesOf,
  outputOf,
  subgraphType,
  typeOf,
  withLabels,
} from "./spec";
import { type NodeEntry, readWorkflow, type Workflow } from "./workflow";

const types = builtInTypes();

function specOf(workflow: Workflow, name: string) {
  return typeOf(types, workflow, workflow.nodes.get(name) as NodeEntry);
}

describe("a node that runs a subgraph", () => {
  const walk = galleryWorkflow("prompt_walk");
  const spec = specOf(walk, "walk");

  test("has that one's other inputs too", () => {
    const names = spec?.inputs.map((port) => port.name);
    expect(names).toEqual([
      "items",
      "initial",
      "body",
      "model",
      "encoder",
      "vae",
      "denoise",
      "seed",
    ]);
    expect(spec && inputOf(spec, "denoise")).toMatchObject({
      type: "float",
      passed_on: true,
      help: "How much of the image is regenerated.",
      default: 1,
    });
  });

  test("has that one's types in place of Any", () => {
    expect(spec && inputOf(spec, "items")).toMatchObject({
      type: "list[str]",
      json_schema: { type: "array", items: { type: "string" } },
    });
    expect(spec && inputOf(spec, "initial")?.type).toBe("Image");
    expect(spec && outputOf(spec, "results")?.type).toBe("list[Image]");
  });

  test("stays the same object while other parts are edited", () => {
    const edited = { ...walk, title: "Other" };
    expect(specOf(edited, "walk")).toBe(spec);
  });
});

describe("a subgraph as a node type", () => {
  const block = (inputs: object, nodes: object, outputs: object = {}) =>
    readWorkflow(
      JSON.stringify({
        format: "nodegraph/1",
        nodes: { use: { type: "KSampler" } },
        subgraphs: { KSampler: { inputs, outputs, nodes } },
      }),
    );

  test("hides a node type of the same name", () => {
    const found = block(
      { amount: { to: ["add.a"] } },
      { add: { type: "Calculate" } },
      { sum: "add" },
    );
    const spec = specOf(found, "use");
    expect(spec?.inputs).toMatchObject([{ name: "amount", type: "float", required: true }]);
    expect(spec?.outputs).toMatchObject([{ name: "sum", type: "float" }]);
  });

  test("needs nothing where the inner input or the block has a value", () => {
    const inner = block(
      { amount: { to: ["add.a"] } },
      { add: { type: "Calculate", inputs: { a: 3 } } },
    );
    expect(specOf(inner, "use")?.inputs[0]?.required).toBe(false);
    const outer = block({ amount: { to: ["add.a"], default: 4 } }, { add: { type: "Calculate" } });
    const input = specOf(outer, "use")?.inputs[0];
    expect(input?.required).toBe(false);
    expect(input && defaultOf(input)).toBe(4);
  });

  test("that contains itself has no spec", () => {
    const found = block({}, { again: { type: "KSampler" } });
    expect(subgraphType(types, found, "KSampler")).toBeNull();
  });
});

test("an output without a name is the only one", () => {
  const sampler = types.byName.get("KSampler");
  const loader = types.byName.get("LoadModel");
  expect(sampler && outputOf(sampler, "")?.name).toBe("latent");
  expect(loader && outputOf(loader, "")).toBeNull();
});

test.each([
  ["Add a node that gives Conditioning, such as EncodePrompt.", "Encode prompt"],
  ["Put a VAEDecode between.", "Put a VAE decode between."],
  ["Add a node that gives bool, such as Compare or Gate.", "such as Compare or Gate."],
  ["Select one of them.", "Select one of them."],
  ["Did you mean `KSampler`?", "Did you mean `KSampler`?"],
])("advice calls node types as searches do: %s", (told, said) => {
  expect(withLabels(told, builtInTypes())).toContain(said);
});

describe("a node type that takes more inputs than it declares", () => {
  const type = spec("more:Loop", { takes_more: true, inputs: [input("count", "int")] });
  const types = builtInTypes();
  const known = { ...types, byName: new Map([...types.byName, [type.type, type]]) };
  const workflow = readWorkflow(
    JSON.stringify({
      format: "nodegraph/1",
      nodes: {
        few: { type: "more:Loop" },
        many: { type: "more:Loop", inputs: { count: 2, value3: { from: "few" } } },
      },
    }),
  );
  const inputsOf = (name: string) =>
    typeOf(known, workflow, workflow.nodes.get(name) as NodeEntry)?.inputs;

  test("has those that a node has", () => {
    expect(inputsOf("few")).toBe(type.inputs);
    expect(inputsOf("many")?.map((port) => [port.name, port.type, port.required])).toEqual([
      ["count", "int", true],
      ["value3", "AnyItem", false],
    ]);
    expect(inputsOf("many")).toBe(inputsOf("many"));
  });
});

test("a node type knows that its pack runs apart", () => {
  const items = [spec("soft:Blur", { pack: "soft" }), spec("hard:Sharp", { pack: "hard" })];
  const { byName } = nodeTypesOf({ items, port_types: [], isolated: { soft: "sandbox" } });
  expect(byName.get("soft:Blur")?.process).toBe("sandbox");
  expect(byName.get("hard:Sharp")?.process).toBeUndefined();
});
