/** Models of a server, for tests. */
import type { ModelEntry } from "@/api/schema";

const PLAIN: ModelEntry = {
  name: "fruit.safetensors",
  kind: "checkpoint",
  family: "sd1",
  bytes: 2e9,
  problem: null,
  thumbnail: null,
  part: null,
  node: "LoadModel",
  use: "model",
  is_remote: false,
  is_looked_at: true,
  title: null,
  base_model: null,
  license: null,
  trigger_words: [],
  tags: [],
  stars: 0,
  notes: null,
  added: null,
  used: null,
  sha256: null,
  autov2: null,
  autov3: null,
  duplicates: [],
  source: null,
  suits: null,
};

/** A whole model that can be used, but for what is said otherwise. */
export function modelEntry(name: string, more: Partial<ModelEntry> = {}): ModelEntry {
  return { ...PLAIN, name, ...more };
}
