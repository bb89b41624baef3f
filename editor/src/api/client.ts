// What the editor asks of the server, one function each.
import {
  API,
  ApiProblem,
  addressOf,
  bodyOf,
  isAborted,
  OfflineFault,
  problemFrom,
  type Query,
  type RequestOptions,
  request,
  send,
  tellLoginNeeded,
} from "./http";
import type {
  AppDetail,
  AppList,
  ArtifactEntry,
  ArtifactList,
  Board,
  BoardList,
  CarriedTexts,
  Checked,
  Cleared,
  CompactNodeTypeList,
  Deleted,
  EventList,
  InputFileEntry,
  InputList,
  JobDetail,
  JobEntry,
  JobGroup,
  JobList,
  ModelList,
  ModelWords,
  MoveBefore,
  MoveToEnd,
  NodeTypeHelpList,
  PlanEntry,
  PythonScript,
  QueueEntry,
  Refreshed,
  SavedAs,
  SavedList,
  ServerSettings,
  SettingsChange,
  SystemEntry,
  TagCounts,
  TemplateList,
  UploadEntry,
  UploadList,
  VersionList,
} from "./schema";

export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** A workflow's text with the digest that names this version of it. */
export interface WorkflowText {
  readonly text: string;
  readonly etag: string | null;
}

export type JobState = JobEntry["state"];

export interface JobFilter {
  readonly state?: readonly JobState[];
  readonly tag?: string;
  readonly text?: string;
  readonly client?: string;
  readonly created_after?: number;
  readonly created_before?: number;
}

export interface Page {
  readonly limit?: number;
  readonly cursor?: string | null;
}

// Jobs

export function listJobs(
  options: JobFilter & Page & Abortable & { readonly order?: "newest" | "oldest" } = {},
): Promise<JobList> {
  const { signal, ...query } = options;
  return request("GET", "/jobs", { query: query as Query, signal });
}

/** Of its parameters, whole numbers beyond 2^53 are bigints. */
export function getJob(id: string, { signal }: Abortable = {}): Promise<JobDetail> {
  return request("GET", jobPath(id), { signal, exact: true });
}

/** The workflow that a job ran, without the values of its parameters. */
export function getJobWorkflow(id: string, options: Abortable = {}): Promise<WorkflowText> {
  return workflowText(`${jobPath(id)}/workflow`, options);
}

/** Some events of a job; the next ones come after the `last` of these. */
export function listJobEvents(
  id: string,
  options: Abortable & { readonly after?: number; readonly limit?: number } = {},
): Promise<EventList> {
  const { signal, ...query } = options;
  return request("GET", `${jobPath(id)}/events`, { query, signal });
}

export function cancelJob(id: string): Promise<JobEntry> {
  return request("POST", `${jobPath(id)}/cancel`);
}

export function retryJob(id: string): Promise<JobEntry> {
  return request("POST", `${jobPath(id)}/retry`);
}

export function holdJob(id: string): Promise<JobEntry> {
  return request("POST", `${jobPath(id)}/hold`);
}

export function unholdJob(id: string): Promise<JobEntry> {
  return request("POST", `${jobPath(id)}/unhold`);
}

export function moveJob(id: string, to: MoveToEnd | MoveBefore): Promise<JobEntry> {
  return request("POST", `${jobPath(id)}/move`, { body: to });
}

export function prioritizeJob(id: string, priority: number): Promise<JobEntry> {
  return request("PATCH", jobPath(id), { body: { priority } });
}

export function deleteJob(
  id: string,
  options: Pick<RequestOptions, "keepalive"> = {},
): Promise<void> {
  return request("DELETE", jobPath(id), options);
}

export function deleteJobs(filter: JobFilter): Promise<Deleted> {
  return request("DELETE", "/jobs", { query: filter as Query });
}

/** The jobs of a table, one for each row. */
export interface RowsRequest {
  /** As its file has it. */
  readonly workflow: string;
  /** CSV, or a JSON object on each line. */
  readonly rows: string;
  readonly name: string;
  readonly tags: readonly string[];
}

/** @param key Of the jobs: with the same one they are made once, however often it is sent. */
export function submitRows({ workflow, ...others }: RowsRequest, key: string): Promise<JobGroup> {
  // Its text, as JavaScript's own JSON would lose what seeds say exactly.
  const rest = JSON.stringify(others).slice(1);
  return request("POST", "/jobs/rows", {
    text: `{"workflow": ${workflow}, ${rest}`,
    headers: { "idempotency-key": key },
  });
}

// The queue

export function getQueue(limit = 100, { signal }: Abortable = {}): Promise<QueueEntry> {
  return request("GET", "/queue", { query: { limit }, signal });
}

export function pauseQueue(): Promise<QueueEntry> {
  return request("POST", "/queue/pause");
}

export function resumeQueue(): Promise<QueueEntry> {
  return request("POST", "/queue/resume");
}

/** Cancel what waits. */
export function clearQueue(query: { client?: string; tag?: string } = {}): Promise<Cleared> {
  return request("POST", "/queue/clear", { query });
}

// Saved workflows

export function listWorkflows(
  options: Page & Abortable & { readonly text?: string } = {},
): Promise<SavedList> {
  const { signal, ...query } = options;
  return request("GET", "/workflows", { query, signal });
}

export function getWorkflow(
  name: string,
  options: Abortable & { readonly version?: number } = {},
): Promise<WorkflowText> {
  const version = options.version === undefined ? "" : `/versions/${options.version}`;
  return workflowText(`${workflowPath(name)}${version}`, options);
}

/** Save it.
 *
 * Args:
 *   text: As its file has it (`writeWorkflow`).
 *   over: Tag of the version that it takes the place of; "new" if there is to be none of its
 *     name; null: whatever there is. If it isn't so, the fault's status is 412. */
export async function saveWorkflow(
  name: string,
  text: string,
  over: string | "new" | null,
): Promise<SavedAs & { readonly etag: string }> {
  const headers: Record<string, string> =
    over === null ? {} : over === "new" ? { "if-none-match": "*" } : { "if-match": over };
  const answer = await send("PUT", workflowPath(name), { text, headers });
  const saved = JSON.parse(await bodyOf(answer)) as SavedAs;
  return { ...saved, etag: answer.headers.get("etag") ?? `"${saved.digest}"` };
}

export function deleteWorkflow(name: string, etag: string | null = null): Promise<void> {
  return request("DELETE", workflowPath(name), {
    headers: etag === null ? {} : { "if-match": etag },
  });
}

export function listVersions(name: string, { signal }: Abortable = {}): Promise<VersionList> {
  return request("GET", `${workflowPath(name)}/versions`, { signal });
}

// Templates

export function listTemplates({ signal }: Abortable = {}): Promise<TemplateList> {
  return request("GET", "/templates", { signal });
}

export function getTemplate(name: string, options: Abortable = {}): Promise<WorkflowText> {
  return workflowText(`/templates/${encodeURIComponent(name)}`, options);
}

export function getExample(type: string, options: Abortable = {}): Promise<WorkflowText> {
  return workflowText(examplePath(type), options);
}

/** Where the server has the workflow that shows what a node type does. */
export function examplePath(type: string): string {
  return `/node-types/${encodeURIComponent(type)}/example`;
}

// Artifacts

export interface ArtifactFilter {
  readonly job?: string;
  readonly kind?: string;
  readonly text?: string;
  /** Of several with the same bytes only the newest. */
  readonly distinct?: boolean;
  /** Id of a board. */
  readonly board?: string;
  /** Those in the trash; only the others if not given. */
  readonly trashed?: boolean;
}

export function listArtifacts(
  options: ArtifactFilter & Page & Abortable = {},
): Promise<ArtifactList> {
  const { signal, ...query } = options;
  return request("GET", "/artifacts", { query: query as Query, signal });
}

export function deleteArtifact(digest: string, job?: string): Promise<void> {
  return request("DELETE", `/artifacts/${encodeURIComponent(digest)}`, { query: { job } });
}

/** One labelled image of several results. */
export interface GridRequest {
  /** Digests, from the top; null for none. */
  readonly rows: readonly (readonly (string | null)[])[];
  readonly column_labels: readonly string[];
  readonly row_labels: readonly string[];
  readonly title?: string;
  /** Pixels of a cell's side. */
  readonly cell: number;
  readonly format: "png" | "webp" | "jpeg";
}

export async function drawGrid(grid: GridRequest): Promise<Blob> {
  const answer = await send("POST", "/artifacts/grid", {
    body: grid,
    headers: { accept: "*/*" },
  });
  return answer.blob();
}

export function artifactAddress(digest: string, options: { download?: boolean } = {}): string {
  const query = options.download ? { download: true } : {};
  return addressOf(`/artifacts/${encodeURIComponent(digest)}`, query);
}

/** A result as text. */
export async function getArtifactText(digest: string, { signal }: Abortable = {}): Promise<string> {
  const path = `/artifacts/${encodeURIComponent(digest)}`;
  return bodyOf(await send("GET", path, { headers: { accept: "*/*" }, signal }));
}

/** A result's bytes, or those from one place until another. */
export async function getArtifactBytes(
  digest: string,
  { signal, from, until }: Abortable & { readonly from?: number; readonly until?: number } = {},
): Promise<ArrayBuffer> {
  const path = `/artifacts/${encodeURIComponent(digest)}`;
  const part = until === undefined ? {} : { range: `bytes=${from ?? 0}-${until - 1}` };
  const answer = await send("GET", path, { headers: { accept: "*/*", ...part }, signal });
  try {
    return await answer.arrayBuffer();
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new OfflineFault(undefined, { cause: error });
  }
}

export function thumbnailAddress(
  artifact: ArtifactEntry,
  size: 128 | 256 | 512 = 256,
): string | null {
  return artifact.thumbnail === null ? null : `${artifact.thumbnail}?size=${size}`;
}

// What people note of results

export interface MarkChange {
  /** 0 to 5. */
  readonly stars?: number;
  readonly add_tags?: readonly string[];
  readonly remove_tags?: readonly string[];
  readonly note?: string | null;
  /** Id of a board; null takes them off theirs. */
  readonly board?: string | null;
}

/** Digests that one request may name. */
export const MOST_MARKED = 1000;

export function markArtifacts(digests: readonly string[], change: MarkChange): Promise<unknown> {
  return request("PATCH", "/library", { body: { digests, ...change } });
}

export function trashArtifacts(digests: readonly string[]): Promise<unknown> {
  return request("POST", "/library/trash", { body: { digests } });
}

export function restoreArtifacts(digests: readonly string[]): Promise<unknown> {
  return request("POST", "/library/restore", { body: { digests } });
}

export function emptyTrash(): Promise<unknown> {
  return request("DELETE", "/library/trash");
}

/** The tags in use, and how many results have each. */
export function listTags({ signal }: Abortable = {}): Promise<TagCounts> {
  return request("GET", "/library/tags", { signal });
}

export function listBoards({ signal }: Abortable = {}): Promise<BoardList> {
  return request("GET", "/library/boards", { signal });
}

export function addBoard(name: string): Promise<Board> {
  return request("POST", "/library/boards", { body: { name } });
}

export function renameBoard(id: string, name: string): Promise<Board> {
  return request("PATCH", `/library/boards/${encodeURIComponent(id)}`, { body: { name } });
}

/** Its results stay. */
export function deleteBoard(id: string): Promise<void> {
  return request("DELETE", `/library/boards/${encodeURIComponent(id)}`);
}

// Uploads

export interface UploadOptions extends Abortable {
  /** How much of it was sent, 0 to 1. */
  readonly onProgress?: (part: number) => void;
  /** Of a file that has none, or another one than its own. */
  readonly name?: string;
}

/** Bring a file to the server; its `value` is what an input of a workflow is given. */
export function upload(file: Blob, options: UploadOptions = {}): Promise<UploadEntry> {
  const name = options.name ?? (file instanceof File ? file.name : "file");
  return new Promise((resolve, reject) => {
    // fetch doesn't tell how much was sent.
    const request = new XMLHttpRequest();
    const { signal, onProgress } = options;
    const stop = () => request.abort();
    request.open("POST", addressOf("/uploads", { name }));
    request.setRequestHeader("content-type", "application/octet-stream");
    request.setRequestHeader("accept", "application/json");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) onProgress?.(event.loaded / event.total);
    };
    request.onload = () => settle(request, resolve, reject);
    request.onerror = () => reject(new OfflineFault());
    request.onabort = () => reject(new DOMException("the upload was stopped", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener("abort", stop);
    request.send(file);
  });
}

function settle(
  request: XMLHttpRequest,
  resolve: (entry: UploadEntry) => void,
  reject: (error: Error) => void,
): void {
  const found = parsed(request.responseText);
  if (request.status >= 200 && request.status < 300 && found !== null) {
    resolve(found as UploadEntry);
    return;
  }
  if (request.status === 401) tellLoginNeeded();
  reject(problemFrom(request.status, found));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Have what a job gave stand as an upload, so that workflows may read it: nothing is sent for that. */
export function uploadArtifact(digest: string): Promise<UploadEntry> {
  return request("POST", `/uploads/artifacts/${encodeURIComponent(digest)}`);
}

/** A frame of a video, by the seconds at which it is shown or by its number, as an uploaded PNG. */
export type FrameAt = { readonly time: number } | { readonly index: number };

export function uploadFrame(digest: string, at: FrameAt): Promise<UploadEntry> {
  return request("POST", `/artifacts/${encodeURIComponent(digest)}/frame`, { body: at });
}

export function listUploads(options: Page & Abortable = {}): Promise<UploadList> {
  const { signal, ...query } = options;
  return request("GET", "/uploads", { query: query as Query, signal });
}

export function deleteUpload(digest: string): Promise<void> {
  return request("DELETE", `/uploads/${digest}`);
}

/** What lies in the server's inputs folder, the newest first. */
export function listInputs({ signal }: Abortable = {}): Promise<InputList> {
  return request("GET", "/inputs", { signal });
}

/** An address of a picture of a file of that folder: another one once the file has changed. */
export function inputPicture({ path, modified }: InputFileEntry, size?: 128 | 256 | 512): string {
  const of = `path=${encodeURIComponent(path)}&v=${modified}`;
  return size === undefined
    ? `${API}/inputs/file?${of}`
    : `${API}/inputs/thumbnail?${of}&size=${size}`;
}

/** The texts that an uploaded file carries, by name: the workflow that made it, if it has one. */
export async function uploadTexts(
  digest: string,
  options: Abortable = {},
): Promise<ReadonlyMap<string, string>> {
  const { texts } = await request<CarriedTexts>("GET", `/uploads/${digest}/texts`, options);
  return new Map(Object.entries(texts));
}

const UPLOAD = /^upload:([0-9a-f]{64})(?:\/|$)/;

/** The digest of the upload that an input's value names; null if it names none. */
export function uploadDigest(value: unknown): string | null {
  return (typeof value === "string" && UPLOAD.exec(value)?.[1]) || null;
}

/** An address of the picture that an input's value names; null if the server gives it to nobody. */
export function pictureOf(value: unknown, size?: 128 | 256 | 512): string | null {
  const digest = uploadDigest(value);
  if (digest === null) return null;
  return size === undefined
    ? `${API}/uploads/${digest}`
    : `${API}/uploads/${digest}/thumbnail?size=${size}`;
}

// Node types, models

export interface Tagged<T> {
  readonly value: T;
  readonly etag: string | null;
}

/** All node types without their help texts; null if they are still those of the tag. */
export async function listNodeTypes(
  known: string | null = null,
  { signal }: Abortable = {},
): Promise<Tagged<CompactNodeTypeList> | null> {
  const headers: Record<string, string> = known === null ? {} : { "if-none-match": known };
  const answer = await send("GET", "/node-types/compact", { headers, signal });
  if (answer.status === 304) return null;
  const value = JSON.parse(await bodyOf(answer)) as CompactNodeTypeList;
  return { value, etag: answer.headers.get("etag") };
}

export function listNodeHelp({ signal }: Abortable = {}): Promise<NodeTypeHelpList> {
  return request("GET", "/node-types/help", { signal });
}

export function listModels({ signal }: Abortable = {}): Promise<ModelList> {
  return request("GET", "/models", { signal });
}

/** Words that a model's text encoder knows, the most common first. */
export function getModelWords(name: string): Promise<ModelWords> {
  return request("GET", "/models/words", { query: { name } });
}

// Checks; while editing, the socket's are better, as newer ones take the place of older ones

export interface WorkflowQuestion {
  readonly workflow: unknown;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly targets?: readonly string[];
}

export function validateWorkflow(
  asked: WorkflowQuestion,
  options: Abortable = {},
): Promise<Checked> {
  return request("POST", "/validate", { body: asked, signal: options.signal });
}

/** `workflow` is its file's text. */
export function planWorkflow(workflow: string, { signal }: Abortable = {}): Promise<PlanEntry> {
  return request("POST", "/plan", { text: `{"workflow": ${workflow}}`, signal });
}

/** The Python script that builds a workflow; `workflow` is its file's text. */
export async function pythonScript(workflow: string): Promise<string> {
  const found: PythonScript = await request("POST", "/script", {
    text: `{"workflow": ${workflow}}`,
  });
  return found.text;
}

/** Have a workflow of ComfyUI translated; gives the answer's text, as its seeds are of 64 bits. */
export async function importWorkflow(texts: Readonly<Record<string, string>>): Promise<string> {
  return bodyOf(await send("POST", "/import", { body: { texts } }));
}

// Styles and tag lists of prompts

/** Pieces of text around the prompts, as the server keeps them. */
export interface ServerStyle {
  readonly name: string;
  readonly prompt: string;
  readonly negative_prompt: string;
}

export interface TagListEntry {
  readonly name: string;
  readonly tags: number;
}

export function getStyles(): Promise<{ readonly items: readonly ServerStyle[] }> {
  return request("GET", "/styles");
}

export function putStyles(items: readonly ServerStyle[]): Promise<unknown> {
  return request("PUT", "/styles", { body: { items } });
}

export function listTagLists(): Promise<{ readonly items: readonly TagListEntry[] }> {
  return request("GET", "/tag-lists");
}

export async function getTagList(name: string): Promise<string> {
  return bodyOf(await send("GET", `/tag-lists/${encodeURIComponent(name)}`));
}

export function putTagList(name: string, csv: string | Blob): Promise<TagListEntry> {
  const path = `/tag-lists/${encodeURIComponent(name)}`;
  return request("PUT", path, { text: csv, type: "text/csv" });
}

export function deleteTagList(name: string): Promise<void> {
  return request("DELETE", `/tag-lists/${encodeURIComponent(name)}`);
}

// Apps

export function listApps(options: Page & Abortable = {}): Promise<AppList> {
  const { signal, ...query } = options;
  return request("GET", "/apps", { query: query as Query, signal });
}

export function getApp(name: string, { signal }: Abortable = {}): Promise<AppDetail> {
  return request("GET", `/apps/${encodeURIComponent(name)}`, { signal });
}

// The server

export function getSystem({ signal }: Abortable = {}): Promise<SystemEntry> {
  return request("GET", "/system", { signal });
}

/** Have it look at the node packs anew. */
export function refreshPacks(): Promise<Refreshed> {
  return request("POST", "/system/refresh");
}

interface SecretNames {
  readonly secrets: readonly { readonly name: string; readonly hosts: readonly string[] }[];
}

/** Names and hosts of the keys that nodes can use; values stay on the server. */
export function listSecrets({ signal }: Abortable = {}): Promise<SecretNames> {
  return request("GET", "/secrets", { signal });
}

export function getSettings({ signal }: Abortable = {}): Promise<ServerSettings> {
  return request("GET", "/settings", { signal });
}

export function changeSettings(change: SettingsChange): Promise<ServerSettings> {
  return request("PATCH", "/settings", { body: change });
}

/** Whether a fault says that what was asked for isn't there, or not any more. */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiProblem && (error.status === 404 || error.status === 410);
}

function jobPath(id: string): string {
  return `/jobs/${encodeURIComponent(id)}`;
}

function workflowPath(name: string): string {
  return `/workflows/${encodeURIComponent(name)}`;
}

/** Texts, as JavaScript's own JSON would lose what numbers say exactly. */
async function workflowText(path: string, { signal }: Abortable): Promise<WorkflowText> {
  const answer = await send("GET", path, { signal });
  return { text: await bodyOf(answer), etag: answer.headers.get("etag") };
}
