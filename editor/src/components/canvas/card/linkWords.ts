/** A node's links in words, for those who don't see the lines. */
import { t } from "@/i18n";
import type { Edge } from "@/model/graph";
import { type CardModel, portLabel } from "./card";

export type CardOf = (name: string) => CardModel | null;

/** By node: what it gets and gives, such as "Gets model from Load model. Gives latent to Decode." */
export function linkWords(edges: readonly Edge[], card: CardOf): ReadonlyMap<string, string> {
  const found = new Map<string, string[]>();
  const add = (node: string, text: string) => {
    const known = found.get(node);
    if (known) known.push(text);
    else found.set(node, [text]);
  };
  for (const { from, to } of edges)
    add(to.node, t("links.gets", { port: portLabel(to.port), node: titleOf(from.node, card) }));
  for (const { from, to } of edges)
    add(
      from.node,
      t("links.gives", { port: outputLabel(from, card), node: titleOf(to.node, card) }),
    );
  return new Map([...found].map(([node, texts]) => [node, texts.join(" ")]));
}

export function titleOf(name: string, card: CardOf): string {
  return card(name)?.title ?? name;
}

/** A link names no output where the node has only one. */
export function outputLabel({ node, port }: Edge["from"], card: CardOf): string {
  return portLabel(port === "" ? (card(node)?.outputs[0]?.name ?? "") : port);
}
