/** The page that generates images without a graph: what is chosen there, and its jobs. */
import { create } from "zustand";
import { api } from "@/api/client";
import { ApiProblem } from "@/api/http";
import type { Finding } from "@/api/schema";
import { t } from "@/i18n";
import { problemText } from "@/i18n/format";
import {
  comesInParts,
  DEFAULT_SETTINGS,
  type Field,
  fieldOf,
  type GenerateSettings,
  type Ground,
  loadedBy,
  merged,
  modelFault,
  modelNamed,
  type Style,
  seedAfter,
  settingsFrom,
  sizesOf,
  styleFrom,
  type Task,
  usualFor,
  usualInstead,
  workflowOf,
} from "@/model/generate";
import { drawSeed } from "@/model/seeds";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import { newId } from "./documents";
import { isEnded, jobsOfDocument, useJobs } from "./jobs";
import { notifyFault } from "./notices";
import { readStored, writeStored } from "./persisted";
import { rememberPrompts } from "./promptHistory";
import { cancel, submit } from "./running";
import { useSettings } from "./settings";

/** What is wrong, in words, by the field that it belongs to; "" for no field. */
export type Faults = ReadonlyMap<Field | "", string>;

export interface GeneratePage {
  /** By which its jobs are known, as a document's are. */
  readonly id: string;
  readonly settings: GenerateSettings;
  /** Why the last try was refused, until something is changed. */
  readonly faults: Faults;
  /** The jobs of the last try, whose faults belong to what is chosen. */
  readonly sent: readonly string[];
  readonly isSending: boolean;
  /** That may be chosen. */
  readonly styles: readonly Style[];
}

const KEY = "nodegraph.generate";
const STYLES = "nodegraph.styles";
const NO_FAULTS: Faults = new Map();

interface Kept {
  readonly id?: unknown;
  readonly settings?: unknown;
}

function stored(): Pick<GeneratePage, "id" | "settings"> {
  const kept = (readStored(KEY) ?? {}) as Kept;
  const id = typeof kept.id === "string" ? kept.id : newId();
  return { id, settings: settingsFrom(kept.settings ?? DEFAULT_SETTINGS) };
}

function storedStyles(): readonly Style[] {
  const found = readStored(STYLES);
  if (!Array.isArray(found)) return [];
  return found.map(styleFrom).filter((style) => style !== null);
}

export const useGenerate = create<GeneratePage>()(() => ({
  ...stored(),
  faults: NO_FAULTS,
  sent: [],
  isSending: false,
  styles: storedStyles(),
}));

/** Change what is chosen. What was wrong with it may be mended by that. */
export function choose(change: Partial<GenerateSettings>): void {
  const { id, settings: before } = useGenerate.getState();
  const settings = { ...before, ...change };
  useGenerate.setState({ settings, faults: NO_FAULTS, sent: [] });
  keep(id, settings);
}

function keep(id: string, settings: GenerateSettings): void {
  // Where the browser may keep what is done.
  const isKept = useSettings.getState().autosave;
  writeStored(KEY, isKept ? { id, settings } : { id });
}

/** Choose a model, with the size and sampling that suit its family. */
export function chooseModel(name: string): void {
  const { models } = useCatalogue.getState();
  const { settings } = useGenerate.getState();
  const all = models ?? [];
  const [model, before] = [modelNamed(all, name), modelNamed(all, settings.model)];
  const family = sizesOf(model, name);
  const suits = usualInstead(usualFor(model, name), usualFor(before, settings.model));
  const parts = comesInParts(model) ? partsFor(all, family) : { encoders: [], vae: "" };
  choose({ model: name, ...parts, ...suits });
}

/** The text encoder and VAE of a family, where each is the only one that may be meant. */
function partsFor(models: NonNullable<Ground["models"]>, family: string) {
  const own = (node: string) =>
    loadedBy(models, node)
      .filter((each) => each.family === null || each.family === family)
      .map(({ name }) => name);
  const [encoders, vaes] = [own("LoadTextEncoder"), own("LoadVae")];
  return { encoders: encoders.length === 1 ? encoders : [], vae: vaes[0] ?? "" };
}

/** Take styles into the list; those of the same names are replaced. */
export function addStyles(added: readonly Style[]): void {
  setStyles(merged(useGenerate.getState().styles, added));
}

export function removeStyle(name: string): void {
  setStyles(useGenerate.getState().styles.filter((style) => style.name !== name));
}

function setStyles(styles: readonly Style[]): void {
  keepStyles(styles);
  const { isLoaded } = styleState;
  // Before the server was asked, nobody knows what would be replaced there.
  if (isLoaded) void sendStyles(styles);
}

function keepStyles(styles: readonly Style[]): void {
  useGenerate.setState({ styles });
  writeStored(STYLES, styles);
}

async function sendStyles(styles: readonly Style[]): Promise<void> {
  const items = styles.map(({ name, prompt, negative }) => ({
    name,
    prompt,
    negative_prompt: negative,
  }));
  await api
    .PUT("/styles", { body: { items } })
    .catch((fault) =>
      notifyFault(fault, { title: t("generate.stylesNotKept"), key: "generate-styles" }),
    );
}

const styleState = { isLoaded: false };

/** Bring the styles that the server keeps; those of this browser alone go there. */
export async function loadStyles(): Promise<void> {
  try {
    const { items } = await api.GET("/styles");
    const there = items.map(({ name, prompt = "", negative_prompt = "" }) => ({
      name,
      prompt,
      negative: negative_prompt,
    }));
    const here = useGenerate.getState().styles;
    const isFirst = !styleState.isLoaded && there.length === 0 && here.length > 0;
    styleState.isLoaded = true;
    if (isFirst) await sendStyles(here);
    else keepStyles(there);
  } catch {
    // Those that the browser has kept are shown until the server answers.
  }
}

/** What graphs are built for; null until the node types and models are there. */
export function generateGround(): Ground | null {
  const { types, models } = useCatalogue.getState();
  return types && models && { types, models };
}

/**
 * What graphs are built for, where somebody is faster than node types and models are; null if they
 * don't come, which is told, or if it was called off meanwhile.
 */
async function loadGround(): Promise<Ground | null> {
  const before = calledOff;
  const { types, load, needModels } = useCatalogue.getState();
  useGenerate.setState({ isSending: true });
  try {
    await Promise.all([types === null ? load() : null, needModels()]);
    return before === calledOff ? generateGround() : null;
  } catch (fault) {
    notifyFault(fault, { title: t("generate.notSent"), key: useGenerate.getState().id });
    return null;
  } finally {
    useGenerate.setState({ isSending: false });
  }
}

/** The page's settings as a workflow; null until that can be said. */
export function generateWorkflow(): Workflow | null {
  const ground = generateGround();
  return ground && workflowOf(useGenerate.getState().settings, ground);
}

/** Generate the images that are chosen, one job each. What goes wrong is told, not thrown. */
export async function generate(): Promise<void> {
  const { settings, isSending } = useGenerate.getState();
  if (isSending) return;
  const ground = generateGround() ?? (await loadGround());
  if (ground === null) return;
  const fault = modelFault(settings, ground);
  if (fault !== null) {
    const field: Field = fault === "encoder" ? "encoders" : fault === "vae" ? "vae" : "model";
    useGenerate.setState({ faults: new Map([[field, t(`generate.model.${fault}`)]]) });
    return;
  }
  const seed = settings.isRandom ? String(drawSeed(Math.random)) : settings.seed;
  if (seed !== settings.seed) choose({ seed });
  rememberPrompts(workflowOf({ ...settings, styles: [] }, ground));
  const workflows = Array.from({ length: settings.count }, (_, index) =>
    workflowOf({ ...settings, seed: seedAfter(seed, index) }, ground),
  );
  await send(workflows);
}

/** Do something with an image, by the settings that it is the start image of. */
export async function runTask(task: Task, settings: GenerateSettings): Promise<void> {
  const ground = generateGround() ?? (await loadGround());
  if (ground === null) return;
  const seed = String(drawSeed(Math.random));
  const title = t(`generate.task.${task}`);
  const described = task === "image" ? {} : { title };
  await send([workflowOf({ ...settings, seed, count: 1 }, ground, { task, ...described })]);
}

/** Counts the times that what is on its way was called off. */
let calledOff = 0;

async function send(workflows: readonly Workflow[]): Promise<void> {
  const { id } = useGenerate.getState();
  const before = calledOff;
  useGenerate.setState({ isSending: true, faults: NO_FAULTS, sent: [] });
  try {
    for (const workflow of workflows) {
      const { id: job } = await submit(id, workflow, workflow.title || t("generate.untitled"));
      // Its answer may come after the button was pressed.
      if (before !== calledOff) return void (await cancel(job));
      useGenerate.setState(({ sent }) => ({ sent: [...sent, job] }));
    }
  } catch (error) {
    if (error instanceof ApiProblem && error.problems.length > 0) {
      useGenerate.setState({ faults: faultsOf(error.problems) });
    } else notifyFault(error, { title: t("generate.notSent"), key: id });
  } finally {
    useGenerate.setState({ isSending: false });
  }
}

/** Problems by the fields that they belong to, the first of each. */
export function faultsOf(problems: readonly Finding[]): Faults {
  const faults = new Map<Field | "", string>();
  for (const problem of problems) {
    const { node, port } = problem;
    const field = (node && fieldOf({ node, port: port ?? "" })) || "";
    if (!faults.has(field)) faults.set(field, problemText(problem));
  }
  return faults;
}

/** Cancel what the page has submitted and isn't done, and send no more of it. */
export async function cancelGenerating(): Promise<void> {
  calledOff += 1;
  const { id } = useGenerate.getState();
  const open = jobsOfDocument(useJobs.getState(), id).filter((job) => !isEnded(job));
  await Promise.all(open.map((job) => cancel(job.id)));
}
