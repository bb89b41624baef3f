import { describe, expect, it } from "vitest";
import { builtInTypes } from "./fixtures";
import { TYPES } from "./fixtures/types";
import { linkOf } from "./links";
import { type Finding, type Mend, mendsOf } from "./mends";
import { readWorkflow } from "./workflow";

const nodes = {
  load: { type: "Load" },
  sample: { type: "Sample", inputs: { latent: { from: "load" } } },
  encode: { type: "Encode" },
  blend: { type: "Blend" },
  typo: { type: "Smaple", inputs: { latnet: 3 } },
};
const workflow = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));

function mends(node: string, finding: Partial<Finding>) {
  const told = { code: "", ...finding };
  return mendsOf(told, { workflow, types: TYPES, scope: null, node });
}

/** The workflow as a mend makes it. */
function mended(mend: Mend | undefined) {
  if (mend === undefined || !("edit" in mend)) throw new Error("no edit");
  return mend.edit(workflow);
}

describe("mendsOf", () => {
  it("puts the node between that makes one type of the other", () => {
    const [between] = mends("sample", {
      code: "wrong-type",
      port: "latent",
      given: "Image",
      expected: "Latent",
    });
    const found = mended(between);
    const from = linkOf(found.nodes.get("sample")?.inputs.get("latent"))?.node ?? "";
    const added = found.nodes.get(from);
    expect(added?.type).toBe("Encode");
    expect(linkOf(added?.inputs.get("image"))?.node).toBe("load");
  });

  it("takes the type that was meant", () => {
    const [mend] = mends("typo", { code: "unknown-node-type", hint: "Did you mean `Sample`?" });
    expect(mended(mend).nodes.get("typo")?.type).toBe("Sample");
  });

  it("renames an input or drops it", () => {
    const [rename, drop] = mends("typo", {
      code: "unknown-input",
      port: "latnet",
      hint: "Did you mean `latent`?",
    });
    expect(mended(rename).nodes.get("typo")?.inputs.get("latent")).toBe(3);
    expect(mended(drop).nodes.get("typo")?.inputs.size).toBe(0);
  });

  it("links what the hint proposes", () => {
    const [mend] = mends("sample", {
      code: "missing-input",
      port: "latent",
      hint: 'Link it: {"from": "load.image"}.',
    });
    expect(mend?.values.name).toBe("load.image");
  });

  it("sets the nearest choice", () => {
    const [mend] = mends("sample", {
      code: "not-a-choice",
      port: "way",
      given: '"eular"',
      expected: "ddim, euler, heun",
    });
    expect(mended(mend).nodes.get("sample")?.inputs.get("way")).toBe("euler");
  });

  it("sets the size that a model was trained at where the image begins", () => {
    const nodes = {
      size: { type: "EmptyLatent", inputs: { width: 64, height: 64 } },
      noisy: { type: "AddNoise", inputs: { latent: { from: "size" } } },
      sample: { type: "KSampler", inputs: { latent: { from: "noisy" } } },
    };
    const graph = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
    const finding = { code: "untrained-size", port: "latent", expected: "about 1024 x 768" };
    const situation = { workflow: graph, types: builtInTypes(), scope: null, node: "sample" };
    const [mend] = mendsOf(finding, situation);
    if (mend === undefined || !("edit" in mend)) throw new Error("no edit");
    const { inputs } = mend.edit(graph).nodes.get("size") ?? {};
    expect([inputs?.get("width"), inputs?.get("height")]).toEqual([1024, 768]);
  });

  it("adds the node that gives what lacks", () => {
    const [add] = mends("encode", { code: "missing-input", port: "image", expected: "Image" });
    const found = mended(add);
    const from = linkOf(found.nodes.get("encode")?.inputs.get("image"))?.node ?? "";
    expect(found.nodes.get(from)?.type).toBe("Load");
    expect(found.nodes.size).toBe(workflow.nodes.size + 1);
  });

  it("leads to a field, a download and another type", () => {
    const opens = (node: string, finding: Partial<Finding>) =>
      mends(node, finding).flatMap((mend) => ("opens" in mend ? [mend.opens] : []));
    expect(opens("blend", { code: "missing-input", port: "width" })).toEqual(["field"]);
    expect(opens("blend", { code: "model-not-found", port: "width" })).toEqual(["models", "field"]);
    expect(opens("typo", { code: "unknown-node-type" })).toEqual(["types"]);
  });

  it("offers nothing for what it doesn't know, or what is gone", () => {
    expect(mends("sample", { code: "strange" })).toEqual([]);
    expect(mends("gone", { code: "unknown-input", port: "x" })).toEqual([]);
  });
});
