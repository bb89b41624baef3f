/** A node's links in words, for those who don't see the lines. */
import { t } from "@/i18n";
import type { Edge } from "@/model/graph";
import { portLabel } from "@/model/spec";
import type { CardModel, PortView } from "./card";

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
    add(to.node, t("links.gets", { port: inputLabel(to, card), node: titleOf(from.node, card) }));
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
  const ports = card(node)?.outputs ?? [];
  return labelIn(ports, port === "" ? (ports[0]?.name ?? "") : port);
}

export function inputLabel({ node, port }: Edge["to"], card: CardOf): string {
  return labelIn(card(node)?.inputs ?? [], port);
}

function labelIn(ports: readonly PortView[], port: string): string {
  return ports.find(({ name }) => name === port)?.label ?? portLabel({ name: port });
}
