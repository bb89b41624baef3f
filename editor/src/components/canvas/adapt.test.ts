import { describe, expect, it } from "vitest";
import { connect, moveItems, setInput } from "@/model/edits";
import { makeSubgraph } from "@/model/subgraphs";
import type { Workflow } from "@/model/workflow";
import { Adapter, type CanvasEdge, type CanvasNode, type Scene } from "./adapt";
import { Assembler, changed, NO_LOCAL } from "./assemble";
import { scene, TYPES, workflow } from "./fixture";

const NONE: ReadonlySet<string> = new Set();

function adapt(adapter: Adapter, of: Scene, selection = NONE) {
  return { nodes: adapter.nodes(of), edges: adapter.edges(of, selection) };
}

function named(nodes: readonly CanvasNode[], id: string): CanvasNode {
  const found = nodes.find((node) => node.id === id);
  if (!found) throw new Error(`no ${id}`);
  return found;
}

function edge(edges: readonly CanvasEdge[], id: string): CanvasEdge {
  const found = edges.find((each) => each.id === `edge/${id}`);
  if (!found) throw new Error(`no edge ${id}`);
  return found;
}

describe("identity", () => {
  it("gives the same arrays for the same scene", () => {
    const adapter = new Adapter();
    const first = adapt(adapter, scene(workflow()));
    const second = adapt(adapter, scene(workflow()));
    const again = workflow();
    const third = adapt(adapter, scene(again));
    expect(adapt(adapter, scene(again)).nodes).toBe(third.nodes);
    expect(second.nodes).toHaveLength(first.nodes.length);
  });

  it("makes anew only the card whose input was changed", () => {
    const adapter = new Adapter();
    const before = workflow();
    const first = adapt(adapter, scene(before));
    const second = adapt(adapter, scene(setInput(before, null, "sample", "seed", 8)));
    expect(named(second.nodes, "sample")).not.toBe(named(first.nodes, "sample"));
    expect(named(second.nodes, "load")).toBe(named(first.nodes, "load"));
    expect(edge(second.edges, "sample.model")).toBe(edge(first.edges, "sample.model"));
  });

  it("keeps the card's model when it is only moved", () => {
    const adapter = new Adapter();
    const before = workflow();
    const first = adapt(adapter, scene(before));
    const moved = moveItems(before, null, new Map([["load", { x: 50, y: 60 }]]));
    const second = adapt(adapter, scene(moved));
    const [a, b] = [named(first.nodes, "load"), named(second.nodes, "load")];
    expect(b.position).toEqual({ x: 50, y: 60 });
    expect(a.type === "card" && b.type === "card" && a.data.card === b.data.card).toBe(true);
    expect(named(second.nodes, "sample")).toBe(named(first.nodes, "sample"));
  });

  it("touches only the links at what is selected", () => {
    const adapter = new Adapter();
    const of = scene(workflow());
    const first = adapt(adapter, of);
    const second = adapt(adapter, of, new Set(["text"]));
    expect(edge(second.edges, "sample.positive").data?.touched).toBe(true);
    expect(edge(second.edges, "sample.model")).toBe(edge(first.edges, "sample.model"));
  });
});

describe("cards", () => {
  it("split inputs into ports and widgets", () => {
    const card = new Adapter().card("sample", scene(workflow()));
    expect(card?.inputs.map((port) => port.name)).toEqual(["model", "positive"]);
    expect(card?.widgets.map((input) => input.name)).toEqual(["seed"]);
  });

  it("make a linked widget a port", () => {
    const linked = connect(
      workflow(),
      null,
      { node: "count", port: "" },
      { node: "sample", port: "seed" },
    );
    const card = new Adapter().card("sample", scene(linked));
    expect(card?.inputs.map((port) => port.name)).toContain("seed");
    expect(card?.widgets).toEqual([]);
  });

  it("show the links of a type that isn't there", () => {
    const odd: Workflow = { ...workflow(), nodes: new Map(workflow().nodes) };
    const entry = odd.nodes.get("sample");
    if (!entry) throw new Error("no sample");
    const nodes = new Map(odd.nodes).set("sample", { ...entry, type: "Gone" });
    const card = new Adapter().card("sample", scene({ ...odd, nodes }));
    expect(card?.spec).toBeNull();
    expect(card?.inputs.map((port) => port.name)).toEqual(["model", "positive"]);
  });
});

describe("links", () => {
  it("take the colour of what flows through them", () => {
    const { edges } = adapt(new Adapter(), scene(workflow()));
    expect(edge(edges, "sample.model").data?.color).toBe(TYPES.portTypes.get("Model")?.color);
  });

  it("tell of a conversion", () => {
    const linked = connect(
      workflow(),
      null,
      { node: "count", port: "" },
      { node: "scale", port: "by" },
    );
    const { edges } = adapt(new Adapter(), scene(linked));
    expect(edge(edges, "scale.by").data?.mark).toBe("converts");
  });

  it("of a block's own inputs and outputs lead to its ends", () => {
    const made = makeSubgraph(workflow(), null, ["sample"], "inner", TYPES);
    const of = { ...scene(made.workflow), scope: "inner" };
    const { nodes, edges } = adapt(new Adapter(), of);
    expect(nodes.map((node) => node.id)).toEqual(["end/inputs", "end/outputs", "sample"]);
    expect(edges.filter((each) => each.source === "end/inputs")).not.toHaveLength(0);
    const card = named(nodes, "sample");
    const fed = edges.flatMap((each) => (each.target === "sample" ? [each.targetHandle] : []));
    const ports = card.type === "card" ? card.data.card.inputs.map((port) => port.name) : [];
    expect(ports).toEqual(expect.arrayContaining(fed));
  });
});

describe("drawn nodes", () => {
  it("follow a drag, and only the dragged one is made anew", () => {
    const base = new Adapter().nodes(scene(workflow()));
    const assembler = new Assembler();
    const first = assembler.assemble(base, NO_LOCAL, NONE);
    const local = changed(NO_LOCAL, [
      { id: "load", type: "position", position: { x: 7, y: 9 }, dragging: true },
    ]);
    const second = assembler.assemble(base, local, NONE);
    expect(named(second, "load").position).toEqual({ x: 7, y: 9 });
    expect(named(second, "sample")).toBe(named(first, "sample"));
  });

  it("follow a resize, by its width alone where only that changes, until it is written", () => {
    const base = new Adapter().nodes(scene(workflow()));
    const to = (setAttributes: true | "width") =>
      changed(NO_LOCAL, [
        { id: "load", type: "position", position: { x: -20, y: 0 } },
        {
          id: "load",
          type: "dimensions",
          resizing: true,
          setAttributes,
          dimensions: { width: 420, height: 300 },
        },
      ]);
    const sizeOf = (local: ReturnType<typeof to>) => {
      const node = named(new Assembler().assemble(base, local, NONE), "load");
      return node.type === "card" ? node.data.size : null;
    };
    expect(sizeOf(to("width"))).toEqual({ width: 420 });
    expect(sizeOf(to(true))).toEqual({ width: 420, height: 300 });
    const dimensions = { width: 420, height: 300 };
    const end = { id: "load", type: "dimensions", resizing: false, dimensions } as const;
    const ended = changed(to(true), [end]);
    expect(sizeOf(ended)).toBeNull();
    expect(ended.moves.size).toBe(0);
    expect(ended.measured.size).toBe(0);
  });
});
