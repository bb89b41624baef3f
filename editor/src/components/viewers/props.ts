/** What every viewer of files is given. */
import type { ArtifactEntry } from "@/api/schema";

export interface ViewProps {
  readonly artifact: ArtifactEntry;
  /** Told the size of its pictures in pixels, if it has some. */
  /** It is left, as what is done with the file shows something else. */
  readonly onLeave?: (() => void) | undefined;
  readonly onSize?: ((size: { width: number; height: number }) => void) | undefined;
}
