/** Addresses of the pictures of layers, be they on the server already or still on their way. */
import { artifactAddress, pictureOf as uploaded } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import type { PaintLayer } from "@/model/painting";
import { type Jobs, jobsOfDocument, lastOutputs, useJobs } from "@/store/jobs";
import { pendingAddress } from "@/store/outbox";
import type { StageProps } from "./stage/stageProps";

export function addressOf(value: string): string {
  return pendingAddress(value) ?? uploaded(value) ?? "";
}

export function thumbnailOf(value: string): string {
  return pendingAddress(value) ?? uploaded(value, 128) ?? "";
}

/** The newest picture that a node made for a document. */
export function pictureMadeBy(document: string, node: string): string | null {
  const outputs = lastOutputs(useJobs.getState(), document).get(node) ?? [];
  const picture = outputs.findLast(isPicture);
  return picture ? artifactAddress(picture.digest) : null;
}

export function isPicture({ media_type }: ArtifactEntry): boolean {
  return media_type.startsWith("image/");
}

/** How far the running job of a document is, and what it looks like so far; null if none runs. */
export function progressOf(jobs: Jobs, document: string): StageProps["progress"] {
  const job = jobsOfDocument(jobs, document).find(({ state }) => state === "running");
  if (!job) return null;
  const preview = [...job.nodes.values()].find((node) => node.preview !== null)?.preview ?? null;
  return { preview, share: job.progress };
}

/** What the file of a layer's picture is called. */
export function pictureName({ title, kind }: Pick<PaintLayer, "title" | "kind">): string {
  const plain = title
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim();
  return `${plain === "" ? kind : plain.slice(0, 60)}.png`;
}
