/** Walks along the links of the graph that is shown, by keys, and says where each step leads. */
import { t } from "@/i18n";
import { edgesOf } from "@/model/graph";
import { nextLink, type Walk, type Way, walkBack, walkedTo, walkFrom } from "@/model/linkWalk";
import { nodesOf } from "@/model/scope";
import { speak } from "@/store/spoken";
import { type CardOf, inputLabel, outputLabel, titleOf } from "./card/linkWords";
import { canvas } from "./controller";
import { focusedItem, focusItem } from "./focus";

let walk: Walk | null = null;

/** The walk to the card that has the focus; null if one came there otherwise. */
function current(): Walk | null {
  return walk !== null && walkedTo(walk) === focusedItem() ? walk : null;
}

export function walkTo(way: Way): void {
  const shown = canvas();
  const node = focusedItem();
  if (!shown || node === null) return;
  const { workflow, scope } = shown.scene();
  const next = walkFrom(current(), edgesOf(nodesOf(workflow, scope)), node, way);
  if (next === null) speak(t(`links.none.${way}`, { node: titleOf(node, cards()) }));
  else take(next);
}

/** The next one of the links that there were to choose from. */
export function walkNext(): void {
  const here = current();
  if (here !== null) take(nextLink(here));
}

/** The way one came. */
export function walkToBefore(): void {
  const before = walkBack(current() ?? NOWHERE);
  if (before === null) return;
  walk = before.walk;
  focusItem(before.node);
  speak(t("links.back", { node: titleOf(before.node, cards()) }));
}

const NOWHERE: Walk = { trail: [], way: "downstream", links: [], index: 0 };

function take(next: Walk): void {
  const node = walkedTo(next);
  const link = next.links[next.index];
  if (node === null || link === undefined) return;
  walk = next;
  focusItem(node);
  const card = cards();
  const [index, count] = [next.index + 1, next.links.length];
  const [output, input] = [outputLabel(link.from, card), inputLabel(link.to, card)];
  speak(t(`links.step.${next.way}`, { output, input, node: titleOf(node, card), index, count }));
}

function cards(): CardOf {
  const nodes = new Map(
    canvas()
      ?.nodes()
      .map((node) => [node.id, node]),
  );
  return (name) => {
    const node = nodes.get(name);
    return node?.type === "card" ? node.data.card : null;
  };
}
