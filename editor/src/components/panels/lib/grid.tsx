/** Grids that aren't tables: laid out freely, walked by keyboard, and only what is seen is made. */
import { type HTMLAttributes, type RefObject, useEffect, useLayoutEffect } from "react";
import type { VirtualRows } from "./useVirtualRows";

type Props = HTMLAttributes<HTMLDivElement> & { readonly "data-item"?: number };

const ROW = "row";
const CELL = "gridcell";

export function GridRow(props: Props) {
  return <div {...props} role={ROW} />;
}

export function GridCell(props: Props) {
  return <div {...props} role={CELL} />;
}

/** Calls back with the width of a grid in pixels, by which its columns are counted. */
export function useGridWidth(
  ref: RefObject<HTMLDivElement | null>,
  onWidth: (width: number) => void,
): void {
  useLayoutEffect(() => {
    const box = ref.current;
    if (box === null || typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(() => onWidth(box.clientWidth));
    observer.observe(box);
    return () => observer.disconnect();
  }, [ref, onWidth]);
}

/**
 * Scrolls to some rows, the last one counts most, and focuses a cell: once for each `aim`, so that a
 * list that grows takes no focus away.
 */
export function useAimedCell(
  aim: object | null,
  cell: number,
  rows: readonly number[],
  { ref, scrollTo }: VirtualRows,
): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: once each time that one is aimed at
  useEffect(() => {
    if (aim === null) return;
    for (const row of rows) scrollTo(row);
    ref.current
      ?.querySelector<HTMLElement>(`[data-item="${cell}"]`)
      ?.focus({ preventScroll: true });
  }, [aim]);
}
