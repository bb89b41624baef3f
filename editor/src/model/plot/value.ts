/** A `Plot` as the server's JSON has it: series of numbers over common axes. */

export type SeriesKind = "line" | "points" | "bars";
export type AxisScale = "linear" | "log";

export interface Series {
  readonly name: string;
  readonly kind: SeriesKind;
  /** As many as `y`; where x are categories, their places from 0. */
  readonly x: Float64Array;
  /** NaN is a gap. */
  readonly y: Float64Array;
  /** Ends of each value's interval; both or none. */
  readonly low: Float64Array | null;
  readonly high: Float64Array | null;
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xScale: AxisScale;
  readonly yScale: AxisScale;
  readonly series: readonly Series[];
  /** Names along x, in order; null where x are numbers. */
  readonly categories: readonly string[] | null;
  readonly notes: readonly string[];
}

/** Beyond these nothing is drawn: a stranger's file may claim anything. */
const MOST_SERIES = 64;
const MOST_POINTS = 200_000;

/** The plot that a JSON value is; null if it is none. */
export function readPlot(value: unknown): Plot | null {
  if (!isRecord(value) || !Array.isArray(value.series)) return null;
  const given = value.series.slice(0, MOST_SERIES).filter(isRecord);
  const categories = namesIn(given);
  const series = given.map((each) => seriesOf(each, categories));
  if (series.includes(null)) return null;
  return {
    title: textOf(value.title),
    xLabel: textOf(value.x_label),
    yLabel: textOf(value.y_label),
    xScale: value.x_scale === "log" && categories === null ? "log" : "linear",
    yScale: value.y_scale === "log" ? "log" : "linear",
    series: series.filter((each) => each !== null),
    categories,
    notes: Array.isArray(value.notes) ? value.notes.filter((note) => typeof note === "string") : [],
  };
}

/** All names along x, each once; null if there are numbers. */
function namesIn(series: readonly Record<string, unknown>[]): readonly string[] | null {
  const places = series.flatMap(({ x }) => (Array.isArray(x) ? x.slice(0, MOST_POINTS) : []));
  if (!places.some((place) => typeof place === "string")) return null;
  return [...new Set(places.map(String))];
}

function seriesOf(
  given: Record<string, unknown>,
  categories: readonly string[] | null,
): Series | null {
  const { x, y, low, high, kind } = given;
  if (!Array.isArray(x) || !Array.isArray(y) || x.length !== y.length) return null;
  const places = categories === null ? x : x.map((name) => categories.indexOf(String(name)));
  const bounds = [low, high].map((each) =>
    Array.isArray(each) && each.length === y.length ? numbersOf(each) : null,
  );
  const [below = null, above = null] = bounds.includes(null) ? [] : bounds;
  return {
    name: textOf(given.name),
    kind: kind === "points" || kind === "bars" ? kind : "line",
    x: numbersOf(places),
    y: numbersOf(y),
    low: below,
    high: above,
  };
}

function numbersOf(values: readonly unknown[]): Float64Array {
  return Float64Array.from(values.slice(0, MOST_POINTS), (value) =>
    // msgpack has whole numbers that JavaScript reads as bigint.
    typeof value === "number" || typeof value === "bigint" ? Number(value) : Number.NaN,
  );
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
