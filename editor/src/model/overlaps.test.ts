/** Whatever becomes of a graph, no card lies on another one. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arrange } from "./arrange";
import { EditFault } from "./fault";
import { builtInTypes } from "./fixtures";
import { changeLayout, layoutOf, type Point } from "./layout";
import { separated, spreadImported } from "./separate";
import { boxAt, sizesOf } from "./sizes";
import { makeSubgraph, unpackSubgraph } from "./subgraphs";
import { readWorkflow, type Workflow } from "./workflow";

const types = builtInTypes();
/** Cards of all heights, with an output and inputs that take links. */
const KINDS = [
  { type: "LoadModel", out: "model", into: [] },
  { type: "EmptyLatent", out: "latent", into: [] },
  { type: "EncodePrompt", out: "conditioning", into: ["encoder"] },
  { type: "KSampler", out: "latent", into: ["model", "positive", "negative", "latent"] },
  { type: "VAEDecode", out: "image", into: ["vae", "latent"] },
  { type: "SaveImage", out: "", into: ["image"] },
] as const;

interface Drawn {
  readonly kind: number;
  readonly sources: readonly number[];
  readonly at: Point;
}

const spot = fc.integer({ min: -900, max: 900 });
const drawn: fc.Arbitrary<Drawn> = fc.record({
  kind: fc.nat(KINDS.length - 1),
  sources: fc.array(fc.nat(1000), { minLength: 4, maxLength: 4 }),
  at: fc.record({ x: spot, y: spot }),
});
const graphs = fc.array(drawn, { minLength: 2, maxLength: 26 }).map(graphOf);

/** Links go to earlier nodes only, about three of four inputs have one. */
function graphOf(cards: readonly Drawn[]): Workflow {
  const nodes: Record<string, unknown> = {};
  const positions: Record<string, number[]> = {};
  for (const [index, { kind, sources, at }] of cards.entries()) {
    const { type, into } = KINDS[kind] ?? KINDS[0];
    const inputs: Record<string, unknown> = {};
    for (const [row, port] of into.entries()) {
      const source = sources[row] ?? 0;
      const from = source % Math.max(1, index);
      const out = KINDS[cards[from]?.kind ?? 0]?.out ?? "";
      if (index > 0 && source % 4 !== 0 && out !== "") inputs[port] = { from: `n${from}.${out}` };
    }
    nodes[`n${index}`] = { type, inputs };
    positions[`n${index}`] = [at.x, at.y];
  }
  return readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes, ui: { positions } }));
}

function overlaps(workflow: Workflow, scope: string | null = null): readonly string[] {
  const layout = layoutOf(workflow, scope);
  const boxes = [...sizesOf(workflow, scope, layout, types)].flatMap(([name, size]) => {
    const at = layout.positions.get(name);
    return at ? [{ name, ...boxAt(at, size) }] : [];
  });
  return boxes.flatMap((a, index) =>
    boxes.slice(index + 1).flatMap((b) => {
      const isApart =
        a.x >= b.x + b.width - 1 ||
        b.x >= a.x + a.width - 1 ||
        a.y >= b.y + b.height - 1 ||
        b.y >= a.y + a.height - 1;
      return isApart ? [] : [`${a.name} and ${b.name}`];
    }),
  );
}

describe("no card lies on another one", () => {
  test("of a graph that was arranged", () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        expect(overlaps(arrange(graph, null, types))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("of a graph that was arranged with groups in it", () => {
    const boxes = fc.array(
      fc.record({
        x: spot,
        y: spot,
        width: fc.integer({ min: 200, max: 1500 }),
        height: fc.integer({ min: 200, max: 1500 }),
      }),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(graphs, boxes, (graph, groups) => {
        const grouped = changeLayout(separated(graph, null, types), null, (layout) => ({
          ...layout,
          groups: groups.map((box, index) => ({ id: `g${index}`, title: "", color: "", box })),
        }));
        expect(overlaps(arrange(grouped, null, types))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("of a graph that was imported", () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const ui = new Map([...graph.ui, ["comfyui", new Map([["is_spread", false]])]]);
        expect(overlaps(spreadImported({ ...graph, ui }, types))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("of a graph some of which became a block, or came out of it again", () => {
    fc.assert(
      fc.property(
        graphs,
        fc.array(fc.nat(25), { minLength: 1 }),
        fc.boolean(),
        (graph, picks, isTidied) => {
          const apart = separated(graph, null, types);
          const names = [...new Set(picks)]
            .map((pick) => `n${pick}`)
            .filter((name) => apart.nodes.has(name));
          const made = packed(apart, names);
          if (made === null) return;
          expect(overlaps(made.workflow)).toEqual([]);
          expect(overlaps(made.workflow, made.subgraph)).toEqual([]);
          // As somebody has put the others close around the block.
          const before = isTidied ? arrange(made.workflow, null, types) : made.workflow;
          expect(overlaps(unpackSubgraph(before, null, made.node, types).workflow)).toEqual([]);
        },
      ),
      { numRuns: 80 },
    );
  });
});

/** Null where the nodes can't be one block. */
function packed(workflow: Workflow, names: readonly string[]) {
  try {
    return makeSubgraph(workflow, null, names, "Block", types);
  } catch (error) {
    if (error instanceof EditFault) return null;
    throw error;
  }
}
