/**
 * What raster layers leave empty of the box, filled with the colours around it: a sampler that keeps
 * some of what it is given, as with a denoise below 1, would keep white paper there.
 */
import type { Link } from "../links";
import { hasTypes, type Step } from "../recipes/chain";
import { added } from "./framing";
import { on, type PaintGround, relinked, shortened, spliced, wiring, withValues } from "./ground";

const FILL = "FillMasked";
/** What lies behind layers where nothing is to be filled. */
const PAPER = "white";

/** The picture that is sampled of a chain of raster layers: the one that is filled, if any is. */
export function rasterPicture(ground: PaintGround, flatten: string): Link {
  const fill = fillOf(ground, flatten);
  return fill === null ? { node: flatten, port: "image" } : { node: fill, port: "image" };
}

/** With what the layers leave empty filled; layers keep their transparency for it. */
export function infilled(ground: PaintGround, flatten: string): PaintGround {
  if (fillOf(ground, flatten) !== null || !hasTypes(ground.types, [FILL])) return ground;
  // Who has chosen another paper wants to see it.
  if (wiring(ground).entry(flatten)?.inputs.get("color") !== PAPER) return ground;
  const image = { node: flatten, port: "image" };
  const users = wiring(ground).targets(image);
  const step: Step = { key: "fill", type: FILL, inputs: { image: shortened(ground, image) } };
  const { ground: found, names } = added(ground, [step], flatten);
  const filled = { node: names.get("fill") ?? "", port: "image" };
  const linked = users.reduce((w, to) => on(w, relinked(w, to, filled)), found);
  return on(linked, withValues(linked, flatten, { color: "" }));
}

/** With layers on paper again, as they leave nothing empty. */
export function uninfilled(ground: PaintGround, flatten: string): PaintGround {
  const fill = fillOf(ground, flatten);
  if (fill === null) return ground;
  const found = spliced(ground, fill, { image: "image" });
  return on(found, withValues(found, flatten, { color: PAPER }));
}

/** The node that fills what a chain leaves empty, and nothing else. */
function fillOf(ground: PaintGround, flatten: string): string | null {
  const own = wiring(ground);
  const users = own.targets({ node: flatten, port: "image" });
  const fill = users.find(({ node, port }) => own.entry(node)?.type === FILL && port === "image");
  return fill === undefined || own.entry(fill.node)?.inputs.has("mask") ? null : fill.node;
}
