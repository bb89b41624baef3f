/** Running workflows, and steering the jobs that come of it. */
import { create } from "zustand";
import { api, verbatim } from "@/api/client";
import { ApiProblem } from "@/api/http";
import type { Finding, JobEntry } from "@/api/schema";
import { t } from "@/i18n";
import { problemWords } from "@/i18n/format";
import { type Json, writeJson } from "@/model/json";
import { layoutOf } from "@/model/layout";
import { isLink, literalJson, literalOf, targetOf } from "@/model/links";
import { type Scope, scopesOf, withNode } from "@/model/scope";
import { nextSeed, seedModeOf, withNextSeeds } from "@/model/seeds";
import { typeOf } from "@/model/spec";
import { type Place, placesOf, type Sweep, tagsAt, valueText } from "@/model/sweeps";
import { type Workflow, workflowToJson, writeWorkflow } from "@/model/workflow";
import { focusNode } from "@/store/focus";
import { askAbout } from "./asked";
import { useCatalogue } from "./catalogue";
import { socket, useConnection } from "./connection";
import { currentWorkflow, documentById, useDocuments } from "./documents";
import { isEnded, tagOf, useJobs } from "./jobs";
import { jobsFollowing } from "./jobsFollowing";
import { dismissNoticeOf, notify, notifyFault } from "./notices";
import { picturesSent } from "./outbox";
import { readStored, writeStored } from "./persisted";
import { placeOf } from "./places";
import { completeTargets, expectedOf, planOf, unfinished } from "./plan";
import { rememberPrompts } from "./promptHistory";
import { strokesDrawn } from "./strokes";

export interface RunOptions {
  /** The active one if not given. */
  readonly document?: string;
  /** Run these nodes and what they need; names of the run ("block/node"). */
  readonly targets?: readonly string[];
  /** So many times, each with its own seeds. */
  readonly count?: number;
  /** Once for each combination of values of some inputs; the document keeps its own. */
  readonly sweep?: Sweep;
  /** Before all others that wait. */
  readonly first?: boolean;
  /** Let it wait until it is let go. */
  readonly held?: boolean;
  /** An edit runs it, and nobody's button: with the seeds that stand there, to show what it did. */
  readonly onChange?: boolean;
}

/** Of jobs that an edit ran. */
export const ON_CHANGE = "on-change";

export interface Running {
  /** Jobs that are on their way to the server, by document. */
  readonly submitting: ReadonlyMap<string, number>;
  /** How often the run button runs, by document; once if not given. */
  readonly counts: ReadonlyMap<string, number>;
  /** Why the last try to run a document was refused, until it is tried again. */
  readonly refused: ReadonlyMap<string, readonly Finding[]>;
  readonly setCount: (document: string, count: number) => void;
}

export const MOST_AT_ONCE = 100;
const FIRST_PRIORITY = 1;
/** Characters of a job's name, with room for the number of its row. */
const MOST_OF_NAME = 240;

export const useRunning = create<Running>()((set) => ({
  submitting: new Map(),
  counts: new Map(),
  refused: new Map(),
  setCount: (document, count) => {
    const found = Math.min(MOST_AT_ONCE, Math.max(1, Math.round(count)));
    set(({ counts }) => ({ counts: new Map(counts).set(document, found) }));
  },
}));

/** How often the run button runs a document. */
export function countOf({ counts }: Pick<Running, "counts">, document: string): number {
  return counts.get(document) ?? 1;
}

/** Run a document; gives the ids of its jobs. What goes wrong is told, not thrown. */
export async function run(options: RunOptions = {}): Promise<readonly string[]> {
  const id = options.document ?? useDocuments.getState().active;
  // What was drawn a moment ago counts, too.
  const drawn = strokesDrawn();
  if (drawn !== null) await drawn;
  const document = documentById(id);
  if (document === null) return [];
  setRefused(document.id, []);
  // Whatever went wrong before is tried anew.
  for (const key of [runKey(document.id), document.id]) dismissNoticeOf(key);
  if (useConnection.getState().state === "lost") {
    notify({ kind: "info", title: t("running.willBeSent"), key: "will-be-sent" });
  }
  // What an edit runs may be half a prompt.
  if (!options.onChange) rememberPrompts(currentWorkflow(document));
  const ids: string[] = [];
  let source = currentWorkflow(document);
  let { targets } = options;
  for (const wish of wishesOf(document.id, options)) {
    try {
      const sent = await submittedPart(document.id, wish, options, targets);
      targets = sent.targets;
      source = wish.source;
      ids.push(sent.job.id);
    } catch (error) {
      refuse(document.id, error);
      break;
    }
  }
  // What was edited while they were sent isn't in them.
  jobsFollowing()?.submittedFrom(ids, source);
  return ids;
}

/** Submit all of a workflow or, where it isn't finished, those outputs of it that are. */
async function submittedPart(document: string, wish: Wish, options: RunOptions, targets: Targets) {
  try {
    return { job: await submitted(document, wish, options, targets), targets };
  } catch (error) {
    if (targets !== undefined || !(error instanceof ApiProblem) || error.status !== 422)
      throw error;
    const complete = await completeTargets(wish.workflow).catch(() => []);
    if (complete.length === 0) throw error;
    const job = await submitted(document, wish, options, complete);
    // At each edit it would be said again, and the line at the bottom says it.
    if (!options.onChange) tellLeftOut(document, error.problems);
    return { job, targets: complete };
  }
}

function tellLeftOut(document: string, problems: readonly Finding[]): void {
  const [first] = problems;
  notify({
    kind: "info",
    title: t("running.leftOut", { count: unfinished(problems) }),
    detail: first && `${first.node ? `${first.node}: ` : ""}${problemWords(first)}`,
    key: runKey(document),
    ...(first?.node ? { action: showAction(document, first.node, first.port ?? null) } : {}),
  });
}

/** Names of the run; all outputs if not given. */
type Targets = readonly string[] | undefined;

interface Wish {
  readonly workflow: Workflow;
  /** The document as it is when this is sent: with the seeds drawn, and its own values in a sweep. */
  readonly source: Workflow;
  readonly name: string;
  /** Besides the document's. */
  readonly tags: readonly string[];
}

/** What is to be run, one after the other: each is made when the one before is submitted. */
function* wishesOf(document: string, options: RunOptions): Iterable<Wish> {
  const { sweep } = options;
  const first = withSeeds(document, options.onChange);
  const title = first.title || t("running.untitled");
  if (sweep !== undefined) {
    for (const place of placesOf(sweep.axes).slice(0, MOST_AT_ONCE)) {
      yield cellOf(first, title, sweep, place);
    }
    return;
  }
  const tags = options.onChange ? [ON_CHANGE] : [];
  yield { workflow: first, source: first, name: title, tags };
  const count = Math.min(MOST_AT_ONCE, options.count ?? 1);
  let [shown, last] = [first, first];
  for (let index = 1; index < count; index++) {
    const next = withSeeds(document);
    // With all seeds fixed there would be the same picture over and over.
    last = isSameSeeds(next, shown) ? counted(last) : next;
    shown = next;
    yield { workflow: last, source: next, name: title, tags: [] };
  }
}

/** The workflow with the values of a place, told apart by them. */
function cellOf(workflow: Workflow, title: string, sweep: Sweep, place: Place): Wish {
  let found = workflow;
  let name = title;
  for (const [axis, { target, values }] of sweep.axes.entries()) {
    const value = values[place[axis] ?? 0];
    if (value === undefined) continue;
    found = withInput(found, null, target, value);
    name += ` · ${target} = ${shortened(value)}`;
  }
  return { workflow: found, source: workflow, name, tags: tagsAt(sweep, place) };
}

/** The document's workflow with the seeds of its next run, which are its own from now on. */
function withSeeds(id: string, asTheyAre = false): Workflow {
  const document = documentById(id);
  if (document === null) throw new Error("the document was closed");
  const workflow = currentWorkflow(document);
  const next = asTheyAre ? workflow : nextSeeds(workflow, usedSeeds(id));
  if (next !== workflow) {
    useDocuments
      .getState()
      .change("running.drawSeeds", () => next, { merge: "seeds", document: id });
  }
  rememberSeeds(id, next);
  return next;
}

type Seeds = Readonly<Record<string, string>>;

/** What `seeds` are drawn; those that count do so only once they were run. In a workflow of ComfyUI
 * all change only then: there a seed is drawn after a run, so that its file has that of its picture. */
function nextSeeds(workflow: Workflow, used: Seeds): Workflow {
  const next = withNextSeeds(workflow, useCatalogue.getState().types, Math.random);
  let found = next;
  for (const { scope, target, value } of movingSeeds(workflow)) {
    const staysAtFirst =
      workflow.ui.has("comfyui") || seedModeOf(workflow, scope, target) !== "random";
    const wasRun = used[seedKey(scope, target)] === written(value);
    if (staysAtFirst && !wasRun) found = withInput(found, scope, target, value);
  }
  return areSame(movingSeeds(workflow), movingSeeds(found)) ? workflow : found;
}

interface SeedInput {
  readonly scope: Scope;
  readonly target: string;
  readonly value: Json | undefined;
}

/** The inputs that change from run to run, be they seeds or other numbers. */
function movingSeeds(workflow: Workflow): readonly SeedInput[] {
  return scopesOf(workflow).flatMap((scope) =>
    [...layoutOf(workflow, scope).seeds.keys()].flatMap((target) => {
      const place = targetOf(target);
      const nodes = scope === null ? workflow.nodes : workflow.subgraphs.get(scope)?.nodes;
      const given = place && nodes?.get(place.node)?.inputs.get(place.port);
      if (!place || isLink(given) || seedModeOf(workflow, scope, target) === "fixed") return [];
      return [{ scope, target, value: literalOf(given ?? undefined) }];
    }),
  );
}

/** All inputs that are seeds and not linked. */
function seedInputs(workflow: Workflow): readonly SeedInput[] {
  const { types } = useCatalogue.getState();
  if (types === null) return [];
  return scopesOf(workflow).flatMap((scope) => {
    const nodes = scope === null ? workflow.nodes : (workflow.subgraphs.get(scope)?.nodes ?? []);
    return [...nodes].flatMap(([name, entry]) => {
      const inputs = typeOf(types, workflow, entry)?.inputs ?? [];
      return inputs
        .filter((input) => input.widget === "seed" && !isLink(entry.inputs.get(input.name)))
        .map(({ name: port }) => {
          const value = literalOf(entry.inputs.get(port));
          return { scope, target: `${name}.${port}`, value };
        });
    });
  });
}

function isSameSeeds(a: Workflow, b: Workflow): boolean {
  if (a === b) return true;
  return areSame(seedInputs(a), seedInputs(b)) && areSame(movingSeeds(a), movingSeeds(b));
}

function areSame(a: readonly SeedInput[], b: readonly SeedInput[]): boolean {
  return a.every((seed, index) => written(seed.value) === written(b[index]?.value));
}

/** With the first seed counted up: one of the file's own graph, if there is one. */
function counted(workflow: Workflow): Workflow {
  const [first] = seedInputs(workflow);
  if (first === undefined) return workflow;
  const { scope, target, value } = first;
  return withInput(workflow, scope, target, nextSeed("increment", value, Math.random));
}

function withInput(
  workflow: Workflow,
  scope: Scope,
  text: string,
  value: Json | undefined,
): Workflow {
  const target = targetOf(text);
  if (target === null) return workflow;
  return withNode(workflow, scope, target.node, (entry) => {
    const inputs = new Map(entry.inputs);
    if (value === undefined) inputs.delete(target.port);
    else inputs.set(target.port, literalJson(value));
    return { ...entry, inputs };
  });
}

// The seeds that documents were run with last, so that counting goes on after a reload.

const SEEDS = "nodegraph.seeds";
const MOST_REMEMBERED = 100;

function usedSeeds(document: string): Seeds {
  const found = allUsed()[document];
  return typeof found === "object" && found !== null ? (found as Seeds) : {};
}

function rememberSeeds(document: string, workflow: Workflow): void {
  const moving = movingSeeds(workflow);
  if (moving.length === 0) return;
  const seeds = Object.fromEntries(
    moving.map(({ scope, target, value }) => [seedKey(scope, target), written(value)]),
  );
  const others = Object.entries(allUsed()).filter(([id]) => id !== document);
  const kept = others.slice(-MOST_REMEMBERED);
  writeStored(SEEDS, Object.fromEntries([...kept, [document, seeds]]));
}

function allUsed(): Readonly<Record<string, unknown>> {
  const found = readStored(SEEDS);
  return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : {};
}

function seedKey(scope: Scope, target: string): string {
  return scope === null ? target : `${scope}/${target}`;
}

function written(value: Json | undefined): string {
  return value === undefined ? "" : writeJson(value).trim();
}

function shortened(value: Json): string {
  const text = valueText(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

// Submitting

/** Run a document once for each row of a table, CSV or JSON lines; gives the tag of its jobs. */
export async function runRows(document: string, rows: string): Promise<string> {
  count(document, 1);
  try {
    const workflow = withSeeds(document);
    rememberPrompts(workflow);
    const body = {
      workflow: verbatim(writeWorkflow(workflow)),
      rows,
      name: (workflow.title || t("running.untitled")).slice(0, MOST_OF_NAME),
      tags: [tagOf(document)],
    };
    const { group, jobs } = await api.POST("/jobs/rows", {
      // With the same key they are made once, however often it is sent.
      params: { header: { "idempotency-key": newKey() } },
      body,
    });
    notify({ kind: "success", title: t("library.rows.started", { count: jobs.length }) });
    return group;
  } finally {
    count(document, -1);
  }
}

/** Submit a workflow of no open document, whose jobs are known by an id as a document's are. */
export function submit(id: string, workflow: Workflow, name: string): Promise<JobEntry> {
  return submitted(id, { workflow, source: workflow, name, tags: [] }, {}, undefined);
}

async function submitted(
  document: string,
  wish: Wish,
  options: RunOptions,
  targets: Targets,
): Promise<JobEntry> {
  count(document, 1);
  try {
    const sending = picturesSent(wish.workflow);
    if (sending !== null) await sending;
    const found = await socket().request<{ job: JobEntry; new: boolean }>(
      "submit",
      {
        workflow: workflowToJson(wish.workflow),
        name: wish.name.slice(0, 256),
        tags: [tagOf(document), ...wish.tags],
        key: newKey(),
        ...(targets === undefined ? {} : { targets }),
        ...(options.first ? { priority: FIRST_PRIORITY } : {}),
        ...(options.held ? { held: true } : {}),
      },
      // The key makes it the same job if the answer to the first time was lost.
      { resend: true },
    );
    const { workflow, source } = wish;
    const sent = { workflow, source, targets: targets ?? null };
    jobsFollowing()?.enter(found.job, expectedOf(planOf(document)), sent);
    return found.job;
  } finally {
    count(document, -1);
  }
}

function count(document: string, by: number): void {
  const submitting = new Map(useRunning.getState().submitting);
  const now = (submitting.get(document) ?? 0) + by;
  if (now > 0) submitting.set(document, now);
  else submitting.delete(document);
  useRunning.setState({ submitting });
}

/** An idempotency key; randomUUID is missing where the page comes by plain HTTP. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function refuse(document: string, error: unknown): void {
  if (!(error instanceof ApiProblem)) {
    notifyFault(error, { title: t("running.notSubmitted"), key: runKey(document) });
    return;
  }
  setRefused(document, error.problems);
  askAbout(document, error.problems);
  forgetWhenEdited(document);
  const node = error.problems.find((problem) => problem.node)?.node ?? null;
  const action = node === null ? {} : { action: showAction(document, node) };
  notifyFault(error, { key: runKey(document), ...action });
}

function runKey(document: string): string {
  return `run/${document}`;
}

/** The way to a node that something is said of, by its name in the run. */
export function showAction(document: string, name: string, port: string | null = null) {
  return { label: t("running.show"), run: () => showNode(document, name, port) };
}

/** Bring the node of a run's name into view. */
export function showNode(document: string, name: string, port: string | null = null): void {
  const found = documentById(document);
  if (found === null) return;
  const place = placeOf(currentWorkflow(found), useCatalogue.getState().types, name);
  if (place !== null) focusNode({ document, path: place.path, node: place.node, port });
}

/** What a run was refused for may be mended by any edit; what is still wrong, the plan tells. */
function forgetWhenEdited(id: string): void {
  const found = documentById(id);
  if (found === null) return;
  const before = currentWorkflow(found);
  const stop = useDocuments.subscribe(() => {
    const document = documentById(id);
    const now = document && currentWorkflow(document);
    if (now?.nodes === before.nodes && now.subgraphs === before.subgraphs) return;
    stop();
    setRefused(id, []);
    dismissNoticeOf(runKey(id));
  });
}

function setRefused(document: string, problems: readonly Finding[]): void {
  const refused = new Map(useRunning.getState().refused);
  if (problems.length === 0 && !refused.delete(document)) return;
  if (problems.length > 0) refused.set(document, problems);
  useRunning.setState({ refused });
}

// Steering

/** Whether it was done; what went wrong is told. */
type Done = Promise<boolean>;

export function cancel(job: string): Done {
  return steered(() => command("cancel", job));
}

/** Cancel a job that a newer one takes the place of; if it has ended meanwhile, so be it. */
export function supersede(job: string): Done {
  return steered(() => command("cancel", job), { isTold: false });
}

/** A job that failed or was cancelled waits again, and goes on from its last checkpoint. */
export function retry(job: string): Done {
  return steered(() => command("retry", job));
}

/** Cancel what runs and waits: of a document, or everything. */
export async function cancelAll(document?: string): Promise<void> {
  const { jobs } = useJobs.getState();
  const open = [...jobs.values()].filter((job) => !isEnded(job) && job.wanted !== "cancel");
  const chosen = open.filter((job) => document === undefined || job.document === document);
  if (document === undefined) await steered(() => api.POST("/queue/clear"));
  else if (chosen.length > 1)
    await steered(() => api.POST("/queue/clear", { params: { query: { tag: tagOf(document) } } }));
  const running = chosen.filter((job) => job.state === "running");
  await Promise.all(
    (chosen.length > 1 || document === undefined ? running : chosen).map((job) => cancel(job.id)),
  );
}

/** Cancel what waits and leave what runs. */
export function clearQueue(): Done {
  return steered(() => api.POST("/queue/clear"));
}

export function pauseQueue(): Done {
  return steered(() => api.POST("/queue/pause"));
}

export function resumeQueue(): Done {
  return steered(() => api.POST("/queue/resume"));
}

/** Forget a job that has ended; its files stay. */
export async function forget(job: string): Done {
  const isDone = await steered(() => api.DELETE("/jobs/{id}", { params: { path: { id: job } } }));
  if (isDone) jobsFollowing()?.forget([job]);
  return isDone;
}

async function command(type: "cancel" | "retry", job: string) {
  const found = await socket().request<{ job: JobEntry }>(type, { job }, { resend: true });
  return found.job;
}

async function steered(ask: () => Promise<unknown>, { isTold = true } = {}): Done {
  try {
    const found = await ask();
    if (isJob(found)) jobsFollowing()?.steered(found);
    else void jobsFollowing()?.loadQueue();
    return true;
  } catch (error) {
    // It has ended meanwhile, or an answer was lost: what the job is now is told by its events.
    if (error instanceof ApiProblem && error.status === 409) {
      void jobsFollowing()?.loadQueue();
      if (isTold) notify({ kind: "info", title: t("running.tooLate"), detail: error.detail });
    } else notifyFault(error);
    return false;
  }
}

function isJob(found: unknown): found is JobEntry {
  return typeof found === "object" && found !== null && "id" in found && "attempt" in found;
}
