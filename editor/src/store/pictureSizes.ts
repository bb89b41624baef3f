/** How large pictures are that inputs name: by that the canvas knows what its layers cover. */
import { listUploads, uploadDigest } from "@/api/client";

export interface Size {
  readonly width: number;
  readonly height: number;
}

const MOST = 500;
const sizes = new Map<string, Size>();
let hasAsked = false;

/** Pixels of the picture that a value names; null where that isn't known, or not yet. */
export function knownSize(value: string): Size | null {
  const digest = uploadDigest(value);
  if (digest === null) return null;
  const known = sizes.get(digest);
  if (known === undefined && !hasAsked) {
    hasAsked = true;
    void learnSizes();
  }
  return known ?? null;
}

export function rememberSize(value: string, size: Size): void {
  const digest = uploadDigest(value);
  if (digest !== null) sizes.set(digest, size);
}

/** Those of what was uploaded last, once for a page: all others come with what is done here. */
async function learnSizes(): Promise<void> {
  const { items } = await listUploads({ limit: MOST }).catch(() => ({ items: [] }));
  for (const { digest, width, height } of items) {
    if (width !== null && height !== null && !sizes.has(digest))
      sizes.set(digest, { width, height });
  }
}
