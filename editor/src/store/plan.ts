/**
 * What a run of the active document would do: which nodes run, which are cached, and how long it
 * would take. Asked of the server a moment after each change.
 */
import { create } from "zustand";
import { api, verbatim } from "@/api/client";
import { ApiProblem, OfflineFault } from "@/api/http";
import type { ArtifactEntry, Finding, PlanEntry } from "@/api/schema";
import type { Workflow } from "@/model/workflow";
import { cpuPrecisionOf, workflowToJson, writeWorkflow } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import { socket, useConnection } from "./connection";
import { activeDocument, currentWorkflow, useDocuments } from "./documents";
import { isEnded, useJobs } from "./jobs";
import type { Expected } from "./nodeRuns";
import { picturesSent } from "./outbox";

export type PlanStatus = "run" | "hit" | "lazy" | "skip";

/**
 * How a node is short of memory on its device. `parts`: its weights come there in parts, to the
 * same results. `small`: so, and its work is done in tiles or one by one. `none`: it is likely to
 * run out.
 */
export interface Shortage {
  readonly fit: "parts" | "small" | "none";
  /** Bytes that it would need, and that there are; null if that isn't why, or isn't known. */
  readonly needed: number | null;
  readonly room: number | null;
  /** That weights take to come in parts, at the least. */
  readonly seconds: number;
}

export interface NodePlan {
  readonly status: PlanStatus;
  /** Expected; null if unknown. */
  readonly seconds: number | null;
  /** Why, such as `new`, `kept`, `upstream`. */
  readonly reason: string;
  /** False if it may turn out otherwise. */
  readonly certain: boolean;
  /** How often it would be called; null if unknown. */
  readonly calls: number | null;
  /** Null if it has room, if that isn't known, or if it needn't run. */
  readonly shortage: Shortage | null;
}

/** Files that lie there of a node that needn't run. */
export interface FoundFiles {
  readonly files: readonly ArtifactEntry[];
  /** Of whose values they are. */
  readonly workflow: Workflow;
}

export interface FoundOf extends FoundFiles {
  /** By the run's names. */
  readonly node: string;
}

export interface Plan {
  /**
   * `partial`: some of it isn't finished, and the rest runs. `invalid`: nothing can run, see
   * `problems`. `failed`: the server couldn't tell.
   */
  readonly state: "none" | "ready" | "partial" | "invalid" | "failed";
  /** By the run's names; a block's own name stands for all that is in it. */
  readonly nodes: ReadonlyMap<string, NodePlan>;
  /** By the run's names, found by this plan or, where it finds none, by one before. */
  readonly found: ReadonlyMap<string, FoundFiles>;
  /** All that this plan and those before it found, what was found last at the end. */
  readonly everFound: readonly FoundOf[];
  /** Of the whole run, as far as it is known. */
  readonly seconds: number | null;
  /** How many nodes that run have no expected time. */
  readonly unknownSeconds: number;
  readonly counts: Readonly<Record<PlanStatus, number>>;
  readonly problems: readonly Finding[];
  /** What keeps nothing from running, but is worth knowing. */
  readonly warnings: readonly Finding[];
  readonly missing: { readonly models: readonly string[]; readonly packs: readonly string[] };
  /** What it is the plan of; null if there is none. */
  readonly workflow: Workflow | null;
}

export interface PlanState extends Plan {
  /** The active document. */
  readonly document: string | null;
  /** Whether a newer plan is on its way. */
  readonly isAsking: boolean;
}

export const NO_PLAN: Plan = {
  state: "none",
  nodes: new Map(),
  found: new Map(),
  everFound: [],
  seconds: null,
  unknownSeconds: 0,
  counts: { run: 0, hit: 0, lazy: 0, skip: 0 },
  problems: [],
  warnings: [],
  missing: { models: [], packs: [] },
  workflow: null,
};

export const usePlan = create<PlanState>()(() => ({ ...NO_PLAN, document: null, isAsking: false }));

const WAIT = 250;
const AGAIN = 3000;
/**
 * When it is asked again for times that a run may have shown. Workers tell them in passing: mostly
 * within seconds, and later on a busy machine.
 */
const HOPES: readonly number[] = [AGAIN, AGAIN, AGAIN, 6_000, 12_000, 24_000, 48_000];
const MOST_KEPT = 30;
const MOST_FOUND = 100;

/** Keep the plan up to date; gives what ends it. */
export function startPlanning(wait = WAIT): () => void {
  const planning = new Planning(wait);
  const stops = [
    useDocuments.subscribe(() => planning.look()),
    useCatalogue.subscribe((now, before) => {
      if (now.types !== before.types) planning.outdate();
      // A model that came may be what was missing.
      const hasOthers = before.models !== null && now.models !== before.models;
      if (hasOthers && usePlan.getState().problems.length > 0) planning.outdate();
    }),
    useConnection.subscribe((now, before) => {
      if (now.state === "open" && before.state !== "open") planning.outdate();
    }),
    socket().on("notice", ({ kind }) => {
      // What lay there may be gone.
      if (kind !== "artifacts.deleted") return;
      forgetFound();
      planning.outdate();
    }),
    useJobs.subscribe((now, before) => {
      if (hasEndedOne(now.jobs, before.jobs)) planning.learn();
    }),
  ];
  planning.look();
  return () => {
    for (const stop of stops) stop();
    planning.stop();
  };
}

/** The last plan of a document. */
export function planOf(document: string): Plan {
  return plans.get(document) ?? NO_PLAN;
}

/** What a plan lets one expect of the nodes of a run. */
export function expectedOf(plan: Plan): ReadonlyMap<string, Expected> {
  const found = new Map<string, Expected>();
  for (const [name, node] of plan.nodes) {
    if (isBlock(plan, name) || node.status === "skip") continue;
    const isKept = node.status === "hit";
    found.set(name, { seconds: isKept ? 0 : node.seconds, calls: node.calls });
  }
  return found;
}

const plans = new Map<string, Plan>();

class Planning {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private shown: string | null = null;
  private looked: Workflow | null = null;
  private question = 0;
  private hopes: readonly number[] = [];

  constructor(private readonly wait: number) {}

  stop(): void {
    clearTimeout(this.timer);
    this.question += 1;
  }

  /** Ask anew if what would run has changed. */
  look(): void {
    const document = activeDocument();
    const workflow = currentWorkflow(document);
    if (document.id !== this.shown) {
      this.shown = document.id;
      this.looked = null;
      usePlan.setState({ ...planOf(document.id), document: document.id });
    }
    if (this.looked !== null && isSameRun(this.looked, workflow)) return;
    this.looked = workflow;
    this.later(this.wait);
  }

  /** The same workflow may do something else now. */
  outdate(): void {
    this.look();
    this.later(this.wait);
  }

  /** A job has ended: its results are kept now, and soon it is known what its nodes took. */
  learn(): void {
    this.hopes = HOPES;
    this.outdate();
  }

  private later(wait: number): void {
    this.askIn(wait);
    if (!usePlan.getState().isAsking) usePlan.setState({ isAsking: true });
  }

  private askIn(wait: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), wait);
  }

  private async ask(): Promise<void> {
    const question = ++this.question;
    const document = activeDocument();
    const workflow = currentWorkflow(document);
    const answer = await this.answer(workflow);
    if (question !== this.question) return;
    usePlan.setState({ isAsking: false });
    if (answer === null) return;
    const plan = withFound(answer, planOf(document.id));
    keep(document.id, plan);
    if (this.shown === document.id) usePlan.setState(plan);
    const [next, ...rest] = this.hopes;
    if (plan.unknownSeconds > 0 && next !== undefined) {
      this.hopes = rest;
      this.askIn(next);
    }
  }

  /** The plan; null if the last good one stays. */
  private async answer(workflow: Workflow): Promise<Plan | null> {
    if (workflow.nodes.size === 0) return { ...NO_PLAN, state: "ready", workflow };
    const sending = picturesSent(workflow);
    if (sending !== null) await sending;
    try {
      const asked = { workflow: workflowToJson(workflow) };
      return planFrom(await socket().request<PlanEntry>("plan", asked), workflow);
    } catch (error) {
      return this.withoutPlan(error, workflow);
    }
  }

  private withoutPlan(error: unknown, workflow: Workflow): Plan | null {
    // Once it is connected again, it is asked again.
    if (error instanceof OfflineFault) return null;
    const isOther = !(error instanceof ApiProblem) || error.code === "superseded";
    if (isOther) return null;
    if (error.status === 503 || error.status === 429) {
      this.later(AGAIN);
      return null;
    }
    const state = error.status === 422 ? "invalid" : "failed";
    return { ...NO_PLAN, state, problems: error.problems, workflow };
  }
}

/** A plan with what those before it found, too. */
function withFound(plan: Plan, { found, everFound }: Plan): Plan {
  const isAgain = ({ node, files }: FoundOf) =>
    plan.everFound.some((each) => each.node === node && each.files[0]?.digest === files[0]?.digest);
  const others = everFound.filter((each) => !isAgain(each));
  return {
    ...plan,
    found: new Map([...found, ...plan.found]),
    everFound: [...others, ...plan.everFound].slice(-MOST_FOUND),
  };
}

function forgetFound(): void {
  const nothing = { found: NO_PLAN.found, everFound: NO_PLAN.everFound };
  for (const [id, plan] of plans) plans.set(id, { ...plan, ...nothing });
  usePlan.setState(nothing);
}

function keep(document: string, plan: Plan): void {
  plans.delete(document);
  plans.set(document, plan);
  const [oldest] = plans.keys();
  if (plans.size > MOST_KEPT && oldest !== undefined) plans.delete(oldest);
}

/** Whether two workflows run alike: layout and titles are nobody's business there. */
export function isSameRun(a: Workflow, b: Workflow): boolean {
  return (
    a.nodes === b.nodes &&
    a.subgraphs === b.subgraphs &&
    a.requires === b.requires &&
    cpuPrecisionOf(a) === cpuPrecisionOf(b)
  );
}

function hasEndedOne(
  now: ReturnType<typeof useJobs.getState>["jobs"],
  before: ReturnType<typeof useJobs.getState>["jobs"],
): boolean {
  if (now === before) return false;
  for (const [id, job] of now) {
    const known = before.get(id);
    if (known === job || !isEnded(job)) continue;
    if (known !== undefined && !isEnded(known)) return true;
  }
  return false;
}

/** A plan as the server tells it. */
export function planFrom(entry: PlanEntry, workflow: Workflow): Plan {
  const { totals, missing } = entry;
  const nodes = new Map<string, NodePlan>();
  const lying = new Map<string, FoundFiles>();
  for (const [name, found] of Object.entries(entry.nodes)) {
    const plan = nodePlan(found, totals.room);
    if (plan !== null) nodes.set(name, plan);
    const files = filesIn(found);
    if (files.length > 0) lying.set(name, { files, workflow });
  }
  const isPartial = textsOf(entry.targets).length > 0;
  return {
    state: entry.problems.length === 0 ? "ready" : isPartial ? "partial" : "invalid",
    nodes: withBlocks(nodes),
    found: lying,
    everFound: [...lying].map(([node, found]) => ({ node, ...found })),
    seconds: numberOr(totals.seconds, null),
    unknownSeconds: numberOr(totals.unknown_seconds, 0),
    counts: { ...NO_PLAN.counts, ...(totals.counts as object | undefined) },
    problems: entry.problems,
    // What nothing needs yet is being made: a graph is full of it while it grows.
    warnings: (entry.warnings ?? []).filter(({ code }) => code !== "unused"),
    missing: { models: textsOf(missing.models), packs: textsOf(missing.packs) },
    workflow,
  };
}

const STATUSES: ReadonlySet<unknown> = new Set(["run", "hit", "lazy", "skip"]);

function nodePlan(found: unknown, rooms: unknown): NodePlan | null {
  if (typeof found !== "object" || found === null) return null;
  const given = found as Record<string, unknown>;
  if (!STATUSES.has(given.status)) return null;
  return {
    status: given.status as PlanStatus,
    seconds: expectedSeconds(given),
    reason: typeof given.reason === "string" ? given.reason : "",
    certain: given.certain !== false,
    calls: numberOr(given.calls, null),
    shortage: shortageOf(given, rooms),
  };
}

function filesIn(found: unknown): readonly ArtifactEntry[] {
  const { files } = (found ?? {}) as { readonly files?: unknown };
  return Array.isArray(files) ? (files as ArtifactEntry[]) : [];
}

const SHORT: ReadonlySet<unknown> = new Set(["parts", "small", "none"]);

function shortageOf(given: Record<string, unknown>, rooms: unknown): Shortage | null {
  const { fit, status, device } = given;
  if (!SHORT.has(fit) || (status !== "run" && status !== "lazy")) return null;
  const all = (rooms ?? {}) as Record<string, unknown>;
  const room = numberOr(all[String(device)], null);
  const needed = numberOr(given.weights, 0) + numberOr(given.memory, 0);
  // Else it is a budget of weights that they exceed.
  const isWhy = room !== null && needed > room;
  return {
    fit: fit as Shortage["fit"],
    needed: isWhy ? needed : null,
    room: isWhy ? room : null,
    seconds: numberOr(given.transfer_seconds, 0),
  };
}

/** Of a node, the weights included that it is the first to load. */
function expectedSeconds(given: Record<string, unknown>): number | null {
  const seconds = numberOr(given.seconds, null);
  return seconds === null ? null : seconds + numberOr(given.load_seconds, 0);
}

/** With blocks under their own names, as what is in them comes to. */
function withBlocks(nodes: ReadonlyMap<string, NodePlan>): ReadonlyMap<string, NodePlan> {
  const inner = new Map<string, NodePlan[]>();
  for (const [name, plan] of nodes) {
    const parts = name.split("/");
    for (let count = 1; count < parts.length; count++) {
      const block = parts.slice(0, count).join("/");
      const known = inner.get(block);
      if (known === undefined) inner.set(block, [plan]);
      else known.push(plan);
    }
  }
  const found = new Map(nodes);
  for (const [block, plans] of inner) if (!nodes.has(block)) found.set(block, together(plans));
  return found;
}

const ORDER: readonly PlanStatus[] = ["run", "lazy", "hit", "skip"];

function together(plans: readonly NodePlan[]): NodePlan {
  const status = ORDER.find((each) => plans.some((plan) => plan.status === each)) ?? "skip";
  const some = plans.filter((plan) => plan.status === status);
  const seconds = some.flatMap((plan) => (plan.seconds === null ? [] : [plan.seconds]));
  const sure = some.find((plan) => plan.certain);
  return {
    status,
    seconds: seconds.length === 0 ? null : seconds.reduce((sum, each) => sum + each, 0),
    reason: (sure ?? some[0])?.reason ?? "",
    certain: sure !== undefined,
    calls: 1,
    shortage: worst(plans),
  };
}

const FITS: readonly Shortage["fit"][] = ["none", "small", "parts"];

function worst(plans: readonly NodePlan[]): Shortage | null {
  const some = plans.flatMap(({ shortage }) => shortage ?? []);
  const fit = FITS.find((each) => some.some((shortage) => shortage.fit === each));
  const found = some.find((shortage) => shortage.fit === fit);
  if (found === undefined) return null;
  return { ...found, seconds: some.reduce((sum, each) => sum + each.seconds, 0) };
}

/** Whether what is wrong keeps nothing else from running. */
export function isQuiet({ state }: Pick<Plan, "state">): boolean {
  return state === "partial";
}

/** How many nodes something is wrong with. */
export function unfinished(problems: readonly Finding[]): number {
  return new Set(problems.flatMap(({ node }) => node ?? [])).size;
}

/** The outputs that a run of a workflow would give whatever is wrong with the rest of it. */
export async function completeTargets(workflow: Workflow): Promise<readonly string[]> {
  // Not by the socket: there the newest question takes the place of those before it.
  const body = { workflow: verbatim(writeWorkflow(workflow)) };
  return textsOf((await api.POST("/plan", { body })).targets);
}

function isBlock(plan: Plan, name: string): boolean {
  const inner = `${name}/`;
  for (const other of plan.nodes.keys()) if (other.startsWith(inner)) return true;
  return false;
}

function numberOr<T>(value: unknown, otherwise: T): number | T {
  return typeof value === "number" ? value : otherwise;
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
