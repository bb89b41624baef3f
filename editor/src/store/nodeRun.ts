/** How a node does in a run, as it is shown. */
import type { Finding } from "@/api/schema";

export type NodeState = "waiting" | "running" | "cached" | "done" | "failed" | "skipped";

/** Something that people wonder about while a node runs or waits. */
export type NodeNote = "elsewhere" | "restored" | "less-memory";

export interface NodeRun {
  readonly state: NodeState;
  /** Of the call that runs; of a loop or block, of its nodes. Null if it tells no progress. */
  readonly step: number | null;
  readonly total: number | null;
  /** Null if it can't be told. */
  readonly secondsLeft: number | null;
  /** That it took. */
  readonly seconds: number | null;
  /** Address of the newest preview; it is void once there is another one. */
  readonly preview: string | null;
  /** The newest plot that it showed, as the server told of it; null if it showed none. */
  readonly plot: unknown;
  readonly problem: Finding | null;
  /** Of one that runs over a list, or in a loop. */
  readonly calls: { readonly done: number; readonly total: number | null } | null;
  readonly note: NodeNote | null;
}

/** What is expected of a node before it runs. */
export interface Expected {
  /** 0 for what needn't run; null if unknown. */
  readonly seconds: number | null;
  readonly calls: number | null;
}
