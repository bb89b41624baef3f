/** Which rows of a long list are in view, so that thousands cost no more than a screenful. */
import { type RefObject, useCallback, useLayoutEffect, useMemo, useRef, useState } from "react";

export interface VirtualRow {
  readonly index: number;
  readonly top: number;
  readonly height: number;
}

export interface VirtualRows {
  readonly ref: RefObject<HTMLDivElement | null>;
  readonly total: number;
  readonly rows: readonly VirtualRow[];
  readonly scrollTo: (index: number) => void;
  /** Rows that fit into the window, for PageUp and PageDown. */
  readonly page: number;
}

/** Rows drawn beyond the window's edges. */
const EXTRA = 6;
/** Height taken where there is no layout to measure, as in tests. */
const UNMEASURED = 600;

type Heights = number | ((index: number) => number);

export function useVirtualRows(count: number, heights: Heights, keep: number): VirtualRows {
  const ref = useRef<HTMLDivElement>(null);
  const [window, setWindow] = useState({ top: 0, height: UNMEASURED });
  const tops = useMemo(() => topsOf(count, heights), [count, heights]);
  useLayoutEffect(() => {
    const box = ref.current;
    if (box === null) return;
    const measure = () => {
      const next = { top: box.scrollTop, height: box.clientHeight || UNMEASURED };
      setWindow((old) => (old.top === next.top && old.height === next.height ? old : next));
    };
    measure();
    box.addEventListener("scroll", measure, { passive: true });
    const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(measure);
    observer?.observe(box);
    return () => {
      box.removeEventListener("scroll", measure);
      observer?.disconnect();
    };
  }, []);
  const scrollTo = useCallback((index: number) => scrollInto(ref.current, tops, index), [tops]);
  const total = tops[count] ?? 0;
  const rows = useMemo(() => {
    const first = Math.max(0, rowAt(tops, window.top) - EXTRA);
    const last = Math.min(count - 1, rowAt(tops, window.top + window.height) + EXTRA);
    const indices = new Set<number>();
    for (let index = first; index <= last; index += 1) indices.add(index);
    if (keep >= 0 && keep < count) indices.add(keep);
    return [...indices].sort((a, b) => a - b).map((index) => rowOf(tops, index));
  }, [tops, window, count, keep]);
  const average = count === 0 ? 1 : Math.max(1, total / count);
  return { ref, total, rows, scrollTo, page: Math.max(1, Math.floor(window.height / average) - 1) };
}

function topsOf(count: number, heights: Heights): Float64Array {
  const tops = new Float64Array(count + 1);
  for (let index = 0; index < count; index += 1) {
    const height = typeof heights === "number" ? heights : heights(index);
    tops[index + 1] = (tops[index] ?? 0) + height;
  }
  return tops;
}

/** The row that `y` lies in, by bisection. */
function rowAt(tops: Float64Array, y: number): number {
  let low = 0;
  let high = Math.max(0, tops.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((tops[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

function rowOf(tops: Float64Array, index: number): VirtualRow {
  const top = tops[index] ?? 0;
  return { index, top, height: (tops[index + 1] ?? top) - top };
}

function scrollInto(box: HTMLElement | null, tops: Float64Array, index: number): void {
  if (box === null || index < 0) return;
  const { top, height } = rowOf(tops, index);
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + height > box.scrollTop + box.clientHeight) {
    box.scrollTop = top + height - box.clientHeight;
  }
}
