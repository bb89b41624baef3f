/** Every kind of problem that a check of a workflow finds has something that mends it. */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it, test } from "vitest";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { linkOf } from "./links";
import { type Mend, mendsOf } from "./mends";
import { addOutput } from "./usualMends";
import { readWorkflow, type Workflow } from "./workflow";

const types = builtInTypes();
const CORE = resolve(import.meta.dirname, "../../../nodegraph/core");
const workflow = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: {
      load: { type: "LoadModel", inputs: { model: "tiny" } },
      size: { type: "EmptyLatent" },
      sample: {
        type: "KSampler",
        inputs: { model: { from: "load" }, latent: { from: "gone" }, steps: 9.5, positive: "none" },
      },
      decode: {
        type: "VAEDecode",
        inputs: { vae: { from: "load.vae" }, latent: { from: "sample" } },
      },
      save: { type: "SaveImage", mode: "bypass", inputs: { image: { from: "decode" } } },
      after: { type: "UpscaleImage", inputs: { image: { from: "save" }, typo: 3 } },
      loop: { type: "KSampler", inputs: { latent: { from: "round" } } },
      round: { type: "KSampler", inputs: { latent: { from: "loop" } } },
    },
  }),
);

/** Each code that the checks give, with a node and an input that have the problem. */
const PROBLEMS: Readonly<Record<string, readonly [node: string, port: string | null]>> = {
  "ambiguous-output": ["sample", "model"],
  cycle: ["loop", null],
  "invalid-input": ["sample", "steps"],
  "link-needed": ["sample", "positive"],
  "missing-input": ["sample", "negative"],
  "model-not-found": ["load", "model"],
  "name-needed": ["after", "typo"],
  "not-a-choice": ["sample", "sampler"],
  "not-a-multiple": ["size", "width"],
  "nothing-to-pass": ["after", "image"],
  "null-not-allowed": ["sample", "steps"],
  "out-of-range": ["sample", "steps"],
  "too-deep": ["after", "typo"],
  "unknown-input": ["after", "typo"],
  "unknown-node": ["sample", "latent"],
  "unknown-node-type": ["sample", null],
  "unknown-output": ["sample", "latent"],
  "unknown-subgraph": ["after", "typo"],
  "values-not-read": ["sample", "steps"],
  "wrong-body": ["after", "typo"],
  "wrong-literal": ["sample", "steps"],
  "wrong-type": ["decode", "latent"],
};

function offered(code: string): readonly Mend[] {
  const [node = "", port = null] = PROBLEMS[code] ?? [];
  return mendsOf({ code, port }, { workflow, types, scope: null, node });
}

function after(mend: Mend | undefined): Workflow {
  if (mend === undefined || !("edit" in mend)) throw new Error("no edit");
  return mend.edit(workflow);
}

test("the checks have no codes but these", () => {
  const sources = readdirSync(CORE).filter((name) => name.endsWith(".py"));
  const codes = sources.flatMap((name) => {
    const text = readFileSync(resolve(CORE, name), "utf8");
    const said = [
      ...text.matchAll(/(?:\bcode="|_Fault\(\s*"|message, code = "[^"]+", ")([a-z-]+)"/g),
    ];
    return said.flatMap(([, code]) => code ?? []);
  });
  expect(codes.length).toBeGreaterThan(12);
  expect([...new Set(codes)].filter((code) => !(code in PROBLEMS))).toEqual([]);
});

describe.each(Object.keys(PROBLEMS))("%s", (code) => {
  it("has a mend, and each of them changes the graph or leads to where it is changed", () => {
    const mends = offered(code);
    expect(mends).not.toEqual([]);
    for (const mend of mends) if ("edit" in mend) expect(mend.edit(workflow)).not.toBe(workflow);
  });
});

it("links one of the outputs that fit", () => {
  const [mend] = offered("ambiguous-output");
  const link = linkOf(after(mend).nodes.get("sample")?.inputs.get("model"));
  expect(link).toEqual({ node: "load", port: "model" });
});

it("has what was bypassed run again", () => {
  expect(after(offered("nothing-to-pass")[0]).nodes.get("save")?.mode).toBeNull();
});

it("opens a circle by the link that goes back", () => {
  expect(after(offered("cycle")[0]).nodes.get("loop")?.inputs.has("latent")).toBe(false);
});

it("saves what a graph makes that neither shows nor saves anything", () => {
  const whole = galleryWorkflow("text_to_image");
  const saving = [...whole.nodes].filter(([, { type }]) => types.byName.get(type)?.output);
  const nodes = new Map(whole.nodes);
  for (const [name] of saving) nodes.delete(name);
  const [mend] = addOutput({ ...whole, nodes }, null, types);
  if (mend === undefined || !("edit" in mend)) throw new Error("no edit");
  const added = [...mend.edit({ ...whole, nodes }).nodes].at(-1)?.[1];
  expect(types.byName.get(added?.type ?? "")?.output).toBe(true);
  expect([...(added?.inputs.values() ?? [])].some((value) => linkOf(value) !== null)).toBe(true);
});
