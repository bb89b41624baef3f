/** A textual inversion: the text encoder that reads a prompt is taught its word. */
import { addNode } from "../edits";
import type { Json } from "../json";
import type { Point } from "../layout";
import type { EmbeddingSource } from "../promptCompletion";
import type { Ground } from "./chain";
import { type Feed, pairsOf } from "./feeds";
import {
  type Applied,
  fromLeft,
  type Loading,
  ledThrough,
  placeBetween,
  unplacedAs,
  written,
} from "./lora";

const LOAD_INVERSION = "LoadTextualInversion";
const ENCODER = "text_encoder";

/** Whether a prompt has a text encoder that can be taught a word. */
export function takesInversion(ground: Ground, prompt: string): boolean {
  return ground.types.byName.has(LOAD_INVERSION) && encodersOf(ground, prompt).length > 0;
}

/**
 * Teach it to all text encoders of the models that a prompt leads, behind what is on them.
 *
 * @param or The node's place where the graph has none.
 */
export function applyInversion(
  ground: Ground,
  prompt: string,
  { word, file }: EmbeddingSource,
  or: Point,
): Applied {
  const added: Loading[] = [];
  let { workflow } = ground;
  for (const encoder of encodersOf(ground, prompt)) {
    const users = fromLeft(ground, new Set(encoder.to.map(({ node }) => node)));
    const before = encoder.from?.node ?? null;
    // By its name: a file may have a word of its own, which isn't known here.
    const inputs = new Map<string, Json>([
      ["embedding", file],
      ["token", word],
    ]);
    if (encoder.from) inputs.set(ENCODER, written(ground, encoder.from));
    const at = placeBetween(ground, before, users[0], or);
    const put = addNode(workflow, ground.scope, { type: LOAD_INVERSION, at, inputs });
    workflow = ledThrough({ ...ground, workflow: unplacedAs(ground, put) }, encoder, {
      node: put.name,
      port: ENCODER,
    });
    added.push({ name: put.name, before, users });
  }
  return { workflow, added, there: [] };
}

function encodersOf(ground: Ground, prompt: string): readonly Feed[] {
  const found = pairsOf(ground, prompt).flatMap(({ encoder }) => encoder ?? []);
  return found.filter(({ to }) => to.length > 0);
}
