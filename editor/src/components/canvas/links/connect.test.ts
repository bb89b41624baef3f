import { describe, expect, it } from "vitest";
import { Adapter } from "@/components/canvas/adapt";
import { scene, TYPES, workflow } from "@/components/canvas/fixture";
import { linkOf, linkText } from "@/model/links";
import { makeSubgraph } from "@/model/subgraphs";
import type { Workflow } from "@/model/workflow";
import { fitsFor, fittingPorts, judge, link, relink, unlink } from "./connect";

function ends(source: string, sourceHandle: string, target: string, targetHandle: string) {
  return { source, sourceHandle, target, targetHandle };
}

function from(of: Workflow, node: string, port: string): string | null {
  const found = linkOf(of.nodes.get(node)?.inputs.get(port));
  return found && linkText(found);
}

function edgeOf(of: Workflow, id: string) {
  const found = new Adapter().edges(scene(of), new Set()).find((each) => each.id === id);
  if (!found) throw new Error(`no ${id}`);
  return found;
}

describe("judging a link", () => {
  it("takes what fits", () => {
    expect(judge(scene(), ends("count", "number", "sample", "seed")).fits).toBe(true);
  });

  it("says what is converted", () => {
    const found = judge(scene(), ends("count", "number", "scale", "by"));
    expect(found.fits && found.note).not.toBe("");
  });

  it("refuses another type with the reason", () => {
    const found = judge(scene(), ends("load", "words", "sample", "model"));
    expect(found.fits).toBe(false);
    expect(!found.fits && found.reason).toContain("Words");
  });

  it("refuses a circle", () => {
    expect(judge(scene(), ends("scale", "latent", "scale", "latent")).fits).toBe(false);
  });
});

describe("making a link", () => {
  it("writes it as files do, without the only port", () => {
    const linked = link(workflow(), scene(), ends("count", "number", "sample", "seed"));
    expect(from(linked, "sample", "seed")).toBe("count");
    const other = link(workflow(), scene(), ends("load", "model", "sample", "model"));
    expect(from(other, "sample", "model")).toBe("load.model");
  });

  it("moves its end", () => {
    const linked = link(workflow(), scene(), ends("count", "number", "sample", "seed"));
    const edge = edgeOf(linked, "edge/sample.seed");
    const moved = relink(linked, scene(linked), edge, ends("count", "number", "scale", "by"));
    expect(from(moved, "sample", "seed")).toBeNull();
    expect(from(moved, "scale", "by")).toBe("count");
  });

  it("takes it away", () => {
    const before = workflow();
    const after = unlink(before, scene(before), edgeOf(before, "edge/sample.model"));
    expect(from(after, "sample", "model")).toBeNull();
  });

  it("from a block's end makes an input of the block", () => {
    const made = makeSubgraph(workflow(), null, ["sample"], "inner", TYPES).workflow;
    const inside = { ...scene(made), scope: "inner" };
    const linked = link(made, inside, ends("end/inputs", "+", "sample", "seed"));
    const block = linked.subgraphs.get("inner");
    expect([...(block?.inputs.values() ?? [])].some(({ to }) => to.includes("sample.seed"))).toBe(
      true,
    );
  });
});

describe("what a loose end can be linked to", () => {
  it("are the fitting ports of all that come after", () => {
    const found = fitsFor(scene(), { node: "count", port: "number", side: "output" });
    expect([...(found.get("sample") ?? [])]).toEqual(["seed"]);
    expect([...(found.get("scale") ?? [])]).toEqual(["by"]);
    expect(found.has("load")).toBe(false);
  });

  it("leaves out what would close a circle", () => {
    const found = fitsFor(scene(), { node: "sample", port: "model", side: "input" });
    expect([...found.keys()]).toEqual(["load"]);
  });

  it("offers the best port of a card first", () => {
    expect(
      fittingPorts(scene(), { node: "count", port: "number", side: "output" }, "scale"),
    ).toEqual(["by"]);
  });
});
