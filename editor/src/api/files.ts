/** Files of the server: what jobs gave, what was uploaded, and its inputs folder. */
import { type Abortable, api, type BodyOf, read } from "./client";
import { API, addressOf, OfflineFault, problemFrom, tellLoginNeeded } from "./http";
import type { ArtifactEntry, InputFileEntry, UploadEntry } from "./schema";

/** Headers of a request for files. */
export const ANY = { accept: "*/*" };

// What jobs gave

/** One labelled image of several results: rows of digests, from the top; null for none. */
export type GridRequest = BodyOf<"post", "/artifacts/grid">;

export async function drawGrid(body: GridRequest): Promise<Blob> {
  return (await read("blob", "post", "/artifacts/grid", { body, headers: ANY })).data;
}

export function artifactAddress(digest: string, options: { download?: boolean } = {}): string {
  const query = options.download ? { download: true } : {};
  return addressOf(`/artifacts/${encodeURIComponent(digest)}`, query);
}

/** An address of a copy that the server signs when it is fetched. */
export function signedAddress(digest: string): string {
  return addressOf(`/artifacts/${encodeURIComponent(digest)}/signed`);
}

/** A result as text. */
export async function getArtifactText(digest: string, { signal }: Abortable = {}): Promise<string> {
  const options = { params: { path: { digest } }, headers: ANY, signal };
  return (await read("text", "get", "/artifacts/{digest}", options)).data;
}

/** A result's bytes, or those from one place until another. */
export async function getArtifactBytes(
  digest: string,
  { signal, from, until }: Abortable & { readonly from?: number; readonly until?: number } = {},
): Promise<ArrayBuffer> {
  const part = until === undefined ? {} : { range: `bytes=${from ?? 0}-${until - 1}` };
  const options = { params: { path: { digest } }, headers: { ...ANY, ...part }, signal };
  return (await read("arrayBuffer", "get", "/artifacts/{digest}", options)).data;
}

export function thumbnailAddress(
  artifact: ArtifactEntry,
  size: 128 | 256 | 512 = 256,
): string | null {
  return artifact.thumbnail === null ? null : `${artifact.thumbnail}?size=${size}`;
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
  return api.POST("/uploads/artifacts/{digest}", { params: { path: { digest } } });
}

/** An address of a picture of a file of that folder: another one once the file has changed. */
export function inputPicture({ path, modified }: InputFileEntry, size?: 128 | 256 | 512): string {
  const of = `path=${encodeURIComponent(path)}&v=${modified}`;
  return size === undefined
    ? `${API}/inputs/file?${of}`
    : `${API}/inputs/thumbnail?${of}&size=${size}`;
}

/** The texts that an uploaded file carries, by name: the workflow that made it, if it has one. */
export async function uploadTexts(digest: string): Promise<ReadonlyMap<string, string>> {
  const { texts } = await api.GET("/uploads/{digest}/texts", { params: { path: { digest } } });
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
