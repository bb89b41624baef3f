/** Chains put in another order: which node takes its layers from which. */
import { edgesOf, wouldCycle } from "../graph";
import { type Link, sameLink, type Target } from "../links";
import type { Nodes } from "../workflow";
import type { Chain, ChainItem, Stack } from "./chains";
import { on, type PaintGround, relinked, wiring } from "./ground";
import { isChainNode } from "./nodes";

/** All nodes of a stack, what groups hold included. */
export function nodesIn(stack: Stack): readonly string[] {
  return stack.items.flatMap(({ node, members }) => [...(members ? nodesIn(members) : []), node]);
}

export function chainWith(chains: readonly Chain[], node: string): Chain | null {
  return chains.find(({ stack }) => nodesIn(stack).includes(node)) ?? null;
}

/** An item of a stack by its node, with the stack that holds it and the group of that. */
export function itemIn(
  stack: Stack,
  node: string,
  parent: string | null = null,
): { readonly item: ChainItem; readonly index: number; readonly parent: string | null } | null {
  for (const [index, item] of stack.items.entries()) {
    if (item.node === node) return { item, index, parent };
    const inner = item.members && itemIn(item.members, node, item.node);
    if (inner) return inner;
  }
  return null;
}

/** A stack with other items in one of its groups, or in itself (null). */
export function changed(
  stack: Stack,
  parent: string | null,
  change: (items: readonly ChainItem[]) => readonly ChainItem[],
): Stack {
  if (parent === null) return { ...stack, items: change(stack.items) };
  return {
    ...stack,
    items: stack.items.map((item) =>
      item.members === null
        ? item
        : item.node === parent
          ? { ...item, members: { ...item.members, items: change(item.members.items) } }
          : { ...item, members: changed(item.members, parent, change) },
    ),
  };
}

export function without(stack: Stack, node: string): Stack {
  const found = itemIn(stack, node);
  if (found === null) return stack;
  return changed(stack, found.parent, (items) => items.filter((item) => item.node !== node));
}

/** A stack without groups that hold nothing, but for those of these names. */
export function filled(stack: Stack, kept: ReadonlySet<string>): Stack {
  const items = stack.items.map((item) =>
    item.members ? { ...item, members: filled(item.members, kept) } : item,
  );
  return { ...stack, items: items.filter((item) => kept.has(item.node) || !isEmpty(item)) };
}

export function emptyGroups({ items }: Stack): readonly string[] {
  return items.flatMap((item) => [
    ...(item.members ? emptyGroups(item.members) : []),
    ...(isEmpty(item) ? [item.node] : []),
  ]);
}

function isEmpty({ members }: ChainItem): boolean {
  return members?.base === null && members.items.length === 0;
}

export function inserted(
  stack: Stack,
  item: ChainItem,
  parent: string | null,
  index: number,
): Stack {
  return changed(stack, parent, (items) =>
    items.toSpliced(Math.min(Math.max(0, index), items.length), 0, item),
  );
}

/**
 * The graph with the links of a chain as a stack says; null if they would close a circle, as where
 * a layer's picture is made of the layers below it. Nodes that aren't in the stack any more stay,
 * without users. What else takes all layers of the chain takes all of them then, too.
 */
export function restacked(ground: PaintGround, chain: Chain, stack: Stack): PaintGround | null {
  const own = wiring(ground);
  let found = ground;
  for (const [to, link] of linksOf(stack, { node: chain.flatten, port: "layers" })) {
    // A link over nodes that are bypassed stays if it comes from there.
    if (!sameLink(own.resolved(to, isChainNode), link && own.full(link)))
      found = on(found, relinked(found, to, link));
  }
  if (hasCircle(wiring(found).nodes)) return null;
  for (const { to, link, otherwise } of followersOf(ground, chain, stack)) {
    const closes = link !== null && wouldCycle(wiring(found).nodes, link.node, to.node);
    found = on(found, relinked(found, to, closes ? otherwise : link));
  }
  return found;
}

type Wanted = readonly (readonly [Target, Link | null])[];

function linksOf({ base, items }: Stack, to: Target): Wanted {
  let below = base;
  const found: (readonly [Target, Link | null])[] = [];
  for (const { node, members } of items) {
    if (members) found.push(...linksOf(members, { node, port: "group" }));
    found.push([{ node, port: "layers" }, below]);
    below = { node, port: "layers" };
  }
  return [...found, [to, below]];
}

interface Follower {
  readonly to: Target;
  readonly link: Link | null;
  /** Where that would close a circle. */
  readonly otherwise: Link | null;
}

/** What takes layers of the chain besides the chain itself. */
function followersOf(ground: PaintGround, chain: Chain, after: Stack): readonly Follower[] {
  const own = wiring(ground);
  const there = new Set([chain.flatten, ...nodesIn(chain.stack)]);
  const staying = new Set(nodesIn(after));
  const { items } = chain.stack;
  return items.flatMap(({ node }, index) => {
    const isTop = index === items.length - 1;
    const stays = staying.has(node);
    if (stays && !isTop) return [];
    const below = items.slice(0, index).findLast((item) => staying.has(item.node));
    const next = below ? { node: below.node, port: "layers" } : after.base;
    const otherwise = stays ? { node, port: "layers" } : next;
    return own
      .targets({ node, port: "layers" })
      .filter((to) => !there.has(to.node))
      .map((to) => ({ to, link: isTop ? topOf(after) : next, otherwise }));
  });
}

function topOf({ base, items }: Stack): Link | null {
  const top = items.at(-1);
  return top ? { node: top.node, port: "layers" } : base;
}

function hasCircle(nodes: Nodes): boolean {
  const needs = new Map<string, Set<string>>();
  for (const { from, to } of edgesOf(nodes)) {
    const known = needs.get(to.node);
    if (known) known.add(from.node);
    else needs.set(to.node, new Set([from.node]));
  }
  // What needs nothing that is left is in no circle.
  for (let before = -1; before !== needs.size; ) {
    before = needs.size;
    for (const [node, sources] of needs) {
      if (![...sources].some((source) => needs.has(source))) needs.delete(node);
    }
  }
  return needs.size > 0;
}
