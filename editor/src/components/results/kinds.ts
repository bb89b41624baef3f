/** Which results can be read by workflows again. */
import type { ArtifactEntry } from "@/api/schema";

/** What uploads take in as pictures. */
const PICTURES = /^image\/(png|jpeg|webp|gif)$/;

/** Whether a result is a picture that nodes can read. */
export function isReadable({ media_type }: Pick<ArtifactEntry, "media_type">): boolean {
  return PICTURES.test(media_type);
}
