/** What can be done with an image of the page; faults are told, never thrown. */
import { upload, uploadArtifact, uploadTexts } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { t } from "@/i18n";
import {
  workflowOf as buildWorkflow,
  CELL,
  DEFAULT_SETTINGS,
  type GenerateSettings,
  lackingFor,
  nodesLeftOut,
  StylesFault,
  settingsOf,
  stylesOfCsv,
  type Task,
  tagsOfCsv,
} from "@/model/generate";
import { literalOf } from "@/model/links";
import type { Workflow } from "@/model/workflow";
import { useDocuments } from "@/store/documents";
import { workflowOf } from "@/store/gallery";
import {
  addStyles,
  choose,
  generateGround,
  generateWorkflow,
  runTask,
  useGenerate,
} from "@/store/generate";
import { useJobs } from "@/store/jobs";
import { notify, notifyFault } from "@/store/notices";
import { chooseTagList, LARGEST_LIST } from "@/store/tagList";
import { useUi } from "@/store/ui";

/** How far a variation goes from its image. */
const VARIED = 0.5;

/** The settings that made an image; those of the page where it wasn't made here. */
async function settingsFor(artifact: ArtifactEntry): Promise<GenerateSettings> {
  const known = useJobs.getState().jobs.get(artifact.job)?.workflow;
  const found = settingsOf(known ?? (await workflowOf(artifact)));
  return found ?? useGenerate.getState().settings;
}

/** The same, with the image to start from, in its own size. */
async function settingsFrom(
  artifact: ArtifactEntry,
  value: string,
  isMasked = false,
): Promise<GenerateSettings> {
  const settings = await settingsFor(artifact);
  const whole = (side: number | null, usual: number) =>
    side === null ? usual : Math.max(CELL, side - (side % CELL));
  return {
    ...settings,
    start: { value, isMasked },
    hires: null,
    width: whole(artifact.width, settings.width),
    height: whole(artifact.height, settings.height),
  };
}

/** Do a task with an image at once, or say what the server lacks for it. */
export async function act(task: Task, artifact: ArtifactEntry): Promise<void> {
  const ground = generateGround();
  const lacks = ground && lackingFor(task, ground);
  if (lacks === "detector" || lacks === "upscaler") {
    useUi.getState().openDialog("lacking", { task, lacks, artifact });
    return;
  }
  if (lacks) {
    const name = t(`generate.task.${task}`);
    notify({
      kind: "info",
      title: t("generate.lacks", { name }),
      detail: t(`generate.lacks.${lacks}`),
      key: "generate-lacks",
    });
    return;
  }
  await told(async () => {
    const { value } = await uploadArtifact(artifact.digest);
    const settings = await settingsFrom(artifact, value);
    await runTask(task, task === "image" ? { ...settings, strength: VARIED } : settings);
  });
}

/** Paint a mask on an image: what is masked is what the next images change. */
export async function paintOver(artifact: ArtifactEntry): Promise<void> {
  const save = async (file: File) => {
    const { value } = await upload(file);
    choose({ ...(await settingsFrom(artifact, value, true)), strength: 1, count: 1 });
  };
  useUi.getState().openDialog("mask", { source: artifact.href, name: artifact.name, save });
}

/** Start from an image. */
export async function startFrom(artifact: ArtifactEntry): Promise<void> {
  await told(async () => {
    const { value } = await uploadArtifact(artifact.digest);
    choose({ start: { value, isMasked: false } });
  });
}

/** Choose what an image was made with, its seed too. */
export async function reuse(artifact: ArtifactEntry): Promise<void> {
  await told(async () => {
    choose({ ...(await settingsFor(artifact)), isRandom: false, count: 1 });
    notify({ kind: "success", title: t("generate.reused"), key: "generate-reused" });
  });
}

/** Show the graph that made an image. */
export async function openGraph(artifact: ArtifactEntry): Promise<void> {
  await told(async () => {
    const known = useJobs.getState().jobs.get(artifact.job)?.workflow;
    useDocuments.getState().open(known ?? (await workflowOf(artifact)), { origin: "picture" });
    useUi.getState().setView("graph");
  });
}

/** Show the graph of what is chosen. */
export function openSettingsAsGraph(): void {
  const workflow = generateWorkflow();
  if (workflow === null) return;
  useDocuments.getState().open(workflow);
  useUi.getState().setView("graph");
}

/** A file that was dropped: settings of an image, an image to start from, or a list. */
export async function takeFile(file: File): Promise<void> {
  await told(async () => {
    if (/\.csv$/i.test(file.name)) return takeTable(file);
    const workflow = await workflowIn(file);
    const settings = workflow && settingsOf(workflow);
    if (settings) return takeSettings(settings);
    if (!file.type.startsWith("image/")) {
      notify({ kind: "warning", title: t("generate.notImage", { name: file.name }) });
      return;
    }
    const { value, digest } = await upload(file);
    const start = () => choose({ start: { value, isMasked: false } });
    const texts = await textsOfTools(digest);
    if (texts === null || !(await takeTexts(texts, file.name, start))) start();
  });
}

function takeSettings(settings: GenerateSettings): void {
  choose({ ...settings, isRandom: false });
  notify({ kind: "success", title: t("generate.reused"), key: "generate-reused" });
}

async function workflowIn(file: File): Promise<Workflow | null> {
  const { workflowOfFile } = await import("@/model/pictures");
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    return workflowOfFile(bytes, file.name, file.type).workflow;
  } catch {
    // One without a workflow is an image like others.
    return null;
  }
}

type Texts = Readonly<Record<string, string>>;

/** What another tool wrote into an image; null for nothing that is known. */
async function textsOfTools(digest: string): Promise<Texts | null> {
  const { settingsOfTools } = await import("@/model/comfyui");
  return settingsOfTools(await uploadTexts(digest)) ?? null;
}

/** Whether a text is one of A1111, with settings below the prompts. */
export function isParameters(text: string): boolean {
  return /^\s*Steps: \d+,.*\b(Sampler|Seed|Size|CFG scale): /m.test(text);
}

/** Offer to take the settings of a text that was pasted. */
export function offerParameters(text: string): void {
  notify({
    kind: "info",
    title: t("generate.textHasSettings"),
    key: "generate-parameters",
    lasts: 15_000,
    action: {
      label: t("generate.useSettings"),
      run: () =>
        void told(async () => {
          const name = t("generate.pastedText");
          if (!(await takeTexts({ parameters: text }, name))) {
            notify({ kind: "warning", title: t("generate.noSettings", { name }) });
          }
        }),
    },
  });
}

/**
 * Choose what another tool's texts say, and tell what the page can't hold; false where they say
 * nothing that it has.
 *
 * @param start Chooses the image to start from instead.
 */
async function takeTexts(texts: Texts, name: string, start?: () => void): Promise<boolean> {
  const { tellTranslated, translated } = await import("@/components/files/importing");
  const { workflow, report } = await translated(texts, name);
  const settings = settingsOf(workflow);
  const ground = generateGround();
  if (settings === null || ground === null) return false;
  const before = useGenerate.getState().settings;
  const isNamed = literalOf(workflow.nodes.get("load")?.inputs.get("model")) !== undefined;
  const model = isNamed ? settings.model : before.model;
  choose({ ...settings, model, isRandom: false, count: 1 });
  const action = start && { label: t("generate.startFrom"), run: start };
  notify({ kind: "success", title: t("generate.reused"), key: "generate-reused", action });
  const lost = nodesLeftOut(workflow, buildWorkflow({ ...settings, model }, ground));
  const notes = [
    ...(lost.length > 0 ? [t("generate.onlyInGraph", { nodes: lost.join(", ") })] : []),
    ...report.differences.map(({ message }) => message),
  ];
  if (notes.length > 0) {
    const open = () => {
      const document = useDocuments.getState().open(workflow, { origin: "picture" });
      useUi.getState().setView("graph");
      tellTranslated({ name, document, report });
    };
    notify({
      kind: "warning",
      title: t(lost.length > 0 ? "generate.imageDiffers" : "generate.mayDiffer"),
      detail: notes.slice(0, MOST_NOTES).join("\n"),
      key: "generate-differs",
      lasts: lost.length > 0 ? 20_000 : 9_000,
      action: { label: t("generate.openGraph"), run: open },
    });
  }
  return true;
}

const MOST_NOTES = 4;

async function takeTable(file: File): Promise<void> {
  if (await isTagList(file)) await importTags(file);
  else await importStyles(file);
}

async function isTagList(file: File): Promise<boolean> {
  return file.size <= LARGEST_LIST && tagsOfCsv(await file.text()) !== null;
}

/** Styles from a file of A1111. */
export async function importStyles(file: File): Promise<void> {
  try {
    const styles = stylesOfCsv(await file.text());
    addStyles(styles);
    notify({ kind: "success", title: t("generate.stylesAdded", { count: styles.length }) });
  } catch (fault) {
    if (!(fault instanceof StylesFault)) throw fault;
    notify({
      kind: "error",
      title: t("generate.noStyles", { name: file.name }),
      detail: t("generate.noStylesDetail", { column: fault.message }),
    });
  }
}

/** A list of tags that prompts are completed with; of a bad one, the row that is wrong is named. */
export async function importTags(file: File): Promise<void> {
  const title = t("generate.noTags", { name: file.name });
  try {
    if (await chooseTagList(file)) tellTags(file.name);
    else notify({ kind: "error", title, detail: t("generate.noTagsDetail") });
  } catch (fault) {
    notifyFault(fault, { title });
  }
}

function tellTags(name: string): void {
  notify({ kind: "success", title: t("generate.tagsChosen", { name }) });
}

/** Begin anew: the model and its size stay. */
export function startOver(): void {
  const { model, encoders, vae, width, height } = useGenerate.getState().settings;
  const { steps, cfg, sampler, schedule } = useGenerate.getState().settings;
  const kept = { model, encoders, vae, width, height, steps, cfg, sampler, schedule };
  choose({ ...DEFAULT_SETTINGS, ...kept });
}

async function told(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (fault) {
    notifyFault(fault, { title: t("results.failed") });
  }
}
