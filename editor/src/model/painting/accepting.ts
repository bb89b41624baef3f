/** Results of a canvas taken as layers of it. */

import { withLayer } from "./adding";
import { settled, withRaster } from "./encoding";
import { chains, type Edited, on, type PaintGround } from "./ground";
import type { PaintCanvas, Placement } from "./types";

/**
 * Pictures put onto all raster layers, the last one uppermost.
 *
 * @param placement Where the box stood in which they were made.
 */
export function acceptResult(
  ground: PaintGround,
  canvas: PaintCanvas,
  values: readonly string[],
  placement: Placement,
  title = "",
): Edited {
  const box = canvas.box.node;
  const made = values.length > 0 ? withRaster(ground, box) : null;
  if (made === null) return { workflow: ground.workflow, node: null };
  let found = made.ground;
  let node: string | null = null;
  for (const value of values) {
    const chain = chains(found, box).find(({ flatten }) => flatten === made.flatten);
    if (chain === undefined) break;
    const added = withLayer(found, chain, { value, placement, title });
    found = on(found, added.workflow);
    node = added.node ?? node;
  }
  if (node === null) return { workflow: ground.workflow, node };
  return { workflow: settled(found, box, ground).workflow, node };
}

/** Letters of a prompt that tell one result from another in a list of layers. */
const LONGEST_PROMPT = 32;

/** What a result of a canvas is called: how its prompt begins, and its seed. */
export function resultTitle({ prompt, sampler }: Pick<PaintCanvas, "prompt" | "sampler">): string {
  const text = (prompt?.text ?? "").replace(/\s+/g, " ").trim();
  const seed = sampler?.seed ?? null;
  return [shortText(text), seed === null ? "" : String(seed)].filter((part) => part).join(" · ");
}

/** Cut after a whole word where there is one. */
function shortText(text: string): string {
  const letters = [...text];
  if (letters.length <= LONGEST_PROMPT) return text;
  const start = letters.slice(0, LONGEST_PROMPT).join("");
  const word = start.replace(/[\s,.;:]+\S*$/, "");
  return `${word === "" ? start : word}…`;
}
