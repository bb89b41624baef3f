/**
 * The nodes of a run as its events name them, and the names under which they are told.
 *
 * Nodes of a loop's body, "loop/0/node", "loop/1/node", …, are told under these names and together
 * as "loop/node"; all that is within a block is told together under the block's own name.
 */
import type { Finding } from "@/api/schema";
import type { NodeNote, NodeState } from "./nodeRun";

export const ENDED: ReadonlySet<NodeState> = new Set(["cached", "done", "failed", "skipped"]);

/** What is known of one node. */
export interface Leaf {
  state: NodeState;
  step: number | null;
  total: number | null;
  /** Step and time of the first progress of the call that runs, to tell how fast it goes. */
  first: { step: number; at: number } | null;
  startedAt: number | null;
  newest: number;
  left: number | null;
  seconds: number | null;
  preview: string | null;
  /** The newest plot that it showed, as the server told of it. */
  plot: unknown;
  problem: Finding | null;
  note: NodeNote | null;
  callsDone: number;
  callSeconds: number;
  isMapped: boolean;
}

const CALLS = /\[\d+\]/g;

export class RunLeaves {
  private readonly all = new Map<string, Leaf>();
  private readonly members = new Map<string, Set<string>>();
  /** Nodes that have shown themselves to run others. */
  private readonly expanded = new Set<string>();
  private readonly touched = new Set<string>();

  get size(): number {
    return this.all.size;
  }

  get(name: string): Leaf | undefined {
    return this.all.get(name);
  }

  entries(): readonly (readonly [string, Leaf])[] {
    return [...this.all];
  }

  /** The leaf of a name, made if it isn't there. */
  of(name: string): Leaf {
    const known = this.all.get(name);
    if (known !== undefined) return known;
    const leaf = newLeaf();
    this.all.set(name, leaf);
    for (const key of this.keysOf(name)) {
      const found = this.members.get(key);
      if (found === undefined) this.members.set(key, new Set([name]));
      else found.add(name);
    }
    this.touch(name);
    return leaf;
  }

  remove(name: string): void {
    if (!this.all.has(name)) return;
    this.touch(name);
    for (const key of this.keysOf(name)) this.members.get(key)?.delete(name);
    this.all.delete(name);
  }

  /** The leaves that are told under a name, but for its own. */
  within(key: string): readonly (readonly [string, Leaf])[] {
    return [...(this.members.get(key) ?? [])].flatMap((name) => {
      const leaf = name === key ? undefined : this.all.get(name);
      return leaf === undefined ? [] : [[name, leaf] as const];
    });
  }

  expand(name: string): void {
    this.expanded.add(name);
  }

  isExpanded(name: string): boolean {
    return this.expanded.has(name);
  }

  forgetExpanded(): void {
    this.expanded.clear();
  }

  /** All names by which a leaf is told say something new. */
  touch(name: string): void {
    for (const key of this.keysOf(name)) this.touched.add(key);
  }

  /** The names that say something new since this was asked last. */
  takeTouched(): readonly string[] {
    const found = [...this.touched];
    this.touched.clear();
    return found;
  }

  /** The names under which a node is told: its own, that without rounds, and its blocks'. */
  private keysOf(name: string): readonly string[] {
    const merged = this.merged(name);
    const keys = merged === name ? [name] : [name, merged];
    const parts = merged.split("/");
    for (let count = 1; count < parts.length; count++) keys.push(parts.slice(0, count).join("/"));
    return keys;
  }

  /** The name without the numbers of loops' rounds and of calls. */
  merged(name: string): string {
    const parts = name.split("/");
    if (parts.length < 3) return name.replace(CALLS, "");
    const kept = parts.filter((part, index) => {
      const isRound = index > 0 && index < parts.length - 1 && /^\d+$/.test(part);
      // A node may be called "0" as well; only what follows a loop is a round.
      return !(isRound && this.expanded.has(parts.slice(0, index).join("/")));
    });
    return kept.join("/").replace(CALLS, "");
  }
}

function newLeaf(): Leaf {
  return {
    state: "waiting",
    step: null,
    total: null,
    first: null,
    startedAt: null,
    newest: -1,
    left: null,
    seconds: null,
    preview: null,
    plot: null,
    problem: null,
    note: null,
    callsDone: 0,
    callSeconds: 0,
    isMapped: false,
  };
}
