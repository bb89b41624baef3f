/** Pictures in rows under the days that they were made on, those of a sweep under its name. */

export type GridRow =
  | {
      readonly kind: "day";
      readonly key: string;
      readonly at: number;
      readonly count: number;
      /** The first one below it. */
      readonly from: number;
      /** Whose pictures are below it; null for those of no sweep. */
      readonly sweep: string | null;
    }
  | { readonly kind: "cells"; readonly key: string; readonly from: number; readonly to: number };

/** What an item is shown under. */
export interface Heading {
  readonly day: string;
  readonly at: number;
  readonly sweep?: string | null;
}

/** Rows of `columns` items each; a new day or sweep begins a new row beneath its heading. */
export function gridRows(days: readonly Heading[], columns: number): readonly GridRow[] {
  const rows: GridRow[] = [];
  let from = 0;
  while (from < days.length) {
    const first = days[from];
    if (first === undefined) break;
    let end = from;
    const sweep = first.sweep ?? null;
    while (isBelow(days[end], first)) end += 1;
    const key = `day:${sweep ?? first.day}:${from}`;
    rows.push({ kind: "day", key, at: first.at, count: end - from, from, sweep });
    for (let at = from; at < end; at += columns) {
      rows.push({ kind: "cells", key: `cells:${at}`, from: at, to: Math.min(at + columns, end) });
    }
    from = end;
  }
  return rows;
}

function isBelow(item: Heading | undefined, first: Heading): boolean {
  if (item === undefined || (item.sweep ?? null) !== (first.sweep ?? null)) return false;
  // A sweep may have gone on past midnight.
  return first.sweep ? true : item.day === first.day;
}

/** The row that an item is in. */
export function rowOfItem(rows: readonly GridRow[], item: number): number {
  return rows.findIndex((row) => row.kind === "cells" && row.from <= item && item < row.to);
}

const PAGE = 4;

/** Where a key leads from an item; null if it is no key that moves. */
export function movedInGrid(
  rows: readonly GridRow[],
  item: number,
  key: string,
  count: number,
): number | null {
  const clamp = (index: number) => Math.min(Math.max(index, 0), count - 1);
  if (count === 0) return null;
  switch (key) {
    case "ArrowRight":
      return clamp(item + 1);
    case "ArrowLeft":
      return clamp(item - 1);
    case "ArrowDown":
      return byRows(rows, item, 1);
    case "ArrowUp":
      return byRows(rows, item, -1);
    case "PageDown":
      return byRows(rows, item, PAGE);
    case "PageUp":
      return byRows(rows, item, -PAGE);
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}

function byRows(rows: readonly GridRow[], item: number, steps: number): number {
  const cells = rows.filter((row) => row.kind === "cells");
  const at = cells.findIndex((row) => row.from <= item && item < row.to);
  const here = cells[at];
  const there = cells[Math.min(Math.max(at + steps, 0), cells.length - 1)];
  if (here === undefined || there === undefined) return item;
  return Math.min(there.from + (item - here.from), there.to - 1);
}
