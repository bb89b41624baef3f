import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addNode, connect, exposeParameter, setInput } from "./edits";
import { EditFault } from "./fault";
import { graphs, picks, someOf, TYPES } from "./fixtures/graphs";
import { fromPlain, type Json, sameJson } from "./json";
import { layoutOf } from "./layout";
import { linkJson, linkOf, linkText } from "./links";
import { typeOf } from "./spec";
import {
  demoteInput,
  demoteOutput,
  makeSubgraph,
  promoteInput,
  promoteOutput,
  renameInput,
  renameOutput,
  renameSubgraph,
  subgraphSpec,
  unpackSubgraph,
  usesOf,
} from "./subgraphs";
import { type Workflow, workflowFromJson, writeWorkflow } from "./workflow";

/** A graph as what it says: types, values, and links with their ports written out. */
function meaning(workflow: Workflow): ReadonlyMap<string, Json> {
  const found = new Map<string, Json>();
  for (const [name, entry] of workflow.nodes) {
    const inputs = new Map<string, Json>();
    for (const [port, value] of entry.inputs) {
      const link = linkOf(value);
      const source = link && workflow.nodes.get(link.node);
      const only = source && typeOf(TYPES, workflow, source)?.outputs[0]?.name;
      inputs.set(port, link ? linkText({ ...link, port: link.port || (only ?? "") }) : value);
    }
    found.set(
      name,
      new Map<string, Json>([
        ["type", entry.type],
        ["inputs", inputs],
      ]),
    );
  }
  return found;
}

const GRAPH = workflowFromJson(
  fromPlain({
    format: "nodegraph/1",
    parameters: { strength: "blur.amount" },
    nodes: {
      load: { type: "Load", inputs: { path: "a.png" } },
      blur: { type: "Blur", inputs: { image: { from: "load.image" }, amount: 3 } },
      mix: {
        type: "Mix",
        inputs: {
          a: { from: "load.image" },
          b: { from: "blur" },
          mask: { from: "load.mask" },
          amount: 1,
        },
      },
      save: { type: "Save", inputs: { image: { from: "mix" } } },
    },
    ui: { positions: { load: [0, 0], blur: [300, 100], mix: [500, 0], save: [800, 0] } },
  }),
);

describe("makeSubgraph", () => {
  it("makes one input of each output that came in, and follows parameters", () => {
    const { workflow, node, subgraph } = makeSubgraph(
      GRAPH,
      null,
      ["blur", "mix"],
      "Soft mix",
      TYPES,
    );
    const block = workflow.subgraphs.get(subgraph);
    expect([...(block?.inputs ?? [])].map(([name, { to }]) => [name, ...to])).toEqual([
      ["amount", "blur.amount"],
      ["image", "blur.image", "mix.a"],
      ["mask", "mix.mask"],
    ]);
    expect(block?.outputs).toEqual(new Map([["image", "mix"]]));
    expect(workflow.parameters.get("strength")?.input).toBe(`${node}.amount`);
    expect(workflow.nodes.get(node)?.inputs.get("amount")).toBe(3);
    expect(workflow.nodes.get("save")?.inputs.get("image")).toEqual(linkJson({ node, port: "" }));
    expect([...workflow.nodes.keys()]).toEqual(["load", "soft_mix", "save"]);
    expect(layoutOf(workflow, null).positions.get(node)).toEqual({ x: 400, y: 50 });
    expect(layoutOf(workflow, subgraph).positions.get("blur")).toEqual({ x: 300, y: 100 });
  });

  it("gives a node type with the inner types", () => {
    const { workflow, subgraph } = makeSubgraph(GRAPH, null, ["blur", "mix"], "Soft", TYPES);
    const spec = subgraphSpec(workflow, subgraph, TYPES);
    expect(spec?.inputs.map(({ name, type }) => [name, type])).toEqual([
      ["amount", "int"],
      ["image", "Image"],
      ["mask", "Mask"],
    ]);
    expect(spec?.outputs.map(({ name, type }) => [name, type])).toEqual([["image", "Image"]]);
  });

  it("refuses a selection whose links go outside and back", () => {
    expect(() => makeSubgraph(GRAPH, null, ["load", "mix"], "Bad", TYPES)).toThrow(EditFault);
    expect(() => makeSubgraph(GRAPH, null, [], "None", TYPES)).toThrow(EditFault);
  });

  it("and unpacking give back an equivalent graph", () => {
    fc.assert(
      fc.property(graphs, picks, fc.boolean(), (graph, picked, varies) => {
        const names = someOf(graph, picked);
        const workflow = varies
          ? exposeParameter(graph, "p", `${names.at(-1) ?? "n0"}.amount`).workflow
          : graph;
        const made = attempt(() => makeSubgraph(workflow, null, names, "Block", TYPES));
        if (!made) return;
        const { workflow: back, items } = unpackSubgraph(made.workflow, null, made.node, TYPES);
        expect(new Set(items)).toEqual(new Set(names));
        expect(sameJson(meaning(back), meaning(workflow))).toBe(true);
        expect(back.parameters).toEqual(workflow.parameters);
        expect(back.subgraphs.size).toBe(0);
        // Room is made for what comes out; among themselves, its nodes stand as they did.
        const [before, after] = [layoutOf(workflow, null), layoutOf(back, null)];
        const moves = names.map((name) => {
          const [was, now] = [before.positions.get(name), after.positions.get(name)];
          return { x: (now?.x ?? 0) - (was?.x ?? 0), y: (now?.y ?? 0) - (was?.y ?? 0) };
        });
        for (const move of moves) expect(move).toEqual(moves[0]);
      }),
      { numRuns: 300 },
    );
  });

  it("works within a block, whose own ports follow", () => {
    const outer = makeSubgraph(GRAPH, null, ["blur", "mix"], "Outer", TYPES);
    const inner = makeSubgraph(outer.workflow, "Outer", ["blur"], "Inner", TYPES);
    const block = inner.workflow.subgraphs.get("Outer");
    expect(block?.inputs.get("amount")?.to).toEqual(["inner.amount"]);
    const back = unpackSubgraph(inner.workflow, "Outer", "inner", TYPES).workflow;
    expect(back.subgraphs.get("Outer")?.inputs.get("amount")?.to).toEqual(["blur.amount"]);
    const flat = unpackSubgraph(back, null, outer.node, TYPES).workflow;
    expect(sameJson(meaning(flat), meaning(GRAPH))).toBe(true);
  });
});

function attempt<T>(act: () => T): T | null {
  try {
    return act();
  } catch (fault) {
    if (fault instanceof EditFault) return null;
    throw fault;
  }
}

describe("unpackSubgraph", () => {
  it("keeps apart what two uses are given, and the block while it is used", () => {
    const made = makeSubgraph(GRAPH, null, ["blur"], "Soft", TYPES);
    const two = addNode(made.workflow, null, { type: "Soft", at: { x: 0, y: 0 }, name: "second" });
    const set = setInput(two.workflow, null, "second", "amount", 9);
    const first = unpackSubgraph(set, null, made.node, TYPES).workflow;
    expect(first.subgraphs.has("Soft")).toBe(true);
    const both = unpackSubgraph(first, null, "second", TYPES);
    expect(both.workflow.subgraphs.size).toBe(0);
    expect(both.workflow.nodes.get(both.items[0] ?? "")?.inputs.get("amount")).toBe(9);
    expect(both.workflow.nodes.get("blur")?.inputs.get("amount")).toBe(3);
  });

  const shared = (given: unknown) =>
    workflowFromJson(
      fromPlain({
        format: "nodegraph/1",
        parameters: { amount: { input: "soft.amount", label: "How much" } },
        nodes: {
          load: { type: "Load", inputs: { path: "a.png" } },
          count: { type: "Count" },
          soft: { type: "Soft", inputs: { image: { from: "load.image" }, amount: given } },
        },
        subgraphs: {
          Soft: {
            inputs: {
              image: { to: ["blur.image", "mix.b"] },
              amount: { to: ["blur.amount", "mix.amount"] },
            },
            outputs: { image: "mix" },
            nodes: {
              blur: { type: "Blur", inputs: { amount: 1 } },
              mix: { type: "Mix", inputs: { a: { from: "blur" }, amount: 2 } },
            },
          },
        },
      }),
    );

  it("gives each inner input what the one that led to it had", () => {
    const { workflow } = unpackSubgraph(shared(7), null, "soft", TYPES);
    const [blur, mix] = [workflow.nodes.get("blur"), workflow.nodes.get("mix")];
    expect([blur?.inputs.get("amount"), mix?.inputs.get("amount")]).toEqual([7, 7]);
    const image = linkJson({ node: "load", port: "image" });
    expect([blur?.inputs.get("image"), mix?.inputs.get("b")]).toEqual([image, image]);
    const linked = unpackSubgraph(shared({ from: "count" }), null, "soft", TYPES).workflow;
    const count = linkJson({ node: "count", port: "" });
    for (const name of ["blur", "mix"]) {
      expect(linked.nodes.get(name)?.inputs.get("amount")).toEqual(count);
    }
  });

  it("makes a parameter of each inner input that the one had led to", () => {
    const { workflow } = unpackSubgraph(shared(7), null, "soft", TYPES);
    const found = [...workflow.parameters].map(([name, { input, label }]) => [name, input, label]);
    expect(found).toEqual([
      ["amount", "blur.amount", "How much"],
      ["amount_2", "mix.amount", "How much"],
    ]);
  });

  it("gives inner nodes free names", () => {
    const made = makeSubgraph(GRAPH, null, ["blur"], "Soft", TYPES);
    const taken = addNode(made.workflow, null, { type: "Blur", at: { x: 0, y: 0 } }).workflow;
    const { workflow, items } = unpackSubgraph(taken, null, made.node, TYPES);
    expect(items).toEqual(["blur_2"]);
    expect(workflow.nodes.get("mix")?.inputs.get("b")).toEqual(
      linkJson({ node: "blur_2", port: "" }),
    );
    expect(workflow.parameters.get("strength")?.input).toBe("blur_2.amount");
  });
});

describe("a block's ports", () => {
  const made = makeSubgraph(GRAPH, null, ["blur", "mix"], "Soft", TYPES);

  it("are renamed where the block is used", () => {
    const one = renameInput(made.workflow, "Soft", "amount", "strength", TYPES);
    expect(one.nodes.get(made.node)?.inputs.get("strength")).toBe(3);
    expect(one.parameters.get("strength")?.input).toBe(`${made.node}.strength`);
    expect(() => renameInput(one, "Soft", "strength", "image", TYPES)).toThrow(EditFault);
  });

  it("are added: a second output makes links to the first say its name", () => {
    const more = promoteOutput(made.workflow, "Soft", { node: "blur", port: "" }, "blurred");
    expect(more.name).toBe("blurred");
    expect(more.workflow.nodes.get("save")?.inputs.get("image")).toEqual(
      linkJson({ node: made.node, port: "image" }),
    );
    const renamed = renameOutput(more.workflow, "Soft", "image", "mixed");
    expect(renamed.nodes.get("save")?.inputs.get("image")).toEqual(
      linkJson({ node: made.node, port: "mixed" }),
    );
    const less = demoteOutput(renamed, "Soft", "mixed");
    expect(less.nodes.get("save")?.inputs.has("image")).toBe(false);
  });

  it("are taken away, their value going inside", () => {
    const less = demoteInput(made.workflow, "Soft", "amount", TYPES);
    expect(less.subgraphs.get("Soft")?.nodes.get("blur")?.inputs.get("amount")).toBe(3);
    expect(less.nodes.get(made.node)?.inputs.has("amount")).toBe(false);
    expect(less.parameters.size).toBe(0);
  });

  it("take the place of links inside, and may lead to several", () => {
    const one = promoteInput(made.workflow, "Soft", { node: "mix", port: "b" });
    expect(one.name).toBe("b");
    expect(one.workflow.subgraphs.get("Soft")?.nodes.get("mix")?.inputs.has("b")).toBe(false);
    const two = promoteInput(one.workflow, "Soft", { node: "mix", port: "a" }, "b");
    const inputs = two.workflow.subgraphs.get("Soft")?.inputs;
    expect(inputs?.get("b")?.to).toEqual(["mix.b", "mix.a"]);
    expect(inputs?.get("image")?.to).toEqual(["blur.image"]);
  });
});

describe("renameSubgraph", () => {
  it("follows uses, bodies of loops and the layout", () => {
    const made = makeSubgraph(GRAPH, null, ["blur"], "Soft", TYPES);
    const looped = addNode(made.workflow, null, {
      type: "Fold",
      at: { x: 0, y: 0 },
      inputs: new Map([
        ["body", "Soft"],
        ["text", "Soft"],
      ]),
    });
    expect(usesOf(looped.workflow, "Soft").map(({ node, port }) => [node, port])).toEqual([
      [made.node, null],
      ["fold", "body"],
    ]);
    const renamed = renameSubgraph(looped.workflow, "Soft", "Hard");
    expect(renamed.nodes.get("fold")?.inputs).toEqual(
      new Map([
        ["body", "Hard"],
        ["text", "Soft"],
      ]),
    );
    expect(layoutOf(renamed, "Hard")).toBe(layoutOf(made.workflow, "Soft"));
    expect(writeWorkflow(renameSubgraph(renamed, "Hard", "Soft"))).toBe(
      writeWorkflow(looped.workflow),
    );
  });

  it("leaves links to a use alone", () => {
    const made = makeSubgraph(GRAPH, null, ["blur"], "Soft", TYPES);
    const renamed = renameSubgraph(made.workflow, "Soft", "Hard");
    const again = connect(
      renamed,
      null,
      { node: made.node, port: "" },
      { node: "save", port: "image" },
    );
    expect(again.nodes.get(made.node)?.type).toBe("Hard");
  });
});
