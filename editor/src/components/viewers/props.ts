/** What every viewer of files is given. */
import type { ArtifactEntry } from "@/api/schema";

export interface ViewProps {
  readonly artifact: ArtifactEntry;
  /** Told the size of its pictures in pixels, if it has some. */
  readonly onSize?: ((size: { width: number; height: number }) => void) | undefined;
}
