/** How a plot is looked at: which series, which part, spaced how. */
import { useMemo, useState } from "react";
import {
  type AxisScale,
  extentOf,
  type Plot,
  type Series,
  type Span,
  smoothed,
} from "@/model/plot";

export interface Part {
  readonly x: Span;
  readonly y: Span | null;
}

export interface PlotLook {
  readonly scales: { readonly x: AxisScale; readonly y: AxisScale };
  readonly setScale: (axis: "x" | "y", scale: AxisScale) => void;
  /** Numbers of the series that aren't seen. */
  readonly hidden: ReadonlySet<number>;
  readonly toggle: (series: number) => void;
  /** Just this one, or all again. */
  readonly only: (series: number) => void;
  /** 0 for as they are. */
  readonly smoothing: number;
  readonly setSmoothing: (weight: number) => void;
  /** What was zoomed to; null for all, which grows with what comes. */
  readonly part: Part | null;
  readonly setPart: (part: Part | null) => void;
  /** What is seen of it. */
  readonly seen: { readonly x: Span; readonly y: Span };
  /** As they are drawn; null for what is hidden. */
  readonly drawn: readonly (Series | null)[];
}

/** What has intervals is a summary already, and would leave them. */
export function isSmoothable({ kind, low }: Series): boolean {
  return kind === "line" && low === null;
}

export function usePlotLook(plot: Plot): PlotLook {
  const [chosen, setChosen] = useState<{ x?: AxisScale; y?: AxisScale }>({});
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [smoothing, setSmoothing] = useState(0);
  const [part, setPart] = useState<Part | null>(null);
  const { xScale, yScale } = plot;
  const scales = useMemo(
    () => ({ x: chosen.x ?? xScale, y: chosen.y ?? yScale }),
    [chosen, xScale, yScale],
  );
  const drawn = useMemo(
    () =>
      plot.series.map((series, at) => {
        if (hidden.has(at)) return null;
        if (smoothing === 0 || !isSmoothable(series)) return series;
        return { ...series, y: smoothed(series.y, smoothing) };
      }),
    [plot, hidden, smoothing],
  );
  const all = useMemo(
    () =>
      extentOf(
        plot,
        plot.series.filter((_, at) => !hidden.has(at)),
        scales,
      ),
    [plot, hidden, scales],
  );
  const seen = { x: part?.x ?? all.x, y: part?.y ?? all.y };
  return {
    scales,
    setScale: (axis, scale) => {
      setChosen({ ...chosen, [axis]: scale });
      setPart(null);
    },
    hidden,
    toggle: (series) => {
      const next = new Set(hidden);
      if (!next.delete(series)) next.add(series);
      setHidden(next);
    },
    only: (series) => {
      const others = [...plot.series.keys()].filter((at) => at !== series);
      const isAlone = !hidden.has(series) && others.every((at) => hidden.has(at));
      setHidden(new Set(isAlone ? [] : others));
    },
    smoothing,
    setSmoothing,
    part,
    setPart,
    seen,
    drawn,
  };
}
