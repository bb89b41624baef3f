import { describe, expect, it } from "vitest";
import type { Finding } from "@/api/schema";
import { linkOf } from "@/model/links";
import { readWorkflow } from "@/model/workflow";
import { TYPES } from "../testing";
import { mendsOf } from "./mends";

const nodes = {
  load: { type: "Load" },
  sample: { type: "Sample", inputs: { latent: { from: "load" } } },
  typo: { type: "Smaple", inputs: { latnet: 3 } },
};
const workflow = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));

function mends(node: string, finding: Partial<Finding>) {
  const told = { code: "", message: "", node, ...finding } as Finding;
  return mendsOf(told, { workflow, types: TYPES, scope: null, node });
}

describe("mendsOf", () => {
  it("puts the node between that makes one type of the other", () => {
    const [between] = mends("sample", {
      code: "wrong-type",
      port: "latent",
      given: "Image",
      expected: "Latent",
    });
    const mended = between?.edit(workflow);
    const from = linkOf(mended?.nodes.get("sample")?.inputs.get("latent"))?.node ?? "";
    const added = mended?.nodes.get(from);
    expect(added?.type).toBe("Encode");
    expect(linkOf(added?.inputs.get("image"))?.node).toBe("load");
  });

  it("takes the type that was meant", () => {
    const [mend] = mends("typo", { code: "unknown-node-type", hint: "Did you mean `Sample`?" });
    expect(mend?.edit(workflow).nodes.get("typo")?.type).toBe("Sample");
  });

  it("renames an input or drops it", () => {
    const [rename, drop] = mends("typo", {
      code: "unknown-input",
      port: "latnet",
      hint: "Did you mean `latent`?",
    });
    expect(rename?.edit(workflow).nodes.get("typo")?.inputs.get("latent")).toBe(3);
    expect(drop?.edit(workflow).nodes.get("typo")?.inputs.size).toBe(0);
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
    expect(mend?.edit(workflow).nodes.get("sample")?.inputs.get("way")).toBe("euler");
  });

  it("offers nothing for what it doesn't know, or what is gone", () => {
    expect(mends("sample", { code: "strange" })).toEqual([]);
    expect(mends("gone", { code: "unknown-input", port: "x" })).toEqual([]);
  });
});
