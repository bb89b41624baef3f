/** Masks led to the sampler: what is masked is sampled, and all else keeps its bits. */
import { removeNodes, setInput } from "../edits";
import { floatJson } from "../json";
import type { Link } from "../links";
import { hasTypes, of, type Step } from "../recipes/chain";
import { isSampler } from "../recipes/origin";
import type { Chain } from "./chains";
import { added } from "./framing";
import {
  on,
  type PaintGround,
  relinked,
  shortened,
  spliced,
  wiring,
  withoutUnused,
} from "./ground";
import { rasterPicture } from "./infilling";
import type { Wiring } from "./wiring";

const SET_MASK = "SetNoiseMask";
const FEATHER = "FeatherMask";
const COMBINE = "CombineMasks";
const COMPOSITE = "CompositeMasked";
const SOFT_EDGE = 4;

/** The SetNoiseMask node on the way to a sampler's latent, the nearest one. */
export function noiseMaskOf(wiring: Wiring, sampler: string): string | null {
  const way = latentsBefore(wiring, sampler);
  return way.find((node) => wiring.entry(node)?.type === SET_MASK) ?? null;
}

/** The nodes that a sampler's latent came through, the last one first; the first made it. */
export function latentsBefore(wiring: Wiring, sampler: string): readonly string[] {
  const found: string[] = [];
  let link = wiring.source({ node: sampler, port: "latent" });
  while (link !== null && !found.includes(link.node)) {
    const { node } = link;
    found.push(node);
    const port = wiring.spec(node)?.inputs.find(({ type }) => type === "Latent");
    link = port ? wiring.source({ node, port: port.name }) : null;
  }
  return found;
}

/** Whether a mask comes to where noise is kept from parts of a picture. */
export function isJoined(wiring: Wiring, mask: Link): boolean {
  const users = wiring.flow(mask, ["Mask"]);
  return users.some(({ type, port }) => port === "mask" && JOINS.has(type));
}

const JOINS = new Set([SET_MASK, "InpaintConditioning", "VAEEncodeInpaint"]);

/** Lead one more mask to the sampler, joined with those that are led there. */
export function joined(ground: PaintGround, sampler: string, mask: Link): PaintGround {
  const own = wiring(ground);
  if (isJoined(own, mask)) return ground;
  const masked = noiseMaskOf(own, sampler);
  const before = masked === null ? null : own.source({ node: masked, port: "mask" });
  if (masked === null || before === null) return withNoiseMask(ground, sampler, masked, mask);
  if (!hasTypes(ground.types, [COMBINE])) return ground;
  const users = own.targets(before).filter(({ node, port }) => reachesSampler(own, node, port));
  const { ground: found, names } = added(
    ground,
    [
      {
        key: "union",
        type: COMBINE,
        inputs: { first: shortened(ground, before), second: shortened(ground, mask) },
      },
    ],
    masked,
  );
  const union = { node: names.get("union") ?? "", port: "mask" };
  return users.reduce((w, to) => on(w, relinked(w, to, union)), found);
}

/** Whether a mask that comes to an input takes part in what is sampled or composed. */
function reachesSampler(wiring: Wiring, node: string, port: string): boolean {
  const type = wiring.entry(node)?.type ?? "";
  if (port === "mask" && (JOINS.has(type) || type === COMPOSITE)) return true;
  const outputs = wiring.spec(node)?.outputs.filter((output) => output.type === "Mask") ?? [];
  const reached = outputs.flatMap(({ name }) => wiring.flow({ node, port: name }, ["Mask"]));
  return reached.some((each) => JOINS.has(each.type) || each.type === COMPOSITE);
}

function withNoiseMask(
  ground: PaintGround,
  sampler: string,
  masked: string | null,
  mask: Link,
): PaintGround {
  if (masked !== null) return on(ground, relinked(ground, { node: masked, port: "mask" }, mask));
  const latent = wiring(ground).source({ node: sampler, port: "latent" });
  if (latent === null || !hasTypes(ground.types, [SET_MASK])) return ground;
  const { ground: found, names } = added(
    ground,
    [
      {
        key: "masked",
        type: SET_MASK,
        inputs: { latent: shortened(ground, latent), mask: shortened(ground, mask) },
      },
    ],
    sampler,
  );
  const link = { node: names.get("masked") ?? "", port: "latent" };
  return on(found, relinked(found, { node: sampler, port: "latent" }, link));
}

/**
 * With what was sampled put over the raster layers, through a soft edge, where there is a mask. A
 * graph that has masked without that goes on so: there the size may be another one, too.
 */
export function composed(
  ground: PaintGround,
  sampler: string,
  raster: Chain,
  { isNew, isOutpainted }: { readonly isNew: boolean; readonly isOutpainted: boolean },
): PaintGround {
  const own = wiring(ground);
  const masked = noiseMaskOf(own, sampler);
  const mask = masked === null ? null : own.source({ node: masked, port: "mask" });
  const decoded = own
    .flow({ node: sampler, port: "latent" }, ["Latent"])
    .find(({ isHere, type }) => isHere && type === "VAEDecode");
  if (mask === null || decoded === undefined) return ground;
  const image = { node: decoded.node, port: "image" };
  const users = own.targets(image);
  const shown = own.flow(image, ["Image"]);
  const known = shown.find(
    ({ type, port, isHere }) => isHere && type === COMPOSITE && port === "overlay",
  );
  // What is empty is painted up to its edge; what is masked fades within it.
  const side = isOutpainted ? "outward" : "inward";
  if (known !== undefined) return withSide(ground, known.node, side);
  const isAgain = decoded.passed.some((node) => isSampler(own.spec(node)));
  if (!isNew || isAgain || users.length === 0 || !hasTypes(ground.types, [FEATHER, COMPOSITE]))
    return ground;
  const base = rasterPicture(ground, raster.flatten);
  const steps: readonly Step[] = [
    {
      key: "soft",
      type: FEATHER,
      inputs: { mask: shortened(ground, mask), radius: floatJson(SOFT_EDGE), side },
    },
    {
      key: "result",
      type: COMPOSITE,
      inputs: {
        base: shortened(ground, base),
        overlay: shortened(ground, image),
        mask: of("soft", "mask"),
      },
    },
  ];
  const { ground: found, names } = added(ground, steps, users[0]?.node ?? decoded.node);
  const result = { node: names.get("result") ?? "", port: "image" };
  return users.reduce((w, to) => on(w, relinked(w, to, result)), found);
}

function withSide(ground: PaintGround, composite: string, side: string): PaintGround {
  const own = wiring(ground);
  const soft = own.source({ node: composite, port: "mask" })?.node;
  const entry = soft === undefined ? null : own.entry(soft);
  const before = entry?.inputs.get("side");
  const isOurs = before === "inward" || before === "outward";
  if (soft === undefined || entry?.type !== FEATHER || !isOurs) return ground;
  return on(ground, setInput(ground.workflow, ground.scope, soft, "side", side));
}

/**
 * With a mask led no more to the sampler: what it alone masked isn't masked any more, and nodes that
 * only changed it go. Other users of the mask keep it.
 */
export function detached(ground: PaintGround, mask: Link): PaintGround {
  let found = ground;
  for (const to of wiring(ground).targets(mask)) {
    const own = wiring(found);
    const { node, port } = to;
    const entry = own.entry(node);
    if (entry === null) continue;
    if (entry.type === SET_MASK && port === "mask") {
      found = spliced(found, node, { latent: "latent" });
    } else if (entry.type === COMPOSITE && port === "mask") {
      found = uncomposed(found, node);
    } else if (entry.type === COMBINE) {
      found = spliced(found, node, { mask: port === "first" ? "second" : "first" });
    } else if (changesMask(own, node)) {
      const output = own.spec(node)?.outputs[0]?.name ?? "";
      const inner = detached(found, { node, port: output });
      found = wiring(inner).isUsed(node)
        ? inner
        : on(inner, removeNodes(inner.workflow, inner.scope, [node]));
    }
  }
  return found;
}

/** With what was sampled shown whole, and not over the raster layers. */
export function uncomposed(ground: PaintGround, composite: string): PaintGround {
  const soft = wiring(ground).source({ node: composite, port: "mask" })?.node;
  const isSoft = soft !== undefined && wiring(ground).entry(soft)?.type === FEATHER;
  return withoutUnused(spliced(ground, composite, { image: "overlay" }), isSoft ? [soft] : []);
}

/** Whether a node makes one mask of one mask, and nothing else of anything else. */
function changesMask(wiring: Wiring, node: string): boolean {
  const spec = wiring.spec(node);
  const [output, ...others] = spec?.outputs ?? [];
  const linked = spec?.inputs.filter(({ name }) => wiring.source({ node, port: name })) ?? [];
  return output?.type === "Mask" && others.length === 0 && linked.length === 1;
}
