/** Saving a document: on the server under a name, or into a file. Nobody else's work is overwritten silently. */

import { ApiProblem, OfflineFault } from "@/api/http";
import { getWorkflow, saveWorkflow } from "@/api/workflows";
import { download } from "@/components/shell/download";
import { t } from "@/i18n";
import { setMeta } from "@/model/edits";
import { type Workflow, writeWorkflow } from "@/model/workflow";
import { mayRun, useConnection } from "@/store/connection";
import { currentWorkflow, documentById, useDocuments } from "@/store/documents";
import { beginAnew, isLive, saveDraft } from "@/store/drafts";
import { notify, notifyFault } from "@/store/notices";
import { choose, useUi } from "@/store/ui";
import { canWriteFiles, chooseTarget, fileName, writeTo } from "./fileTypes";
import { openSaved, titleOf } from "./opening";

/** Documents that are being saved: a second press of the key waits for the first. */
const saving = new Map<string, Promise<void>>();

/** Save where it was saved before, or ask where. */
export function save(id: string): Promise<void> {
  const before = saving.get(id) ?? Promise.resolve();
  const now = before.then(() => saveAgain(id));
  saving.set(id, now);
  return now.finally(() => {
    if (saving.get(id) === now) saving.delete(id);
  });
}

async function saveAgain(id: string): Promise<void> {
  const document = documentById(id);
  if (!document) return;
  if (document.fileHandle) await saveIntoFile(id, document.fileHandle);
  else if (document.savedName && mayRun(useConnection.getState()))
    await saveAsBefore(id, document.savedName, document.savedEtag);
  else askWhere(id);
}

/** The draft, which all windows share, becomes a version; without one, what is here does. */
async function saveAsBefore(id: string, name: string, etag: string | null): Promise<void> {
  if (!isLive(id) || !(await saveShared(id, name))) await saveOnServer(id, name, etag);
}

/** Save a document's draft; false if the server has none, or not all of what is here. */
async function saveShared(id: string, name: string, over = false): Promise<boolean> {
  try {
    const saved = await saveDraft(id, over);
    if (saved === null) return false;
    useDocuments.getState().markSaved(id, { name, etag: saved.etag, fileHandle: null });
    tellSaved(id, name, saved.version);
  } catch (fault) {
    if (fault instanceof OfflineFault) return false;
    if (fault instanceof ApiProblem && fault.status === 412)
      await settle(id, name, null, undefined);
    else notifyFault(fault, { title: t("files.saveFailed", { name }), key: `saved ${id}` });
  }
  return true;
}

function tellSaved(id: string, name: string, version: number): void {
  const detail = version > 1 ? t("files.version", { version }) : undefined;
  notify({ kind: "success", title: t("files.saved", { name }), detail, key: `saved ${id}` });
}

export function askWhere(id: string): void {
  useUi.getState().openDialog("saveAs", { document: id });
}

/** What came of saving on the server. */
export type Saved = "saved" | "other" | "open" | "not";

/**
 * Save under a name.
 *
 * `over` is the tag of the version that it takes the place of, "new" if there is to be none of that
 * name, null for whatever there is. If it isn't so the person is asked; "other" means that they
 * want another name. `title`: what it is called from then on.
 */
export async function saveOnServer(
  id: string,
  name: string,
  over: string | "new" | null,
  title?: string,
): Promise<Saved> {
  const document = documentById(id);
  if (!document) return "not";
  const before = document.history.current;
  const workflow = titled(currentWorkflow(document), title);
  try {
    const { etag, version } = await saveWorkflow(name, writeWorkflow(workflow), over);
    const entry = retitled(id, before, title);
    if (document.savedName !== name) beginAnew(id, name);
    useDocuments.getState().markSaved(id, { name, etag, fileHandle: null, entry });
    tellSaved(id, name, version);
    return "saved";
  } catch (fault) {
    if (fault instanceof ApiProblem && fault.status === 412) return settle(id, name, over, title);
    const failed = t("files.saveFailed", { name: titleOf(id, workflow) });
    notifyFault(fault, { title: failed, key: `saved ${id}` });
    return "not";
  }
}

function titled(workflow: Workflow, title: string | undefined): Workflow {
  return title === undefined ? workflow : setMeta(workflow, { title });
}

/** Call a document as it was saved; gives what of its history was saved. */
function retitled(id: string, saved: number, title: string | undefined): number {
  const { change } = useDocuments.getState();
  const isSame = documentById(id)?.history.current === saved;
  change("shell.renamed", (workflow) => titled(workflow, title), { document: id });
  // What was done meanwhile isn't saved.
  return isSame ? (documentById(id)?.history.current ?? saved) : saved;
}

/** Somebody else saved under this name: the person says what is to be done. */
async function settle(
  id: string,
  name: string,
  over: string | null,
  title: string | undefined,
): Promise<Saved> {
  const isNew = over === "new";
  const answer = await choose({
    title: t(isNew ? "files.takenTitle" : "files.conflictTitle"),
    detail: t(isNew ? "files.takenDetail" : "files.conflictDetail", { name }),
    confirm: t("files.replace"),
    danger: true,
    others: [
      { id: "other", label: t("files.otherName") },
      { id: "open", label: t("files.openTheirs") },
      isNew
        ? { id: "compare", label: t("files.compareTheirs") }
        : { id: "merge", label: t("files.mergeTheirs") },
    ],
  });
  if (answer === "compare" || answer === "merge") {
    return settleByView(id, name, over, title, answer);
  }
  if (answer === "confirm") {
    const isShared = title === undefined && documentById(id)?.savedName === name && isLive(id);
    if (isShared && (await saveShared(id, name, true))) return "saved";
    return saveOnServer(id, name, null, title);
  }
  if (answer === "other") {
    askWhere(id);
    return "other";
  }
  if (answer !== "open") return "not";
  // Its tab keeps what the person did, under no name any more.
  useDocuments.setState(({ documents }) => ({
    documents: documents.map((document) =>
      document.id === id
        ? { ...document, savedName: null, savedEtag: null, shared: null }
        : document,
    ),
  }));
  const opened = await openSaved(name);
  if (opened !== null) beginAnew(opened);
  return "open";
}

/** Show both, or merge them; then save what came of it, or ask again. */
async function settleByView(
  id: string,
  name: string,
  over: string | null,
  title: string | undefined,
  answer: "compare" | "merge",
): Promise<Saved> {
  try {
    const { compareWithSaved, mergeWithSaved } = await import("@/components/comparison/conflict");
    if (answer === "compare") await compareWithSaved(id, name);
    else {
      const merged = await mergeWithSaved(id, name);
      if (merged !== null) return saveMerged(id, name, merged, title);
    }
  } catch (fault) {
    notifyFault(fault, { title: t("comparison.failed"), key: `saved ${id}` });
  }
  return settle(id, name, over, title);
}

/** Save a merge over the version that it contains; a newer one is a conflict again. */
async function saveMerged(
  id: string,
  name: string,
  etag: string,
  title: string | undefined,
): Promise<Saved> {
  const isShared = title === undefined && documentById(id)?.savedName === name && isLive(id);
  if (isShared && (await getWorkflow(name)).etag === etag && (await saveShared(id, name, true)))
    return "saved";
  return saveOnServer(id, name, etag, title);
}

/** Save into a file of the person's machine: a chosen one, else a download. */
export async function saveFile(id: string): Promise<boolean> {
  const document = documentById(id);
  if (!document) return false;
  const workflow = currentWorkflow(document);
  const name = fileName(titleOf(id, workflow), "json");
  if (!canWriteFiles()) {
    const entry = document.history.current;
    download(name, writeWorkflow(workflow));
    useDocuments.getState().markSaved(id, { entry });
    return true;
  }
  const handle = await chooseTarget(name);
  return handle !== null && saveIntoFile(id, handle);
}

async function saveIntoFile(id: string, handle: FileSystemFileHandle): Promise<boolean> {
  const document = documentById(id);
  if (!document) return false;
  const entry = document.history.current;
  try {
    await writeTo(handle, writeWorkflow(currentWorkflow(document)));
    useDocuments.getState().markSaved(id, { fileHandle: handle, name: null, etag: null, entry });
    notify({ kind: "success", title: t("files.saved", { name: handle.name }), key: `saved ${id}` });
    return true;
  } catch (fault) {
    notify({
      kind: "error",
      title: t("files.saveFailed", { name: handle.name }),
      detail: t(isDenied(fault) ? "files.fileDenied" : "files.fileGone"),
      key: `saved ${id}`,
      action: { label: t("files.saveElsewhere"), run: () => void saveFile(id) },
    });
    return false;
  }
}

function isDenied(fault: unknown): boolean {
  return fault instanceof DOMException && fault.name === "NotAllowedError";
}
