/**
 * What became of each node in a run, from the run's events.
 *
 * Names are those of the run: a node within a block is "block/node", see runLeaves.ts. The calls of
 * a node that runs over a list, "node[0]", …, count as the node.
 */
import { findingIn, type JobEvent, numberIn, textIn, textsIn } from "@/api/events";
import type { Finding } from "@/api/schema";
import type { Expected, NodeRun, NodeState } from "./nodeRun";
import { ENDED, type Leaf, RunLeaves } from "./runLeaves";
import { RunTimes } from "./runTimes";
import { viewUnder } from "./runViews";

export type { Expected, NodeNote, NodeRun, NodeState } from "./nodeRun";

/** Makes addresses of pictures, and lets go of them. */
export interface Pictures {
  make(bytes: Uint8Array<ArrayBuffer>, mime: string): string;
  drop(address: string): void;
}

const CALL = /\[\d+\]$/;

/** Follows the run of one job. */
export class NodeRuns {
  private readonly leaves = new RunLeaves();
  private readonly times = new RunTimes(this.leaves);
  private shown: ReadonlyMap<string, NodeRun> = new Map();
  private hasEnded = false;

  constructor(private readonly pictures: Pictures) {}

  /** What the plan says, so that waiting nodes and the time left can be shown. */
  expect(expected: ReadonlyMap<string, Expected>): void {
    for (const [name, each] of expected) {
      this.times.expect(name, each);
      if (!this.hasEnded) this.leaves.of(name);
    }
  }

  /** Take in an event of the job. */
  apply(event: JobEvent): void {
    if (event.seconds !== null && event.seconds !== undefined) this.times.now = event.seconds;
    if (event.node === null || event.node === undefined) this.ofJob(event);
    else if (!isInner(event.node)) this.ofNode(event, event.node);
  }

  /** All runs by name; the same map if nothing has changed. */
  nodes(): ReadonlyMap<string, NodeRun> {
    const touched = this.leaves.takeTouched();
    if (touched.length === 0) return this.shown;
    const found = new Map(this.shown);
    for (const key of touched) {
      const run = viewUnder(key, this.leaves, this.times);
      if (run === null) found.delete(key);
      else found.set(key, run);
    }
    this.shown = found;
    return found;
  }

  /** How much of the run is done, 0 to 1; it never goes back within an attempt. */
  progress(): number {
    return this.times.progress();
  }

  /** Of the whole run; null if it can't be told. */
  secondsLeft(): number | null {
    return this.times.secondsLeft();
  }

  /** Let go of the previews. */
  dropPreviews(): void {
    for (const [name, leaf] of this.leaves.entries()) {
      if (leaf.preview === null && leaf.plot === null) continue;
      if (leaf.preview !== null) this.pictures.drop(leaf.preview);
      leaf.preview = null;
      leaf.plot = null;
      this.leaves.touch(name);
    }
  }

  private ofJob(event: JobEvent): void {
    switch (event.kind) {
      case "nodes.cached":
        this.cached(textsIn(event.data, "nodes"));
        break;
      case "job.started":
        this.times.count = numberIn(event.data, "nodes") ?? 0;
        break;
      case "job.claimed":
      case "job.retried":
        this.restart();
        break;
      case "job.requeued":
        this.interrupt();
        break;
      case "job.finished":
      case "job.failed":
      case "job.cancelled":
        this.end();
        break;
    }
  }

  private cached(names: readonly string[]): void {
    if (this.hasEnded) return;
    for (const name of names) {
      if (isInner(name)) continue;
      const leaf = this.leaves.of(name);
      leaf.newest = this.times.now;
      this.leaves.touch(name);
      this.close(leaf, "cached");
    }
  }

  /** It runs once more, and tells anew what became of each node. */
  private restart(): void {
    this.hasEnded = false;
    this.times.restart();
    for (const [name, leaf] of this.leaves.entries()) this.remove(name, leaf);
    this.leaves.forgetExpanded();
    for (const name of this.times.expectedNames()) this.leaves.of(name);
  }

  private interrupt(): void {
    for (const [name, leaf] of this.leaves.entries()) {
      if (leaf.state === "running") this.wait(name, leaf);
    }
  }

  private wait(name: string, leaf: Leaf): void {
    Object.assign(leaf, { state: "waiting", step: null, total: null, left: null, first: null });
    this.leaves.touch(name);
  }

  /** What hasn't ended by now never will: nobody asked for it, or there was no time for it. */
  private end(): void {
    this.hasEnded = true;
    for (const [name, leaf] of this.leaves.entries()) {
      if (!ENDED.has(leaf.state)) this.remove(name, leaf);
    }
  }

  private remove(name: string, leaf: Leaf): void {
    if (leaf.preview !== null) this.pictures.drop(leaf.preview);
    this.leaves.remove(name);
  }

  private ofNode(event: JobEvent, given: string): void {
    const name = given.replace(CALL, "");
    const { data } = event;
    if (event.kind === "log" || event.kind === "memory" || event.kind === "node.wrote") return;
    if (this.hasEnded) return;
    const leaf = this.leaves.of(name);
    leaf.newest = this.times.now;
    if (name !== given) leaf.isMapped = true;
    this.leaves.touch(name);
    switch (event.kind) {
      case "node.waiting":
        leaf.note = "elsewhere";
        break;
      case "node.started":
        this.start(leaf);
        break;
      case "node.restored":
        leaf.note = "restored";
        leaf.first = null;
        this.step(name, leaf, data);
        break;
      case "node.progress":
        this.step(name, leaf, data);
        break;
      case "node.preview":
        this.picture(leaf, data);
        leaf.plot = data.plot ?? leaf.plot;
        break;
      case "node.retried":
        leaf.note = "less-memory";
        leaf.first = null;
        break;
      case "node.expanded":
        this.expand(name, textsIn(data, "nodes"));
        break;
      case "call.ended":
        this.callEnded(name, leaf, data);
        break;
      case "node.finished":
        this.finish(leaf, data);
        break;
      case "node.failed":
        leaf.problem = problemOf(given, data);
        this.close(leaf, "failed");
        break;
      case "node.skipped":
        this.close(leaf, "skipped");
        break;
    }
  }

  private start(leaf: Leaf): void {
    const started = { state: "running" as const, step: null, total: null, first: null, left: null };
    Object.assign(leaf, started, { startedAt: this.times.now, note: null });
  }

  private step(name: string, leaf: Leaf, data: JobEvent["data"]): void {
    if (ENDED.has(leaf.state)) return;
    const step = numberIn(data, "step");
    const total = numberIn(data, "total");
    if (step === null || total === null) return;
    leaf.state = "running";
    leaf.step = step;
    leaf.total = total;
    if (leaf.first === null || step < leaf.first.step) leaf.first = { step, at: this.times.now };
    leaf.left = this.times.callLeft(name, leaf, step, total);
  }

  private picture(leaf: Leaf, data: JobEvent["data"]): void {
    const { image } = data;
    if (!(image instanceof Uint8Array)) return;
    // What the message held is let go of: only the picture's own bytes are kept.
    const made = this.pictures.make(new Uint8Array(image), textIn(data, "mime") ?? "image/webp");
    if (leaf.preview !== null) this.pictures.drop(leaf.preview);
    leaf.preview = made;
  }

  private expand(name: string, nodes: readonly string[]): void {
    this.leaves.expand(name);
    for (const node of nodes) if (!isInner(node)) this.leaves.of(node);
  }

  private callEnded(name: string, leaf: Leaf, data: JobEvent["data"]): void {
    if (!leaf.isMapped) return;
    leaf.callsDone += 1;
    leaf.callSeconds += numberIn(data, "seconds") ?? 0;
    leaf.step = null;
    leaf.total = null;
    leaf.first = null;
    leaf.left = null;
    this.leaves.touch(name);
  }

  private finish(leaf: Leaf, data: JobEvent["data"]): void {
    const calls = numberIn(data, "calls");
    const cached = numberIn(data, "cached") ?? 0;
    leaf.seconds = numberIn(data, "seconds");
    if (leaf.isMapped && calls !== null) leaf.callsDone = calls;
    this.close(leaf, calls !== null && calls > 0 && cached === calls ? "cached" : "done");
  }

  private close(leaf: Leaf, state: NodeState): void {
    Object.assign(leaf, { state, left: null, note: null });
    if (state === "done" && leaf.total !== null) leaf.step = leaf.total;
    if (state === "skipped") Object.assign(leaf, { step: null, total: null });
  }
}

/** Nodes that a loop makes for its own use. */
function isInner(name: string): boolean {
  return name.slice(name.lastIndexOf("/") + 1).startsWith("__");
}

function problemOf(node: string, data: JobEvent["data"]): Finding | null {
  const found = findingIn(data);
  return found === null ? null : { ...found, node: found.node ?? node };
}
