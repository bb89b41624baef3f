/** Nodes, values and notes of the workflow that is shown, in its blocks too. */
import { Box, Group, Hash, MessageSquare, StickyNote, Tag } from "lucide-react";
import { t } from "@/i18n";
import { type Hit as Found, type FoundIn, find } from "@/model/find";
import type { NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { activeDocument, currentScope, useDocuments } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { useUi } from "@/store/ui";
import type { Hit } from "./hits";
import { worthOf } from "./rank";

const ICONS = {
  name: Box,
  label: Box,
  type: Box,
  parameter: Tag,
  value: Hash,
  note: StickyNote,
  group: Group,
  comment: MessageSquare,
} as const;

/** A node is meant more often than what stands in one. */
const WORTH: Readonly<Record<FoundIn, number>> = {
  name: 1,
  label: 1,
  type: 0.85,
  parameter: 0.85,
  group: 0.8,
  value: 0.75,
  note: 0.7,
  comment: 0.7,
};

export function graphHits(
  workflow: Workflow,
  query: string,
  types: NodeTypes | null,
): readonly Hit[] {
  return find(workflow, query, { types }).map((found) => ({
    id: `graph:${keyOf(found)}`,
    kind: "graph",
    label: found.text,
    note: placeText(found),
    matches: [found.match],
    score: WORTH[found.in] * worthOf(found.text, found.match[0]),
    icon: ICONS[found.in],
    open: () => show(found),
  }));
}

export function keyOf({ scope, item, port, in: where, match }: Found): string {
  return `${scope}/${item}/${port}/${where}/${match[0]}`;
}

function placeText(found: Found): string {
  const where = found.port === undefined ? found.node : `${found.node}.${found.port}`;
  const kind = t(`search.in.${found.in}`);
  return [found.scope, where, kind].filter((part) => part !== null && part !== "").join(" · ");
}

/** Bring it into view, and select it. */
export function show(found: Found): void {
  const document = activeDocument();
  const isHere = currentScope(document) === found.scope;
  const path = isHere ? document.path : found.scope === null ? [] : [found.scope];
  if (found.node !== "") focusNode({ node: found.node, port: found.port ?? null, path });
  else {
    const documents = useDocuments.getState();
    useUi.getState().setView("graph");
    if (!isHere) documents.goTo(path);
    documents.select([found.item]);
  }
}
