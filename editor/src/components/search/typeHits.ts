/** Node types, to be added beside what is selected; without a query, the favourites and those used last. */
import { focusNew } from "@/components/canvas/focus";
import { freeCenter } from "@/components/panels/lib/center";
import { insertNode } from "@/components/panels/lib/insert";
import { recentTypes } from "@/components/panels/lib/recents";
import { colorOf } from "@/model/compat";
import { type FoundType, searchTypes } from "@/model/search";
import { labelOf, type NodeSpec, type NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { favouriteTypes } from "@/store/favourites";
import { useUi } from "@/store/ui";
import type { Hit } from "./hits";

const MOST = 200;

export function typeHits(types: NodeTypes, workflow: Workflow, query: string): readonly Hit[] {
  const favourites = new Set(favouriteTypes());
  const found = searchTypes(types, workflow, query, { favourites });
  const shown = query.trim() === "" ? usual(found, favourites) : found.slice(0, MOST);
  return shown.map(({ spec, matches, score }) => {
    const type = spec.outputs[0]?.type ?? spec.inputs[0]?.type;
    return {
      id: `type:${spec.type}`,
      kind: "types",
      label: labelOf(spec),
      note: spec.summary,
      matches,
      score: query.trim() === "" ? 0 : score,
      color: type === undefined ? "var(--border-strong)" : colorOf(types, type),
      open: () => add(spec),
    };
  });
}

function usual(found: readonly FoundType[], favourites: ReadonlySet<string>): readonly FoundType[] {
  const wanted = [...new Set([...favourites, ...recentTypes()])];
  return wanted.flatMap((type) => found.find(({ spec }) => spec.type === type) ?? []);
}

function add(spec: NodeSpec): void {
  useUi.getState().setView("graph");
  focusNew(insertNode(spec, freeCenter(), null));
}
