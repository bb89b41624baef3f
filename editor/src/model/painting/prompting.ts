/** Prompts, control nets and references added to a sampler's conditioning, and removed again. */
import type { Json } from "../json";
import type { Link } from "../links";
import { of, type Step } from "../recipes/chain";
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
import { promptOf } from "./sampling";

const CONDITIONING = "Conditioning";
const COMBINE = "CombineConditioning";
const COMBINED = ["first", "second", "third", "fourth"] as const;

/** A step whose outputs take the place of what a sampler was given at inputs of the same names. */
export function withLead(
  ground: PaintGround,
  sampler: string,
  steps: readonly Step[],
  key: string,
): PaintGround {
  const { ground: found, names } = added(ground, steps, sampler);
  const node = names.get(key) ?? "";
  return (
    wiring(found)
      .spec(node)
      ?.outputs.reduce((w, { name }) => {
        const port = name === "conditioning" ? "positive" : name;
        const isGiven = wiring(ground).source({ node: sampler, port }) !== null;
        return isGiven ? on(w, relinked(w, { node: sampler, port }, { node, port: name })) : w;
      }, found) ?? found
  );
}

/** Links that a sampler has, as inputs of a node that is put before it. */
export function samplerLinks(
  ground: PaintGround,
  sampler: string,
  ports: readonly string[],
): Readonly<Record<string, Json | undefined>> {
  const own = wiring(ground);
  return Object.fromEntries(
    ports.map((port) => {
      const link = own.source({ node: sampler, port });
      return [port, link ? shortened(ground, link) : undefined];
    }),
  );
}

/** The conditioning of the prompt that counts for the whole image, with the encoder's link. */
function mainPrompt(
  ground: PaintGround,
  sampler: string,
): { readonly link: Link; readonly encoder: Json | undefined } | null {
  const own = wiring(ground);
  const prompt = promptOf(own, sampler);
  if (prompt === null) return null;
  // The text may stand in a node before the one that encodes it.
  const spec = own.spec(prompt.node);
  const isEncoder = spec?.outputs.some(({ type }) => type === CONDITIONING) === true;
  const users = [...own.nodes.keys()].filter(
    (name) => own.source({ node: name, port: "text" })?.node === prompt.node,
  );
  const node = isEncoder ? prompt.node : users[0];
  const output = node && own.spec(node)?.outputs.find(({ type }) => type === CONDITIONING);
  if (!node || !output) return null;
  const encoder = own.entry(node)?.inputs.get("encoder");
  return { link: { node, port: output.name }, encoder };
}

/** A prompt that counts where a mask is 1, beside the one that counts everywhere. */
export function withRegion(
  ground: PaintGround,
  sampler: string,
  mask: Link,
  text: string,
): PaintGround | null {
  const main = mainPrompt(ground, sampler);
  if (main === null) return null;
  const own = wiring(ground);
  const users = own
    .targets(main.link)
    .filter(({ node, port }) => port !== "negative" && isBefore(ground, node, sampler));
  const steps: readonly Step[] = [
    { key: "prompt", type: "EncodePrompt", inputs: { encoder: main.encoder, text } },
    {
      key: "masked",
      type: "MaskConditioning",
      inputs: { conditioning: of("prompt", "conditioning"), mask: shortened(ground, mask) },
    },
    {
      key: "both",
      type: COMBINE,
      inputs: { first: shortened(ground, main.link), second: of("masked", "conditioning") },
    },
  ];
  const { ground: found, names } = added(ground, steps, users[0]?.node ?? sampler);
  const both = { node: names.get("both") ?? "", port: "conditioning" };
  return users.reduce((w, to) => on(w, relinked(w, to, both)), found);
}

function isBefore(ground: PaintGround, node: string, sampler: string): boolean {
  if (node === sampler) return true;
  const reached = wiring(ground)
    .spec(node)
    ?.outputs.flatMap(({ name, type }) =>
      type === CONDITIONING ? wiring(ground).flow({ node, port: name }, [CONDITIONING]) : [],
    );
  return reached?.some((each) => each.node === sampler && each.port === "positive") === true;
}

/** With the prompt of a region led no more, and the nodes that only it needed gone. */
export function withoutRegion(ground: PaintGround, masked: string): PaintGround {
  let found = ground;
  const prompt = wiring(found).source({ node: masked, port: "conditioning" })?.node;
  for (const { node, port } of wiring(found).targets({ node: masked, port: "conditioning" })) {
    const own = wiring(found);
    if (own.entry(node)?.type !== COMBINE) {
      found = on(found, relinked(found, { node, port }, null));
      continue;
    }
    const others = COMBINED.filter((name) => name !== port && own.source({ node, port: name }));
    const [only] = others;
    found =
      only !== undefined && others.length === 1
        ? spliced(found, node, { conditioning: only })
        : closedUp(found, node, port);
  }
  return withoutUnused(found, [masked, ...(prompt ? [prompt] : [])]);
}

/** Prompts that are combined stand in the first inputs, two of which have to be there. */
function closedUp(ground: PaintGround, node: string, free: string): PaintGround {
  const own = wiring(ground);
  const links = COMBINED.filter((name) => name !== free).map((port) => own.source({ node, port }));
  const left = links.filter((link) => link !== null);
  return COMBINED.reduce(
    (found, port, index) => on(found, relinked(found, { node, port }, left[index] ?? null)),
    ground,
  );
}

/** Without a node that guides a sampler by a picture, and without those that only it needed. */
export function withoutLead(ground: PaintGround, apply: string): PaintGround {
  const own = wiring(ground);
  const spec = own.spec(apply);
  const through = Object.fromEntries(
    (spec?.outputs ?? []).map(({ name }) => [name, name] as const),
  );
  const helpers = ["control_net", "ip_adapter", "redux"].flatMap(
    (port) => own.source({ node: apply, port })?.node ?? [],
  );
  return withoutUnused(spliced(ground, apply, through), helpers);
}
