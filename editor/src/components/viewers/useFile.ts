/** The bytes of a file that a job gave, and JSON of them, as they come. */
import { useEffect, useState } from "react";
import { getArtifactBytes } from "@/api/files";
import { isAborted } from "@/api/http";
import type { ArtifactEntry } from "@/api/schema";

export type Fetched<T> =
  | { readonly state: "loading" }
  | { readonly state: "large"; readonly load: () => void }
  | { readonly state: "failed" }
  | { readonly state: "ready"; readonly value: T };

/** Bytes that are fetched without being asked for. */
const FREELY = 64 << 20;

/**
 * A file, made into something; what can't be made into it has failed.
 *
 * Args:
 *   made: Must stay the same function; may throw, and may give null for what it can't read.
 */
export function useFile<T>(
  artifact: Pick<ArtifactEntry, "digest" | "size">,
  made: (bytes: ArrayBuffer) => T | null | Promise<T | null>,
): Fetched<T> {
  const { digest, size } = artifact;
  const [wanted, setWanted] = useState<string | null>(null);
  const [found, setFound] = useState<{ digest: string; is: Fetched<T> } | null>(null);
  const isFree = size <= FREELY || wanted === digest;
  useEffect(() => {
    if (!isFree) return;
    const asking = new AbortController();
    const tell = (is: Fetched<T>) => !asking.signal.aborted && setFound({ digest, is });
    getArtifactBytes(digest, { signal: asking.signal })
      .then(made)
      .then((value) => tell(value === null ? { state: "failed" } : { state: "ready", value }))
      .catch((error) => isAborted(error) || tell({ state: "failed" }));
    return () => asking.abort();
  }, [digest, isFree, made]);
  if (!isFree) return { state: "large", load: () => setWanted(digest) };
  return found?.digest === digest ? found.is : { state: "loading" };
}
