/** Addresses of the pictures of layers, be they on the server already or still on their way. */
import { artifactAddress, pictureOf as uploaded } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { lastOutputs, useJobs } from "@/store/jobs";
import { pendingAddress } from "@/store/painting";

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
