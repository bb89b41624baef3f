/**
 * Sweeps: a workflow run once for each combination of values of one to three inputs.
 *
 * Which values a job has, its tags say: so a grid is there for as long as its jobs are, on any page.
 */
import { type Json, writeJson } from "./json";

/** One input, "node.port" of the file's own graph, and the values that it takes. */
export interface Axis {
  readonly target: string;
  readonly values: readonly Json[];
}

export interface Sweep {
  readonly id: string;
  /** Along a row, down, and from grid to grid; at least one. */
  readonly axes: readonly Axis[];
}

/** Of one job: the place of its value on each axis. */
export type Place = readonly number[];

export const MOST_AXES = 3;
const LETTERS = ["x", "y", "z"] as const;
const TAG = "sweep:";
/** Characters of a tag. */
const LONGEST = 250;

/** All combinations, the first axis running fastest. */
export function placesOf(axes: readonly Axis[]): readonly Place[] {
  return axes.reduce<readonly Place[]>(
    (found, { values }) => values.flatMap((_, index) => found.map((place) => [...place, index])),
    [[]],
  );
}

export function countOf(axes: readonly Axis[]): number {
  return axes.reduce((count, { values }) => count * values.length, axes.length === 0 ? 0 : 1);
}

/** A value as it is shown. */
export function valueText(value: Json): string {
  const text = typeof value === "string" ? value : writeJson(value).trim();
  return text.replaceAll(/\s+/g, " ");
}

/** The tags of the job at a place. */
export function tagsAt({ id, axes }: Sweep, place: Place): readonly string[] {
  const axisTags = axes.map(({ target, values }, axis) => {
    const index = place[axis] ?? 0;
    const value = values[index];
    const text = `${LETTERS[axis]}:${index}:${target}=${value === undefined ? "" : valueText(value)}`;
    return text.slice(0, LONGEST);
  });
  return [sweepTag(id), ...axisTags];
}

export function sweepTag(id: string): string {
  return TAG + id;
}

/** The sweep that a job is of, by its tags; null for other jobs. */
export function sweepOf(tags: readonly string[]): string | null {
  return tags.find((tag) => tag.startsWith(TAG))?.slice(TAG.length) ?? null;
}

/** Characters of a value in a title. */
const LONGEST_TOLD = 24;

const ROWS = /^rows-[\da-f]{6,}$/;

/** The table that a job is a row of, by its tags; null for other jobs. */
export function rowsOf(tags: readonly string[]): string | null {
  return tags.find((tag) => ROWS.test(tag)) ?? null;
}

/** Whether a group of jobs are the rows of a table, and no sweep. */
export function isRows(group: string): boolean {
  return ROWS.test(group);
}

/** What the tags of all tables' jobs have. */
export const ROWS_TAG = "rows-";

/** The title of a workflow with the values that a job of a sweep has; as it is for other jobs. */
export function titleWith(title: string, tags: readonly string[]): string {
  const { axes } = gridOf([{ id: "", tags }]);
  const ports = axes.map(({ target }) => target.slice(target.lastIndexOf(".") + 1));
  const told = axes.map(({ target, labels }, axis) => {
    const port = ports[axis] ?? target;
    const isAmbiguous = ports.indexOf(port) !== ports.lastIndexOf(port);
    const text = labels.at(-1) ?? "";
    const value = text.length > LONGEST_TOLD ? `${text.slice(0, LONGEST_TOLD - 1)}…` : text;
    return `${isAmbiguous ? target : port} ${value}`;
  });
  return [...(title ? [title] : []), ...told].join(" · ");
}

export interface GridAxis {
  readonly target: string;
  /** What its values are called, by their places; "" for those of which there is no job. */
  readonly labels: readonly string[];
}

/** What the jobs of a sweep come to. */
export interface Grid {
  readonly axes: readonly GridAxis[];
  /** The job at a place, by `placeKey`. */
  readonly jobs: ReadonlyMap<string, string>;
}

export function placeKey(place: Place): string {
  return place.join(",");
}

const AXIS_TAG = /^([xyz]):(\d{1,4}):([^=]*)=([\s\S]*)$/;

/** The grid of a sweep's jobs; of several at one place the last one counts. */
export function gridOf(
  jobs: Iterable<{ readonly id: string; readonly tags: readonly string[] }>,
): Grid {
  const labels: string[][] = [];
  const targets: string[] = [];
  const found = new Map<string, string>();
  for (const { id, tags } of jobs) {
    const place: number[] = [];
    for (const tag of tags) {
      const [, letter = "", index = "", target = "", text = ""] = AXIS_TAG.exec(tag) ?? [];
      const axis = (LETTERS as readonly string[]).indexOf(letter);
      if (axis < 0) continue;
      place[axis] = Number(index);
      targets[axis] = target;
      labels[axis] ??= [];
      labels[axis][Number(index)] = text;
    }
    if (place.length > 0) found.set(placeKey(place), id);
  }
  const axes = targets.map((target, axis) => ({
    target,
    labels: Array.from(labels[axis] ?? [], (label) => label ?? ""),
  }));
  return { axes, jobs: found };
}
