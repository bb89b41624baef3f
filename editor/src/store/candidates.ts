/**
 * What a canvas's runs gave since somebody last dealt with it: candidates for the next layer.
 *
 * They are the pictures of the node that shows what the canvas samples. Each stands where the box
 * stood when it was made. Accepting one takes it as a layer, and all others go with it.
 */
import { create } from "zustand";
import { artifactAddress, uploadArtifact } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import {
  acceptResult,
  type PaintCanvas,
  type Placement,
  readCanvas,
  resultTitle,
} from "@/model/painting";
import type { Scope } from "@/model/scope";
import type { NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import {
  currentScope,
  currentWorkflow,
  type Document,
  documentById,
  useDocuments,
} from "./documents";
import { isEnded, type JobView, jobsOfDocument, useJobs } from "./jobs";
import { loadJob } from "./jobsFollowing";
import { readStored, writeStored } from "./persisted";
import { knownSize, rememberSize } from "./pictureSizes";
import { ON_CHANGE } from "./running";

export interface Candidate {
  readonly digest: string;
  readonly job: string;
  readonly url: string;
  /** Where the box stood in which it was made. */
  readonly placement: Placement;
  /** Of the layer that it becomes, after a number: its prompt and seed. */
  readonly title: string;
}

interface Candidates {
  /** By document, the newest last. */
  readonly lists: ReadonlyMap<string, readonly Candidate[]>;
  /** The one that is shown, by document, as "job/digest"; the newest where none was chosen. */
  readonly chosen: ReadonlyMap<string, string>;
  /** The candidate that lies on the canvas of a document. */
  readonly shown: (document: string) => Candidate | null;
}

const NONE: readonly Candidate[] = [];

export const useCandidates = create<Candidates>()((_, get) => ({
  lists: new Map(),
  chosen: new Map(),
  shown: (document) => {
    const list = candidatesOf(document);
    const chosen = get().chosen.get(document);
    return list.find((each) => keyOf(each) === chosen) ?? list.at(-1) ?? null;
  },
}));

export function candidatesOf(document: string): readonly Candidate[] {
  return useCandidates.getState().lists.get(document) ?? NONE;
}

function keyOf({ job, digest }: Pick<Candidate, "job" | "digest">): string {
  return `${job}/${digest}`;
}

/** Show another one: the next, or the one before. */
export function flip(document: string, by: 1 | -1): void {
  const list = candidatesOf(document);
  const shown = useCandidates.getState().shown(document);
  if (shown === null) return;
  const index = (list.indexOf(shown) + by + list.length) % list.length;
  const next = list[index];
  if (next) choose(document, next);
}

export function choose(document: string, candidate: Candidate): void {
  const chosen = new Map(useCandidates.getState().chosen).set(document, keyOf(candidate));
  useCandidates.setState({ chosen });
}

/** Take the one that is shown as a layer; the others go. Gives the layer's node. */
export async function accept(document: string): Promise<string | null> {
  const shown = useCandidates.getState().shown(document);
  return shown === null ? null : take(document, [shown]);
}

/** Take all as layers, each above those before it; gives the uppermost one's node. */
export function keepAll(document: string): Promise<string | null> {
  return take(document, candidatesOf(document));
}

/** Let the one that is shown go; what was shown beside it is shown next. */
export function discard(document: string): void {
  const shown = useCandidates.getState().shown(document);
  if (shown === null) return;
  const list = candidatesOf(document);
  const at = list.indexOf(shown);
  const next = list[at + 1] ?? list[at - 1];
  const { since, gone } = dealtWith(document);
  remember(document, { since, gone: [...gone, keyOf(shown)] });
  refresh(document);
  if (next) choose(document, next);
}

export function discardAll(document: string): void {
  finish(document, candidatesOf(document));
}

/** Documents whose candidates are being taken: a second click takes none of them twice. */
const taking = new Set<string>();

async function take(document: string, candidates: readonly Candidate[]): Promise<string | null> {
  if (taking.has(document)) return null;
  taking.add(document);
  try {
    return await takeNow(document, candidates);
  } finally {
    taking.delete(document);
  }
}

async function takeNow(document: string, candidates: readonly Candidate[]): Promise<string | null> {
  const values: string[] = [];
  for (const { digest } of candidates) {
    const { value, width, height } = await uploadArtifact(digest);
    if (width !== null && height !== null) rememberSize(value, { width, height });
    values.push(value);
  }
  const { types } = useCatalogue.getState();
  const found = documentById(document);
  if (types === null || found === null || candidates.length === 0) return null;
  let top: string | null = null;
  const scope = currentScope(found);
  const edit = (workflow: Workflow) => {
    let now = workflow;
    for (const [index, { placement, title }] of candidates.entries()) {
      const ground = { workflow: now, scope, types, sizeOf: knownSize };
      const canvas = readCanvas(now, scope, types);
      const value = values[index];
      if (canvas === null || value === undefined) continue;
      const accepted = acceptResult(ground, canvas, [value], placement, numbered(canvas, title));
      now = accepted.workflow;
      top = accepted.node ?? top;
    }
    return now;
  };
  useDocuments.getState().change("painting.edit.accept", edit, { document });
  finish(document, candidates);
  return top;
}

/** Lists of layers cut long names: what differs comes first. */
function numbered({ entries }: PaintCanvas, title: string): string {
  const numbers = entries.map((entry) => Number(/^(\d+)(?: · |$)/.exec(entry.title)?.[1] ?? 0));
  return [String(Math.max(0, ...numbers) + 1), title].filter((part) => part !== "").join(" · ");
}

/** Some were dealt with, and with them all there were before. */
function finish(document: string, candidates: readonly Candidate[]): void {
  const jobs = useJobs.getState().jobs;
  const times = candidates.map(({ job }) => jobs.get(job)?.created ?? 0);
  const before = dealtWith(document);
  const all = candidatesOf(document).map(keyOf);
  remember(document, { since: Math.max(before.since, ...times), gone: [...before.gone, ...all] });
  refresh(document);
}

// What was dealt with is remembered over reloads

interface Dealt {
  /** Unix time of the newest job whose candidates were dealt with: all before are gone, too. */
  readonly since: number;
  readonly gone: readonly string[];
}

const KEY = "nodegraph.candidates";
const MADE = "nodegraph.candidatesMade";
const MOST_DOCUMENTS = 50;
const MOST_GONE = 200;
const MOST_MADE = 200;

function stored<T>(key: string): Readonly<Record<string, T>> {
  const found = readStored(key);
  return typeof found === "object" && found !== null ? (found as Record<string, T>) : {};
}

function store<T>(key: string, name: string, value: T, most: number): void {
  const others = Object.entries(stored<T>(key)).filter(([other]) => other !== name);
  writeStored(key, Object.fromEntries([...others, [name, value]].slice(-most)));
}

function dealtWith(document: string): Dealt {
  const found = stored<Partial<Dealt>>(KEY)[document];
  const gone = Array.isArray(found?.gone) ? found.gone : [];
  return { since: typeof found?.since === "number" ? found.since : 0, gone };
}

function remember(document: string, { since, gone }: Dealt): void {
  store(KEY, document, { since, gone: gone.slice(-MOST_GONE) }, MOST_DOCUMENTS);
}

interface Made {
  /** Where the box stood. */
  readonly placement: Placement;
  readonly title: string;
}

/** What a job was sent with; remembered, as only this page knows what it ran. */
function madeBy(job: JobView, scope: Scope, types: NodeTypes): Made | null {
  const known = stored<Made>(MADE)[job.id];
  if (known !== undefined) return known;
  const workflow = job.source ?? job.workflow;
  const canvas = workflow && readCanvas(workflow, scope, types);
  if (!canvas) return null;
  const { x, y, width, height } = canvas.box;
  const made = { placement: { x, y, width, height, rotation: 0 }, title: resultTitle(canvas) };
  store(MADE, job.id, made, MOST_MADE);
  return made;
}

// Following the jobs

const MOST_JOBS = 20;
const loaded = new Set<string>();

/** Keep the candidates of the open document up to date; gives what ends it. While a canvas is shown. */
export function startCandidates(): () => void {
  const look = () => refresh(useDocuments.getState().active);
  const stops = [useJobs, useDocuments, useCatalogue].map((each) => each.subscribe(look));
  look();
  return () => {
    for (const stop of stops) stop();
  };
}

function refresh(id: string): void {
  const document = documentById(id);
  const { types } = useCatalogue.getState();
  const list = document && types ? found(document, types) : NONE;
  const before = candidatesOf(id);
  if (list.length === before.length && list.every((each, at) => isSame(each, before[at]))) return;
  // The same ones stay the same objects, so that what shows them needn't be drawn anew.
  const kept = list.map((each) => before.find((known) => isSame(each, known)) ?? each);
  useCandidates.setState(({ lists }) => ({ lists: new Map(lists).set(id, kept) }));
}

function isSame(a: Candidate, b: Candidate | undefined): boolean {
  return b !== undefined && keyOf(a) === keyOf(b);
}

function found(document: Document, types: NodeTypes): readonly Candidate[] {
  const scope = currentScope(document);
  const canvas = readCanvas(currentWorkflow(document), scope, types);
  if (canvas === null || canvas.result === null) return NONE;
  const { result, box } = canvas;
  const { since, gone } = dealtWith(document.id);
  const jobs = jobsOfDocument(useJobs.getState(), document.id).slice(0, MOST_JOBS);
  const newer = jobs.filter(({ created }) => created >= since).toReversed();
  const here = { x: box.x, y: box.y, width: box.width, height: box.height, rotation: 0 };
  return withoutOldLive(newer).flatMap((job) => {
    if (isEnded(job) && !job.isWhole && job.outputs.length === 0) load(job.id);
    const own = job.outputs.filter((output) => isResult(output, result, scope));
    const left = own.filter(({ digest }) => !gone.includes(keyOf({ job: job.id, digest })));
    if (left.length === 0) return [];
    const { placement, title } = madeBy(job, scope, types) ?? { placement: here, title: "" };
    return left.map(({ digest }) => {
      return { digest, job: job.id, url: artifactAddress(digest), placement, title };
    });
  });
}

/** Of runs that edits started only the last one that gave something counts. */
function withoutOldLive(jobs: readonly JobView[]): readonly JobView[] {
  const isLive = ({ tags }: JobView) => tags.includes(ON_CHANGE);
  const last = jobs.findLast((job) => isLive(job) && job.outputs.length > 0);
  return jobs.filter((job) => !isLive(job) || job === last || !isEnded(job));
}

function isResult({ node, media_type }: ArtifactEntry, result: string, scope: Scope): boolean {
  if (!media_type.startsWith("image/")) return false;
  const name = node.replace(/\[\d+\]/g, "");
  return scope === null ? name === result : name.endsWith(`/${result}`);
}

function load(job: string): void {
  if (loaded.has(job)) return;
  loaded.add(job);
  loadJob(job).catch(() => loaded.delete(job));
}
