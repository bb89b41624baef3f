/** What edits of a canvas begin with: the graph, which canvas of it, and what pictures measure. */

import { removeNodes, setInput, shortLink } from "../edits";
import type { Json } from "../json";
import { type Link, linkJson, linkOf, sameLink, type Target } from "../links";
import type { Ground } from "../recipes/chain";
import { nodeOf } from "../scope";
import { typeOf } from "../spec";
import type { Workflow } from "../workflow";
import { type Chain, chainsOf } from "./chains";
import { written } from "./nodes";
import { type Wiring, wiringOf } from "./wiring";

export interface Extent {
  readonly width: number;
  readonly height: number;
}

/** The graph that is edited. */
export interface PaintGround extends Ground {
  /** Pixels of the picture that a LoadImage value names; null or left out where nobody knows. */
  readonly sizeOf?: (value: string) => Extent | null;
}

/** A graph with a node that was added; null where it couldn't be. */
export interface Edited {
  readonly workflow: Workflow;
  readonly node: string | null;
}

export function wiring({ workflow, scope, types }: Ground): Wiring {
  return wiringOf(workflow, scope, types);
}

export function chains(ground: Ground, box: string): readonly Chain[] {
  return chainsOf(wiring(ground), box);
}

export function on(ground: PaintGround, workflow: Workflow): PaintGround {
  return workflow === ground.workflow ? ground : { ...ground, workflow };
}

/** A link in the form in which files write it. */
export function shortened(ground: Ground, link: Link): Json {
  const entry = nodeOf(ground.workflow, ground.scope, link.node);
  const spec = entry && typeOf(ground.types, ground.workflow, entry);
  return linkJson(shortLink(spec, link));
}

/**
 * With an input linked to an output, or to none; the same workflow if it is linked so already.
 * Circles aren't looked for: several links that change together may close one in between.
 */
export function relinked(ground: Ground, to: Target, link: Link | null): Workflow {
  const { workflow, scope } = ground;
  const own = wiring(ground);
  if (link === null) {
    return linkOf(own.entry(to.node)?.inputs.get(to.port)) === null
      ? workflow
      : setInput(workflow, scope, to.node, to.port, undefined);
  }
  if (sameLink(own.source(to), own.full(link))) return workflow;
  return setInput(workflow, scope, to.node, to.port, shortened(ground, link));
}

/** With values of a node's inputs; a link to one of them goes. */
export function withValues(
  { workflow, scope }: Ground,
  node: string,
  values: Readonly<Record<string, string | number | boolean | undefined>>,
): Workflow {
  return Object.entries(values).reduce(
    (found, [port, value]) =>
      value === undefined ? found : setInput(found, scope, node, port, written(port, value)),
    workflow,
  );
}

/**
 * With a node taken out of the links that run through it.
 *
 * @param through The input that stands for each of its outputs; users of others lose their link.
 */
export function spliced(
  ground: PaintGround,
  node: string,
  through: Readonly<Record<string, string>>,
): PaintGround {
  const own = wiring(ground);
  let found = ground;
  for (const { name } of own.spec(node)?.outputs ?? []) {
    const port = through[name];
    const source = port === undefined ? null : own.source({ node, port });
    for (const to of own.targets({ node, port: name })) {
      found = on(found, relinked(found, to, source));
    }
  }
  return on(found, removeNodes(found.workflow, found.scope, [node]));
}

/** With those of some nodes removed that no other node takes anything of, the last ones first. */
export function withoutUnused(ground: PaintGround, names: readonly string[]): PaintGround {
  let found = ground;
  for (const name of names) {
    const own = wiring(found);
    if (own.entry(name) && !own.isUsed(name) && own.spec(name)?.output !== true)
      found = on(found, removeNodes(found.workflow, found.scope, [name]));
  }
  return found;
}
