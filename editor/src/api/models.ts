/** The server's models: what is known of them, and where more come from. */
import type { Abortable } from "./client";
import { request } from "./http";
import type {
  DownloadList,
  DownloadOfferEntry,
  DownloadRequest,
  LinkedFolderEntry,
  LinkedFolders,
  MissingModelEntry,
  ModelDownloadEntry,
  ModelRecordEntry,
  ModelUpdateEntry,
  ModelUsesEntry,
  OfferedModelEntry,
  OfferList,
  RecordChange,
  StarterModelEntry,
  VerifiedFileEntry,
} from "./schema";

export function getModelRecord(
  name: string,
  { signal }: Abortable = {},
): Promise<ModelRecordEntry> {
  return request("GET", "/models/record", { query: { name }, signal });
}

export function changeModelRecord(name: string, change: RecordChange): Promise<ModelRecordEntry> {
  return request("PATCH", "/models/record", { query: { name }, body: change });
}

/** Give it another name in its models folder; gives the name that it has then. */
export async function moveModel(name: string, to: string): Promise<string> {
  const moved = await request<{ readonly name: string }>("POST", "/models/record/move", {
    body: { name, new: to },
  });
  return moved.name;
}

export function removeModel(name: string): Promise<void> {
  return request("DELETE", "/models/record", { query: { name } });
}

export function setModelPicture(name: string, picture: Blob): Promise<void> {
  return request("PUT", "/models/picture", { query: { name }, text: picture, type: picture.type });
}

export function removeModelPicture(name: string): Promise<void> {
  return request("DELETE", "/models/picture", { query: { name } });
}

/** Where it is used: asked before it is removed. */
export function getModelUses(name: string): Promise<ModelUsesEntry> {
  return request("GET", "/models/uses", { query: { name } });
}

/** Compare its files with the digests that its source stated. */
export async function verifyModel(name: string): Promise<readonly VerifiedFileEntry[]> {
  const found = await request<{ readonly files: readonly VerifiedFileEntry[] }>(
    "POST",
    "/models/verify",
    { query: { name } },
  );
  return found.files;
}

/** Fill in what Civitai knows of it. */
export function lookUpModel(name: string): Promise<ModelRecordEntry> {
  return request("POST", "/models/lookup", { query: { name } });
}

export function findModelUpdate(name: string): Promise<ModelUpdateEntry> {
  return request("GET", "/models/update", { query: { name } });
}

// Folders of other programs

export async function listModelLinks({
  signal,
}: Abortable = {}): Promise<readonly LinkedFolderEntry[]> {
  return (await request<LinkedFolders>("GET", "/models/links", { signal })).items;
}

/** Use the models of a folder where they are; gives all such folders. */
export async function addModelLink(path: string): Promise<readonly LinkedFolderEntry[]> {
  return (await request<LinkedFolders>("POST", "/models/links", { body: { path } })).items;
}

/** Use a folder no more; its files stay. */
export function removeModelLink(folder: string): Promise<void> {
  return request("DELETE", "/models/links", { query: { folder } });
}

// Where more come from

export async function listStarters({
  signal,
}: Abortable = {}): Promise<readonly StarterModelEntry[]> {
  const found = await request<{ readonly items: readonly StarterModelEntry[] }>(
    "GET",
    "/models/starter",
    { signal },
  );
  return found.items;
}

export interface ModelSearch {
  readonly text: string;
  readonly kind?: string | null;
  readonly source?: string | null;
}

export async function searchModels(
  { text, kind, source }: ModelSearch,
  { signal }: Abortable = {},
): Promise<readonly OfferedModelEntry[]> {
  const found = await request<OfferList>("GET", "/models/search", {
    query: { text, kind, source },
    signal,
  });
  return found.items;
}

/** What a workflow lacks; `workflow` is its file's text. */
export async function missingModelsOf(
  workflow: string,
  { signal }: Abortable = {},
): Promise<readonly MissingModelEntry[]> {
  const found = await request<{ readonly items: readonly MissingModelEntry[] }>(
    "POST",
    "/models/missing",
    { text: `{"workflow": ${workflow}}`, signal },
  );
  return found.items;
}

export async function listDownloads({
  signal,
}: Abortable = {}): Promise<readonly ModelDownloadEntry[]> {
  return (await request<DownloadList>("GET", "/models/downloads", { signal })).items;
}

export function planDownload(
  asked: DownloadRequest,
  { signal }: Abortable = {},
): Promise<DownloadOfferEntry> {
  return request("POST", "/models/downloads/plan", { body: asked, signal });
}

export function startDownload(asked: DownloadRequest): Promise<ModelDownloadEntry> {
  return request("POST", "/models/downloads", { body: asked });
}

export function pauseDownload(id: string): Promise<ModelDownloadEntry> {
  return request("POST", `/models/downloads/${encodeURIComponent(id)}/pause`);
}

export function resumeDownload(id: string): Promise<ModelDownloadEntry> {
  return request("POST", `/models/downloads/${encodeURIComponent(id)}/resume`);
}

export function cancelDownload(id: string): Promise<void> {
  return request("DELETE", `/models/downloads/${encodeURIComponent(id)}`);
}
