import { describe, expect, test } from "vitest";
import { arrange } from "./arrange";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { isObject } from "./json";
import { changeLayout, layoutOf } from "./layout";
import { separated, spreadImported } from "./separate";
import { boxAt, sizesOf } from "./sizes";
import { makeSubgraph, unpackSubgraph } from "./subgraphs";
import type { Workflow } from "./workflow";

const types = builtInTypes();

function overlaps(workflow: Workflow): readonly string[] {
  const layout = layoutOf(workflow, null);
  const boxes = [...sizesOf(workflow, null, layout, types)].flatMap(([name, size]) => {
    const at = layout.positions.get(name);
    return at ? [{ name, ...boxAt(at, size) }] : [];
  });
  return boxes.flatMap((a, index) =>
    boxes.slice(index + 1).flatMap((b) => {
      const isApart =
        a.x >= b.x + b.width ||
        b.x >= a.x + a.width ||
        a.y >= b.y + b.height ||
        b.y >= a.y + a.height;
      return isApart ? [] : [`${a.name} and ${b.name}`];
    }),
  );
}

/** Places as of a program whose cards are smaller. */
function squeezed(workflow: Workflow): Workflow {
  return changeLayout(workflow, null, (layout) => ({
    ...layout,
    positions: new Map(
      [...layout.positions].map(([name, { x, y }]) => [
        name,
        { x: Math.round(x / 3), y: Math.round(y / 3) },
      ]),
    ),
  }));
}

describe("cards", () => {
  const placed = arrange(galleryWorkflow("text_to_image"), null, types);

  test("that lie on each other are moved apart, the upper ones stay", () => {
    const close = squeezed(placed);
    expect(overlaps(close)).not.toEqual([]);
    const apart = separated(close, null, types);
    expect(overlaps(apart)).toEqual([]);
    const [before, after] = [layoutOf(close, null), layoutOf(apart, null)];
    const top = [...before.positions].toSorted(([, a], [, b]) => a.y - b.y || a.x - b.x)[0];
    expect(after.positions.get(top?.[0] ?? "")).toEqual(top?.[1]);
  });

  test("that moved have links that find their ways anew, but for points that somebody put", () => {
    const [own, auto] = [[{ x: 5, y: 5 }], [{ x: 9, y: 9, auto: true as const }]];
    const close = changeLayout(squeezed(placed), null, (layout) => ({
      ...layout,
      reroutes: new Map([
        ["decode.vae", auto],
        ["decode.latent", own],
      ]),
    }));
    const { reroutes } = layoutOf(separated(close, null, types), null);
    expect([...reroutes]).toEqual([["decode.latent", own]]);
  });

  test("that are clear of each other stay", () => {
    expect(separated(placed, null, types)).toBe(placed);
  });

  const sampled = [...placed.nodes].flatMap(([name, { type }]) =>
    ["EncodePrompt", "EmptyLatent", "KSampler"].includes(type) ? [name] : [],
  );

  test("a block takes the place of what it holds, clear of the others", () => {
    const made = makeSubgraph(placed, null, sampled, "Sampling", types);
    expect(overlaps(made.workflow)).toEqual([]);
  });

  test("what comes out of a block gets room between what stood beside it", () => {
    const made = makeSubgraph(placed, null, sampled, "Sampling", types);
    // As somebody has put the others close around it.
    const close = arrange(made.workflow, null, types);
    const back = unpackSubgraph(close, null, made.node, types).workflow;
    expect(overlaps(back)).toEqual([]);
  });

  describe("of a workflow that was imported", () => {
    const marked = (workflow: Workflow, isSpread: boolean): Workflow => ({
      ...workflow,
      ui: new Map([...workflow.ui, ["comfyui", new Map([["is_spread", isSpread]])]]),
    });

    test("are moved apart when it is opened first, with room for what may lack", () => {
      const spread = spreadImported(marked(squeezed(placed), false), types);
      expect(overlaps(spread)).toEqual([]);
      const loading = [...placed.nodes].find(([, { type }]) => type === "LoadModel")?.[0] ?? "";
      const layout = layoutOf(spread, null);
      const { width, height } = sizesOf(spread, null, layout, types).get(loading) ?? {
        width: 0,
        height: 0,
      };
      const { x, y } = layout.positions.get(loading) ?? { x: 0, y: 0 };
      const below = [...layout.positions].filter(
        ([name, at]) => name !== loading && at.y > y && Math.abs(at.x - x) < width,
      );
      expect(below).not.toEqual([]);
      expect(Math.min(...below.map(([, at]) => at.y))).toBeGreaterThanOrEqual(y + height + 76);
    });

    test("are noted with where they were moved to, for an export to leave them be", () => {
      const before = marked(squeezed(placed), false);
      const spread = spreadImported(before, types);
      const noted = spread.ui.get("comfyui");
      const moved = isObject(noted) ? noted.get("spread") : null;
      const was = layoutOf(before, null).positions;
      const now = [...layoutOf(spread, null).positions].filter(
        ([name, { x, y }]) => was.get(name)?.x !== x || was.get(name)?.y !== y,
      );
      expect(now).not.toEqual([]);
      expect(moved).toEqual(new Map(now.map(([name, { x, y }]) => [name, [x, y]])));
    });

    test("stay where they are afterwards", () => {
      const spread = spreadImported(marked(squeezed(placed), false), types);
      expect(spreadImported(spread, types)).toBe(spread);
      // Without node types nobody knows how large cards are.
      const early = marked(squeezed(placed), false);
      expect(spreadImported(early, null)).toBe(early);
      const own = marked(squeezed(placed), true);
      expect(spreadImported(own, types)).toBe(own);
      expect(spreadImported(squeezed(placed), types)).toEqual(squeezed(placed));
    });
  });
});
