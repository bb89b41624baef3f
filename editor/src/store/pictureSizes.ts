/** How large pictures are that inputs name: by that the canvas knows what its layers cover. */
import { api } from "@/api/client";
import { uploadDigest } from "@/api/files";

export interface Size {
  readonly width: number;
  readonly height: number;
}

const MOST = 500;
const sizes = new Map<string, Size>();
/** Digests that the server was asked about: of a picture that it doesn't know it isn't asked again. */
const asked = new Set<string>();
let isAsking = false;

/** Pixels of the picture that a value names; null where that isn't known, or not yet. */
export function knownSize(value: string): Size | null {
  const digest = uploadDigest(value);
  if (digest === null) return null;
  const known = sizes.get(digest);
  if (known === undefined && !asked.has(digest)) {
    asked.add(digest);
    if (!isAsking) void learnSizes();
  }
  return known ?? null;
}

export function rememberSize(value: string, size: Size): void {
  const digest = uploadDigest(value);
  if (digest !== null) sizes.set(digest, size);
}

/** Those of what was uploaded last; all others come with what is done here. */
async function learnSizes(): Promise<void> {
  isAsking = true;
  const asking = api.GET("/uploads", { params: { query: { limit: MOST } } });
  const { items } = await asking.catch(() => ({ items: [] }));
  isAsking = false;
  for (const { digest, width, height } of items) {
    if (width !== null && height !== null && !sizes.has(digest))
      sizes.set(digest, { width, height });
  }
}
