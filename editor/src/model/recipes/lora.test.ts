import { describe, expect, it } from "vitest";
import { builtInTypes } from "../fixtures";
import { fromPlain, toPlain } from "../json";
import { layoutOf } from "../layout";
import { linkOf } from "../links";
import { nodesOf, type Scope } from "../scope";
import { emptyWorkflow, type Workflow, workflowFromJson } from "../workflow";
import { type Applied, applyLora, takesLora } from ".";

const types = builtInTypes();
const AT = { x: 40, y: 60 };
const LOAD = { type: "LoadModel", inputs: { model: "tiny" } };

function prompt(encoder = "load.text_encoder") {
  return { type: "EncodePrompt", inputs: { encoder: { from: encoder }, text: "a fox" } };
}

function sampler(positive: string, model = "load.model", more: Record<string, unknown> = {}) {
  return {
    type: "KSampler",
    inputs: { model: { from: model }, positive: { from: positive }, ...more },
  };
}

function lora(name: string, model = "load.model", encoder = "load.text_encoder") {
  const inputs = { model: { from: model }, text_encoder: { from: encoder }, lora: name };
  return { type: "LoadLora", inputs };
}

function graph(nodes: Record<string, unknown>, more: Record<string, unknown> = {}): Workflow {
  return workflowFromJson(fromPlain({ format: "nodegraph/1", nodes, ...more }));
}

function applied(workflow: Workflow, node: string, name = "ink", scope: Scope = null): Applied {
  return applyLora({ workflow, scope, types }, node, name, AT);
}

/** All links to models and text encoders, as "node.port < source". */
function links(workflow: Workflow, scope: Scope = null): readonly string[] {
  const ports = ["model", "encoder", "text_encoder"];
  return [...nodesOf(workflow, scope)].flatMap(([node, { inputs }]) =>
    [...inputs].flatMap(([port, value]) => {
      const from = linkOf(value);
      return from && ports.includes(port) ? [`${node}.${port} < ${from.node}.${from.port}`] : [];
    }),
  );
}

describe("a LoRA of a prompt", () => {
  it("comes between the model and all that samples or reads for the prompt", () => {
    const { workflow, added } = applied(
      graph({
        load: LOAD,
        fox: prompt(),
        blurred: prompt(),
        sample: sampler("fox", "load.model", { negative: { from: "blurred" } }),
      }),
      "fox",
    );
    expect(links(workflow).toSorted()).toEqual([
      "blurred.encoder < load_lora.text_encoder",
      "fox.encoder < load_lora.text_encoder",
      "load_lora.model < load.model",
      "load_lora.text_encoder < load.text_encoder",
      "sample.model < load_lora.model",
    ]);
    expect(toPlain(workflow.nodes.get("load_lora")?.inputs.get("lora") ?? null)).toBe("ink");
    expect(added.map(({ name, before }) => [name, before])).toEqual([["load_lora", "load"]]);
    expect(new Set(added[0]?.users)).toEqual(new Set(["fox", "blurred", "sample"]));
  });

  it("is one for two samplers that share a model, and leaves those of other prompts", () => {
    const workflow = graph({
      load: LOAD,
      fox: prompt(),
      owl: prompt(),
      first: sampler("fox"),
      second: sampler("fox"),
      // From the fox's latent, and led by the owl.
      third: sampler("owl", "load.model", { latent: { from: "second" } }),
    });
    expect(links(applied(workflow, "fox").workflow)).toEqual([
      "fox.encoder < load_lora.text_encoder",
      "owl.encoder < load.text_encoder",
      "first.model < load_lora.model",
      "second.model < load_lora.model",
      "third.model < load.model",
      "load_lora.model < load.model",
      "load_lora.text_encoder < load.text_encoder",
    ]);
  });

  it("is put on behind those that are there, and only once", () => {
    const workflow = graph({
      load: LOAD,
      old: lora("loras/old.safetensors"),
      fox: prompt("old.text_encoder"),
      sample: sampler("fox", "old.model"),
    });
    const first = applied(workflow, "fox");
    expect(links(first.workflow)).toContain("load_lora.model < old.model");
    expect(links(first.workflow)).toContain("load_lora.text_encoder < old.text_encoder");
    expect(links(first.workflow)).toContain("sample.model < load_lora.model");
    for (const name of ["ink", "old"]) {
      const again = applied(first.workflow, "fox", name);
      expect(again.workflow).toBe(first.workflow);
      expect(again.there).toEqual([name === "ink" ? "load_lora" : "old"]);
    }
  });

  it("doesn't count as there where its node is turned off", () => {
    const off = { ...lora("ink"), mode: "bypass" };
    const workflow = graph({
      load: LOAD,
      off,
      fox: prompt("off.text_encoder"),
      sample: sampler("fox", "off.model"),
    });
    expect(applied(workflow, "fox").added).toHaveLength(1);
  });

  it("goes on each of two models, with its own encoder", () => {
    const two = graph({
      load: LOAD,
      other: LOAD,
      text: { type: "Gate", inputs: { value: "a fox" } },
      here: {
        type: "EncodePrompt",
        inputs: { encoder: { from: "load.text_encoder" }, text: { from: "text" } },
      },
      there: {
        type: "EncodePrompt",
        inputs: { encoder: { from: "other.text_encoder" }, text: { from: "text" } },
      },
      first: sampler("here"),
      second: sampler("there", "other.model"),
    });
    const both = links(applied(two, "text").workflow);
    expect(both).toContain("load_lora.text_encoder < load.text_encoder");
    expect(both).toContain("load_lora_2.text_encoder < other.text_encoder");
    expect(both).toContain("second.model < load_lora_2.model");
    expect(both).toContain("there.encoder < load_lora_2.text_encoder");
  });

  it("goes before what changes the model on its way", () => {
    const workflow = graph({
      load: LOAD,
      fox: prompt(),
      lead: {
        type: "ApplyIPAdapter",
        inputs: { model: { from: "load.model" }, positive: { from: "fox" } },
      },
      sample: sampler("lead.positive", "lead.model"),
    });
    const found = links(applied(workflow, "fox").workflow);
    expect(found).toContain("lead.model < load_lora.model");
    expect(found).toContain("sample.model < lead.model");
  });

  it("goes on the model of its encoder where nothing samples yet", () => {
    const { workflow, added } = applied(graph({ load: LOAD, fox: prompt() }), "fox");
    expect(links(workflow)).toEqual([
      "fox.encoder < load_lora.text_encoder",
      "load_lora.model < load.model",
      "load_lora.text_encoder < load.text_encoder",
    ]);
    expect(added[0]?.users).toEqual(["fox"]);
  });

  it("stands beside a prompt that is linked to nothing", () => {
    const fox = { type: "EncodePrompt", inputs: { text: "a fox" } };
    const workflow = graph({ fox }, { ui: { positions: { fox: [10, 20] } } });
    const { workflow: after, added } = applied(workflow, "fox");
    expect(added).toEqual([{ name: "load_lora", before: null, users: [] }]);
    expect(links(after)).toEqual([]);
    expect(layoutOf(after, null).positions.get("load_lora")?.y).toBe(20);
  });

  it("is put on within a block what comes into it", () => {
    const inside = {
      inputs: {
        model: { to: ["sample.model"] },
        encoder: { to: ["fox.encoder"] },
        latent: { to: ["sample.latent"] },
      },
      outputs: { latent: "sample" },
      nodes: {
        fox: { type: "EncodePrompt", inputs: { text: "a fox" } },
        sample: { type: "KSampler", inputs: { positive: { from: "fox" } } },
      },
    };
    const workflow = graph({}, { subgraphs: { paint: inside } });
    const { workflow: after } = applied(workflow, "fox", "ink", "paint");
    const block = after.subgraphs.get("paint");
    expect([...(block?.inputs ?? [])].map(([name, { to }]) => [name, ...to])).toEqual([
      ["model", "load_lora.model"],
      ["encoder", "load_lora.text_encoder"],
      ["latent", "sample.latent"],
    ]);
    expect(links(after, "paint")).toEqual([
      "fox.encoder < load_lora.text_encoder",
      "sample.model < load_lora.model",
    ]);
    expect(applied(after, "fox", "ink", "paint").there).toEqual(["load_lora"]);
  });
});

it("a LoRA is meant where text leads a model, or may come to", () => {
  const workflow = graph({
    load: LOAD,
    fox: prompt(),
    lone: { type: "EncodePrompt" },
    lines: { type: "Lines", inputs: { text: "one" } },
  });
  const asked = (node: string, known = types) =>
    takesLora({ workflow, scope: null, types: known }, node);
  expect(["fox", "lone", "lines"].map((node) => asked(node))).toEqual([true, true, false]);
  const none = {
    ...types,
    byName: new Map([...types.byName].filter(([name]) => name !== "LoadLora")),
  };
  expect(asked("fox", none)).toBe(false);
  expect(takesLora({ workflow: emptyWorkflow(), scope: null, types }, "fox")).toBe(false);
});
