/** Inputs that are marked to be swept, and the jobs of sweeps. */
import { create } from "zustand";
import { api } from "@/api/client";
import type { ArtifactEntry, JobEntry } from "@/api/schema";
import { MOST_AXES, ROWS_TAG, rowsOf, sweepOf, sweepTag } from "@/model/sweeps";
import { newId } from "./documents";
import { useJobs } from "./jobs";

/** An input with what was written of its values. */
export interface Marked {
  /** "node.port". */
  readonly target: string;
  readonly text: string;
}

export interface Sweeps {
  /** By document; kept for as long as the page is open. */
  readonly marked: ReadonlyMap<string, readonly Marked[]>;
  /** By job: the sweep or table that it is of, as far as that is known. */
  readonly sweeps: ReadonlyMap<string, string>;
  readonly setMarked: (document: string, marked: readonly Marked[]) => void;
  /** Mark an input, or no longer; of more than there are axes the first one goes. */
  readonly toggle: (document: string, target: string) => boolean;
  /** Find out of which sweeps some jobs are. */
  readonly learn: (jobs: readonly string[]) => Promise<void>;
}

/** Jobs of sweeps that are looked for. */
const MOST = 1000;
const NONE: readonly Marked[] = [];

export const useSweeps = create<Sweeps>()((set, get) => ({
  marked: new Map(),
  sweeps: new Map(),
  setMarked: (document, marked) =>
    set((state) => ({ marked: new Map(state.marked).set(document, marked) })),
  toggle: (document, target) => {
    const before = markedOf(get(), document);
    const isMarked = before.some((each) => each.target === target);
    const others = before.filter((each) => each.target !== target);
    const next = isMarked ? others : [...others, { target, text: "" }].slice(-MOST_AXES);
    get().setMarked(document, next);
    return !isMarked;
  },
  learn: async (ids) => {
    const { jobs } = useJobs.getState();
    const unknown = ids.filter((id) => !asked.has(id));
    for (const id of unknown) asked.add(id);
    const here = unknown.flatMap((id) => jobs.get(id) ?? []);
    const elsewhere = unknown.some((id) => !jobs.has(id));
    const texts = elsewhere ? [sweepTag(""), ROWS_TAG] : [];
    const listed = await Promise.all(
      texts.map((text) => api.GET("/jobs", { params: { query: { text, limit: MOST } } })),
    );
    const listedJobs = listed.flatMap(({ items }) => items);
    const found = [...here, ...listedJobs].flatMap(({ id, tags }): [string, string][] => {
      const sweep = sweepOf(tags) ?? rowsOf(tags);
      return sweep === null ? [] : [[id, sweep]];
    });
    if (found.length > 0) set((state) => ({ sweeps: new Map([...state.sweeps, ...found]) }));
  },
}));

/** Jobs that were asked about. */
const asked = new Set<string>();

export function markedOf(state: Pick<Sweeps, "marked">, document: string): readonly Marked[] {
  return state.marked.get(document) ?? NONE;
}

/** An id that no other sweep has. */
export function newSweepId(): string {
  return newId()
    .toLowerCase()
    .replaceAll(/[^a-z\d]/g, "0");
}

export interface SweepJobs {
  readonly jobs: readonly JobEntry[];
  /** The pictures and files of each job. */
  readonly files: ReadonlyMap<string, readonly ArtifactEntry[]>;
}

/** The jobs of a sweep as the server has them, and what they gave. */
export async function loadSweep(id: string, signal?: AbortSignal): Promise<SweepJobs> {
  const [tagged, named] = [
    { tag: sweepTag(id), limit: MOST },
    { text: id, limit: MOST },
  ];
  const [jobs, artifacts] = await Promise.all([
    api.GET("/jobs", { params: { query: tagged }, signal }),
    api.GET("/artifacts", { params: { query: named }, signal }),
  ]);
  const files = new Map<string, ArtifactEntry[]>();
  for (const artifact of artifacts.items) {
    files.set(artifact.job, [...(files.get(artifact.job) ?? []), artifact]);
  }
  return { jobs: jobs.items, files };
}
