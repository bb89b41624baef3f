/** Opening workflows: from the server, from files and pictures, from links. */
import { read } from "@/api/client";
import { ANY, upload, uploadTexts } from "@/api/files";
import { getWorkflow } from "@/api/workflows";
import { t } from "@/i18n";
import { JsonFault } from "@/model/json";
import type { FoundWorkflow, PictureFault } from "@/model/pictures";
import type { NodeSpec } from "@/model/spec";
import { readWorkflow, type Workflow, WorkflowFault } from "@/model/workflow";
import { documentById, isUntouched, type OpenOptions, useDocuments } from "@/store/documents";
import { notify, notifyFault } from "@/store/notices";
import { useUi } from "@/store/ui";
import { type ChosenFile, chooseFiles } from "./fileTypes";
import { isPlainPicture, placePicture } from "./plainPicture";
import { bringFolders, withFiles, withTemplateFiles } from "./templateFiles";

/** Bytes of the largest file that is read. */
const LARGEST = 512 * 1024 * 1024;
const MOST_AT_ONCE = 20;
/** Names of results that carry their workflow in ways that only the server knows. */
const READ_BY_SERVER = /\.(gif|webm|mkv|wav|flac|ogg|mp3|glb|ply|obj|sdf|mol|pdb)$/i;

/** What is wrong with a workflow that was to be opened, in words; null for other faults. */
export function readingFault(fault: unknown): string | null {
  if (fault instanceof JsonFault) {
    const { line, column, message } = fault;
    return t("files.badJson", { line, column, message });
  }
  if (fault instanceof WorkflowFault) {
    const [first = "", ...others] = fault.problems;
    return others.length === 0 ? first : t("files.badWorkflow", { first, count: others.length });
  }
  // Faults of pictures and links say themselves what is wrong and what to do.
  const isSaid = fault instanceof Error && /^(PictureFault|ShareFault)$/.test(fault.name);
  return isSaid ? fault.message : null;
}

function tellFault(fault: unknown, title: string): void {
  const detail = readingFault(fault);
  if (detail === null) notifyFault(fault, { title });
  else notify({ kind: "error", title, detail });
}

function open(workflow: Workflow, options: OpenOptions): string {
  useUi.getState().setView("graph");
  const document = useDocuments.getState().open(workflow, options);
  if (workflow.ui.has("lesson")) void offerLesson(document);
  return document;
}

/** A workflow may bring a lesson of its own. */
async function offerLesson(document: string): Promise<void> {
  (await import("@/components/lessons/own")).offerOwnLesson(document);
}

// The server

/** Open a workflow that is saved on the server, today's or an older version. */
export async function openSaved(name: string, version?: number): Promise<string | null> {
  try {
    const isOld = version !== undefined;
    const { text, etag } = await getWorkflow(name, version);
    const workflow = readWorkflow(text);
    // An older version is a new document of that name: saving it asks before it replaces the newest.
    if (isOld) return open(workflow, { origin: "saved", reuse: false });
    return open(workflow, { origin: "saved", savedName: name, savedEtag: etag });
  } catch (fault) {
    tellFault(fault, t("files.openFailed", { name }));
    return null;
  }
}

/** Open a template as a new document, with the files that it needs brought to the server. */
export async function openTemplate(name: string): Promise<string | null> {
  try {
    const { data } = await read("text", "get", "/templates/{name}", { params: { path: { name } } });
    const workflow = await withTemplateFiles(name, readWorkflow(data));
    return open(workflow, { origin: "template" });
  } catch (fault) {
    tellFault(fault, t("files.openFailed", { name }));
    return null;
  }
}

/** Open the workflow that shows what a node type does, with its files brought to the server. */
export async function openExample(spec: NodeSpec): Promise<string | null> {
  try {
    const { type, example } = spec;
    const params = { path: { type } };
    const { data } = await read("text", "get", "/node-types/{type}/example", { params });
    const workflow = await withFiles(example?.needs ?? [], readWorkflow(data), (file) =>
      read("blob", "get", "/node-types/{type}/example/files/{file}", {
        params: { path: { type, file } },
        headers: ANY,
      }),
    );
    await bringFolders(type, example?.folders ?? []);
    return open(workflow, { origin: "template" });
  } catch (fault) {
    tellFault(fault, t("files.openFailed", { name: spec.label || spec.type }));
    return null;
  }
}

// Links

/** Open what the part of the page's address after # holds; false if it holds nothing. */
export async function openLink(hash: string): Promise<boolean> {
  const { holdsWorkflow, workflowOfLink } = await import("@/model/share");
  if (!holdsWorkflow(hash)) return false;
  try {
    const workflow = workflowOfLink(hash);
    if (workflow) open(workflow, { origin: "share" });
  } catch (fault) {
    tellFault(fault, t("files.linkFailed"));
  }
  return true;
}

// Files

/** Ask for files and open them. */
export async function openChosen(): Promise<void> {
  await openFiles(await chooseFiles());
}

/** Open files in tabs of their own. A picture without a workflow becomes a node, put at `at`. */
export async function openFiles(
  files: readonly ChosenFile[],
  at?: { readonly x: number; readonly y: number },
): Promise<void> {
  for (const chosen of files.slice(0, MOST_AT_ONCE)) await openFile(chosen, at);
  if (files.length > MOST_AT_ONCE) {
    notify({ kind: "warning", title: t("files.tooMany", { count: MOST_AT_ONCE }) });
  }
}

async function openFile(
  { file, handle }: ChosenFile,
  at?: { readonly x: number; readonly y: number },
): Promise<void> {
  const title = t("files.openFailed", { name: file.name });
  if (file.size > LARGEST) {
    notify({ kind: "error", title, detail: t("files.tooLarge") });
    return;
  }
  try {
    const { workflow } = await workflowIn(file);
    const isPicture = file.type.startsWith("image/");
    const known = handle && (await sameFile(handle));
    if (known) useDocuments.getState().activate(known);
    else open(workflow, isPicture ? { origin: "picture" } : { origin: "file", fileHandle: handle });
  } catch (fault) {
    const texts = textsToTranslate(fault) ?? (await settingsOnServer(fault, file));
    if (texts) await openTranslated(texts, file.name);
    else if (at && isPlainPicture(fault, file)) await placePicture(file, at);
    else tellFault(fault, title);
  }
}

/** The workflow that a file holds; of results that only the server reads, as it tells. */
async function workflowIn(file: File): Promise<FoundWorkflow> {
  const { workflowOfFile, workflowOfTexts } = await import("@/model/pictures");
  if (!READ_BY_SERVER.test(file.name)) {
    return workflowOfFile(new Uint8Array(await file.arrayBuffer()), file.name, file.type);
  }
  const { digest } = await upload(file);
  return workflowOfTexts(await uploadTexts(digest), file.name);
}

/** What another tool wrote into a picture, as the server reads it: in places that only it knows.
 *
 * Null where there is nothing, where it was another fault, or where the server can't be asked. */
async function settingsOnServer(fault: unknown, file: File): Promise<PictureFault["texts"]> {
  const { settingsOfTools } = await import("@/model/comfyui");
  if (!isPicture(file) || !isPictureFault(fault)) return null;
  if (fault.code === "damaged" || fault.code === "too-large") return null;
  try {
    const { digest } = await upload(file);
    return settingsOfTools(await uploadTexts(digest));
  } catch {
    return null; // then it is told what was wrong at first
  }
}

function isPicture({ type, name }: File): boolean {
  return type.startsWith("image/") || /\.(png|jpe?g|webp|avif)$/i.test(name);
}

/** Open a workflow of another tool's as a new document. */
async function openTranslated(
  texts: Readonly<Record<string, string>>,
  name: string,
): Promise<void> {
  const { tellTranslated, translated } = await import("./importing");
  try {
    const { workflow, report } = await translated(texts, name);
    const document = open(workflow, { origin: "import" });
    tellTranslated({ name, document, report });
  } catch (fault) {
    tellFault(fault, t("files.openFailed", { name }));
  }
}

/** What a file holds of ComfyUI's; null where it was another fault that kept it from being opened. */
function textsToTranslate(fault: unknown): PictureFault["texts"] {
  return isPictureFault(fault) ? fault.texts : null;
}

function isPictureFault(fault: unknown): fault is PictureFault {
  // By its name, as what reads pictures is fetched only when there is one to read.
  return fault instanceof Error && fault.name === "PictureFault";
}

/** The document that this very file is open in, unless it was changed since. */
async function sameFile(handle: FileSystemFileHandle): Promise<string | null> {
  for (const document of useDocuments.getState().documents) {
    if (await document.fileHandle?.isSameEntry?.(handle)) return document.id;
  }
  return null;
}

/** Open the text of a workflow file as a new document. */
export function openText(text: string, options: OpenOptions = {}): string | null {
  try {
    return open(readWorkflow(text), options);
  } catch (fault) {
    tellFault(fault, t("files.textFailed"));
    return null;
  }
}

/** Whether nothing was ever done in the open documents. */
export function isFresh(): boolean {
  return useDocuments.getState().documents.every(isUntouched);
}

export function titleOf(id: string, workflow: Workflow): string {
  return workflow.title || documentById(id)?.savedName || t("files.untitled");
}
