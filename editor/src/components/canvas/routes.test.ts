import { expect, test } from "vitest";
import type { Edge } from "@/model/graph";
import type { Box, Point } from "@/model/layout";
import { polyline } from "./path";
import { isBehind, routesAround } from "./routes";

const CARD = { width: 240, height: 200 };
const COLUMN = 320;

/** Cards in a row, with links over `spans` columns from each. */
function row(count: number, spans: readonly number[]) {
  const boxes = new Map<string, Box>();
  for (let index = 0; index < count; index += 1)
    boxes.set(`c${index}`, { x: index * COLUMN, y: (index % 3) * 40, ...CARD });
  const edges: Edge[] = [];
  for (let index = 0; index < count; index += 1)
    for (const span of spans.filter((each) => index + each < count)) {
      const to = { node: `c${index + span}`, port: `p${span}` };
      edges.push({ id: `${to.node}.${to.port}`, from: { node: `c${index}`, port: "" }, to });
    }
  return { boxes, edges };
}

function ends(boxes: ReadonlyMap<string, Box>, { from, to }: Edge) {
  const [a, b] = [boxes.get(from.node) as Box, boxes.get(to.node) as Box];
  return { from: { x: a.x + a.width, y: a.y + 52 }, to: { x: b.x, y: b.y + 76 } };
}

test.each(["curve", "straight", "step"] as const)("no %s link runs behind a card", (style) => {
  const { boxes, edges } = row(8, [1, 2, 3, 5]);
  const found = routesAround(edges, boxes, (edge) => ends(boxes, edge), style);
  for (const edge of edges) {
    const { from, to } = ends(boxes, edge);
    const points: readonly Point[] = [from, ...(found.get(edge.id) ?? []), to];
    const others = [...boxes].flatMap(([name, box]) =>
      name === edge.from.node || name === edge.to.node ? [] : [box],
    );
    expect(isBehind(polyline(style, points), others), edge.id).toBe(false);
  }
});

test("a link with nothing in its way has no points", () => {
  const { boxes, edges } = row(4, [1]);
  expect(routesAround(edges, boxes, (edge) => ends(boxes, edge), "curve").size).toBe(0);
});
