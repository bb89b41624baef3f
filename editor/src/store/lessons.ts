/** The lesson that is shown, and how far somebody is in each; fetched with the first lesson. */
import { create } from "zustand";
import { read } from "@/api/client";
import { readJson } from "@/model/json";
import { type Facts, isReached } from "@/model/lessons/goals";
import type { Lesson, LessonStep } from "@/model/lessons/lesson";
import {
  type AllProgress,
  advanced,
  BEGUN,
  isUnderWay,
  type LessonProgress,
  readProgress,
  wentBack,
} from "@/model/lessons/progress";
import { lessonFromJson } from "@/model/lessons/reading";
import { readWorkflow, type Workflow } from "@/model/workflow";
import { currentWorkflow, documentById, useDocuments } from "./documents";
import { type Jobs, type JobView, jobsOfDocument, useJobs } from "./jobs";
import { OPEN_LESSON, useLessonOpen } from "./lessonOpen";
import { readOfWindow, readStored, writeOfWindow, writeStored } from "./persisted";

/** The template that the tour goes through. */
export const TOUR = "text_to_image";
/** Key of a workflow's `ui` that holds a lesson of its own. */
const OWN = "lesson";
const PROGRESS = "nodegraph.lessons";
const DOCUMENTS = "nodegraph.lesson-documents";

/** A lesson beside the document that it is about. */
export interface OpenedLesson {
  /** A template's name; of a workflow with a lesson of its own, "own:" and its title. */
  readonly name: string;
  readonly lesson: Lesson;
  /** Its workflow as it was before anything was changed. */
  readonly original: Workflow;
  readonly document: string;
}

export interface Lessons {
  readonly opened: OpenedLesson | null;
  readonly progress: AllProgress;
  /** The documents that lessons were opened in, by the lesson's name. */
  readonly documents: Readonly<Record<string, string>>;
  /** What there was when the step that is shown began. */
  readonly begun: { readonly finished: ReadonlySet<string> };
  /** Files that were downloaded since. */
  readonly downloads: number;
  /** Whether somebody has just called for it, so that its card takes the focus. */
  readonly isCalled: boolean;
}

/** Of this window: a lesson that was left goes on in its document, also after a reload. */
function storedDocuments(): Readonly<Record<string, string>> {
  const stored = readOfWindow(DOCUMENTS);
  if (typeof stored !== "object" || stored === null) return {};
  const entries = Object.entries(stored);
  return Object.fromEntries(entries.filter(([, document]) => typeof document === "string"));
}

export const useLessons = create<Lessons>()(() => ({
  opened: null,
  progress: readProgress(readStored(PROGRESS)),
  documents: storedDocuments(),
  begun: { finished: new Set() },
  downloads: 0,
  isCalled: false,
}));

export function progressOf({ progress }: Lessons, name: string): LessonProgress {
  return progress[name] ?? BEGUN;
}

/** The step that is shown; null without a lesson. */
export function shownStep(state: Lessons): LessonStep | null {
  const { opened } = state;
  if (opened === null) return null;
  const { steps } = opened.lesson;
  return steps[Math.min(progressOf(state, opened.name).step, steps.length - 1)] ?? null;
}

// Getting lessons

/** The lesson of a template, and the workflow that it begins with. */
export async function fetchLesson(
  name: string,
): Promise<Pick<OpenedLesson, "lesson" | "original">> {
  const params = { path: { name } };
  const [lesson, workflow] = await Promise.all([
    read("text", "get", "/templates/{name}/lesson", { params }),
    read("text", "get", "/templates/{name}", { params }),
  ]);
  return {
    lesson: lessonFromJson(readJson(lesson.data)),
    original: readWorkflow(workflow.data),
  };
}

/** Whether a workflow brings a lesson of its own. */
export function hasOwnLesson({ ui }: Workflow): boolean {
  return ui.has(OWN);
}

/** The lesson that a document's workflow brings itself; throws a `LessonFault`. */
export function ownLesson(document: string): OpenedLesson | null {
  const found = documentById(document);
  if (found === null) return null;
  const workflow = currentWorkflow(found);
  const lesson = lessonFromJson(workflow.ui.get(OWN));
  return { name: `own:${workflow.title}`, lesson, original: workflow, document };
}

// Going through one

/** Show a lesson: from its beginning, or where it was left. */
export function showLesson(opened: OpenedLesson, isAnew: boolean, isCalled = true): void {
  const { name, document } = opened;
  useLessons.setState((state) => {
    const known = progressOf(state, name);
    const progress = isAnew || !isUnderWay(known) ? BEGUN : known;
    return {
      opened,
      isCalled,
      progress: { ...state.progress, [name]: progress },
      documents: { ...state.documents, [name]: document },
    };
  });
  writeOfWindow(OPEN_LESSON, { name, document });
  writeOfWindow(DOCUMENTS, useLessons.getState().documents);
  useLessonOpen.setState({ isOpen: true });
  beginStep();
}

/** The lesson of before a reload, if its document is still open; else there is none any more. */
export async function reviveLesson(): Promise<void> {
  const stored = readOfWindow(OPEN_LESSON) as { name?: unknown; document?: unknown } | null;
  const { name, document } = stored ?? {};
  const isWhole = typeof name === "string" && typeof document === "string";
  if (!isWhole || documentById(document) === null) return leaveLesson();
  try {
    const found = name.startsWith("own:") ? ownLesson(document) : await fetchLesson(name);
    if (found === null) return leaveLesson();
    showLesson({ ...found, name, document }, false, false);
  } catch {
    // Whoever was in the middle of it finds it in the list again.
    leaveLesson();
  }
}

/** Stop showing it; how far it came is kept. */
export function leaveLesson(): void {
  useLessons.setState({ opened: null });
  writeOfWindow(OPEN_LESSON, null);
  useLessonOpen.setState({ isOpen: false });
}

/** Go on, whether the step was done or is skipped; after the last one the lesson is over. */
export function nextStep(): void {
  const { opened, progress } = useLessons.getState();
  if (opened === null) return;
  const count = opened.lesson.steps.length;
  const before = progress[opened.name] ?? BEGUN;
  setProgress(opened.name, advanced(before, count));
  if (before.step >= count - 1) leaveLesson();
  else beginStep();
}

export function previousStep(): void {
  const { opened, progress } = useLessons.getState();
  if (opened === null) return;
  setProgress(opened.name, wentBack(progress[opened.name] ?? BEGUN));
  beginStep();
}

function setProgress(name: string, next: LessonProgress): void {
  useLessons.setState(({ progress }) => ({ progress: { ...progress, [name]: next } }));
  writeStored(PROGRESS, useLessons.getState().progress);
}

function beginStep(): void {
  const document = useLessons.getState().opened?.document ?? "";
  const finished = finishedOf(useJobs.getState(), document).map(({ id }) => id);
  useLessons.setState({ begun: { finished: new Set(finished) }, downloads: 0 });
}

function finishedOf(jobs: Jobs, document: string): readonly JobView[] {
  return jobsOfDocument(jobs, document).filter(({ state }) => state === "finished");
}

/** Whether the step that is shown was done just now; one that was done before stays to be read. */
export function isStepReached(): boolean {
  const state = useLessons.getState();
  const { opened } = state;
  const step = shownStep(state);
  const document = opened && documentById(opened.document);
  if (!opened || !step || !document) return false;
  const { step: at, done } = progressOf(state, opened.name);
  if (done.includes(at)) return false;
  const runs = finishedOf(useJobs.getState(), document.id).filter(
    ({ id }) => !state.begun.finished.has(id),
  );
  const facts: Facts = {
    opened: opened.original,
    now: currentWorkflow(document),
    runs: runs.flatMap(({ source, workflow }) => source ?? workflow ?? []),
    downloads: state.downloads,
    selected: document.selection,
  };
  return isReached(step.until, facts);
}

/** Which nodes the last finished run of the lesson's document computed, and which were cached. */
export function lastRun(jobs: Jobs, document: string) {
  const job = finishedOf(jobs, document)[0];
  if (job === undefined) return null;
  const named = (state: string) =>
    [...job.nodes].flatMap(([name, run]) => (run.state === state ? [name] : []));
  return { computed: named("done"), cached: named("cached") };
}

/** The open document that a lesson was last shown in. */
export function documentOfLesson(name: string): string | null {
  const document = useLessons.getState().documents[name];
  const isOpen = useDocuments.getState().documents.some(({ id }) => id === document);
  return document !== undefined && isOpen ? document : null;
}
