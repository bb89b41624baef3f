/** The order in which Tab goes through cards: column by column, each from the top. */
import type { Box } from "@/model/layout";

/** Cards whose left edges are closer than this stand in one column. */
const COLUMN = 120;

export function readingOrder(boxes: ReadonlyMap<string, Box>): readonly string[] {
  const sorted = [...boxes].toSorted(([, a], [, b]) => a.x - b.x);
  const columns: [string, Box][][] = [];
  let left = Number.NEGATIVE_INFINITY;
  for (const item of sorted) {
    if (item[1].x - left > COLUMN) {
      columns.push([]);
      left = item[1].x;
    }
    columns.at(-1)?.push(item);
  }
  return columns.flatMap((column) =>
    column.toSorted(([, a], [, b]) => a.y - b.y).map(([id]) => id),
  );
}

/** The next item, or the one before; null at the end. */
export function neighbour(order: readonly string[], id: string, step: 1 | -1): string | null {
  const index = order.indexOf(id);
  return index < 0 ? (order[0] ?? null) : (order[index + step] ?? null);
}

/** The nearest box in a direction from one, by the way to go there. */
export function nearest(
  boxes: ReadonlyMap<string, Box>,
  id: string,
  dx: number,
  dy: number,
): string | null {
  const from = boxes.get(id);
  if (!from) return null;
  const [x, y] = [from.x + from.width / 2, from.y + from.height / 2];
  let best: string | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const [other, box] of boxes) {
    if (other === id) continue;
    const [ox, oy] = [box.x + box.width / 2 - x, box.y + box.height / 2 - y];
    const along = ox * dx + oy * dy;
    const aside = Math.abs(ox * dy) + Math.abs(oy * dx);
    if (along <= 0 || along + 2 * aside >= least) continue;
    [least, best] = [along + 2 * aside, other];
  }
  return best;
}
