import { describe, expect, it } from "vitest";
import { Adapter } from "@/components/canvas/adapt";
import { scene, workflow } from "@/components/canvas/fixture";
import { addNode, addReroute } from "@/model/edits";
import { layoutOf } from "@/model/layout";
import { linkOf, linkText } from "@/model/links";
import type { Workflow } from "@/model/workflow";
import { isLoose, spliced, splicedNew } from "./splice";

const HERE = { x: 0, y: 0 };

function edgeOf(of: Workflow, id: string) {
  const found = new Adapter().edges(scene(of), new Set()).find((each) => each.id === id);
  if (!found) throw new Error(`no ${id}`);
  return found;
}

function from(of: Workflow | null, node: string, port: string): string | null {
  const found = linkOf(of?.nodes.get(node)?.inputs.get(port));
  return found && linkText(found);
}

describe("a node put into a link", () => {
  const { workflow: more } = addNode(workflow(), null, { type: "Scale", at: HERE, name: "again" });
  const edge = edgeOf(more, "edge/scale.latent");

  it("stands in between", () => {
    const found = spliced(scene(more), edge, "again", 0);
    expect(from(found, "again", "latent")).toBe("sample");
    expect(from(found, "scale", "latent")).toBe("again");
  });

  it("needs an input and an output that fit", () => {
    expect(spliced(scene(more), edge, "count", 0)).toBeNull();
    expect(spliced(scene(more), edge, "text", 0)).toBeNull();
  });

  it("isn't an end of it", () => {
    expect(spliced(scene(more), edge, "scale", 0)).toBeNull();
  });

  it("may be new", () => {
    const found = splicedNew(scene(more), edge, "Scale", HERE, 0);
    expect(found && from(found.workflow, "scale", "latent")).toBe(found?.name);
  });

  it("leaves points of the link where they are", () => {
    const [first, second] = [
      { x: 1, y: 1 },
      { x: 9, y: 9 },
    ];
    const bent = addReroute(
      addReroute(more, null, "scale.latent", 0, first),
      null,
      "scale.latent",
      1,
      second,
    );
    const found = spliced(scene(bent), edgeOf(bent, "edge/scale.latent"), "again", 1);
    const { reroutes } = layoutOf(found ?? bent, null);
    expect(reroutes.get("again.latent")).toEqual([first]);
    expect(reroutes.get("scale.latent")).toEqual([second]);
  });

  it("is loose only without links of its own", () => {
    expect(isLoose(scene(more), "again")).toBe(true);
    expect(isLoose(scene(more), "load")).toBe(false);
    expect(isLoose(scene(more), "scale")).toBe(false);
  });
});
