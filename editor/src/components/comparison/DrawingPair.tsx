/** Two workflows drawn side by side, with the graph that holds the chosen difference. */
import { useMemo } from "react";
import { Select } from "@/components/ui";
import { t } from "@/i18n";
import {
  type Entry,
  newNames,
  type Place,
  placeOf,
  placeOn,
  type Side,
  sideOf,
} from "@/model/comparison/entries";
import {
  type ComparedGraph,
  graphsOf,
  type Marks,
  marksIn,
  marksOf,
} from "@/model/comparison/marks";
import { drawingOf } from "@/model/drawing";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import styles from "./Comparison.module.css";
import { GraphDrawing } from "./GraphDrawing";

interface DrawingPairProps {
  readonly first: Workflow;
  readonly second: Workflow;
  readonly firstLabel: string;
  readonly secondLabel: string;
  readonly entries: readonly Entry[];
  /** The place that is shown, in the workflow of that side. */
  readonly shown: { readonly place: Place; readonly side: Side } | null;
  /** Index of the shown graph in `graphsOf(entries)`; null follows the place. */
  readonly graph: number | null;
  readonly onGraph: (graph: number | null) => void;
  readonly onNode: (node: string, scope: Scope, side: Side) => void;
}

export function DrawingPair(props: DrawingPairProps) {
  const { first, second, firstLabel, secondLabel, entries, shown, graph, onGraph, onNode } = props;
  const graphs = useMemo(() => graphsOf(entries), [entries]);
  const names = useMemo(() => newNames(entries), [entries]);
  const on = (side: Side) => shown && placeOn(side, shown.place, shown.side, names);
  const [left, right] = [on("first"), on("second")];
  const following = graphs.findIndex(
    (each) =>
      (each.second !== undefined && each.second === (right?.scope ?? null)) ||
      (each.second === undefined && each.first === left?.scope),
  );
  const at = graph ?? Math.max(following, 0);
  const current = graphs[at];
  const isFollowing = graph === null || graph === following;
  return (
    <div className={styles.drawings}>
      {graphs.length > 1 && (
        <div className={styles.graphs}>
          <Select
            label={t("comparison.graph")}
            value={String(at)}
            onChange={(value) => onGraph(Number(value))}
            options={graphs.map((each, index) => ({
              value: String(index),
              label: graphText(each),
            }))}
          />
        </div>
      )}
      <div className={styles.pair}>
        <SideDrawing
          workflow={first}
          label={firstLabel}
          scope={current?.first}
          entries={entries}
          side="first"
          focus={isFollowing ? (left?.node ?? null) : null}
          onNode={onNode}
        />
        <SideDrawing
          workflow={second}
          label={secondLabel}
          scope={current?.second}
          entries={entries}
          side="second"
          focus={isFollowing ? (right?.node ?? null) : null}
          onNode={onNode}
        />
      </div>
    </div>
  );
}

function graphText({ first, second, entries }: ComparedGraph): string {
  const name = second ?? first;
  const graph = name == null ? t("comparison.ownGraph") : t("comparison.block", { block: name });
  return t("comparison.inGraph", { graph, count: entries.length });
}

interface SideProps {
  readonly workflow: Workflow;
  readonly label: string;
  /** Undefined: this side has no such graph. */
  readonly scope: Scope | undefined;
  readonly entries: readonly Entry[];
  readonly side: Side;
  readonly focus: string | null;
  readonly onNode: (node: string, scope: Scope, side: Side) => void;
}

function SideDrawing({ workflow, label, scope, entries, side, focus, onNode }: SideProps) {
  const types = useCatalogue((state) => state.types);
  const marks = useMemo(() => marksOf(entries, side), [entries, side]);
  const drawing = useMemo(
    () => (scope === undefined ? null : drawingOf(workflow, scope, types)),
    [workflow, scope, types],
  );
  const own = marksIn(marks, scope);
  return (
    <figure className={styles.side}>
      <figcaption className={styles.caption}>{label}</figcaption>
      {drawing === null || scope === undefined ? (
        <p className={styles.none}>{t("comparison.noGraph")}</p>
      ) : (
        <GraphDrawing
          drawing={drawing}
          marks={own}
          label={drawingText(label, drawing.cards.size, own)}
          focus={focus}
          onNode={(node) => onNode(node, scope, side)}
        />
      )}
    </figure>
  );
}

function drawingText(label: string, count: number, marks: Marks): string {
  return t("comparison.drawing", { label, count, marked: marks.nodes.size });
}

/** Where an entry is shown. */
export function shownOf(entry: Entry | undefined): DrawingPairProps["shown"] {
  const place = entry === undefined ? null : placeOf(entry.path);
  return entry === undefined || place === null ? null : { place, side: sideOf(entry) };
}

/** The first entry at a node; -1 if there is none. */
export function entryAt(entries: readonly Entry[], node: string, scope: Scope, side: Side): number {
  const names = newNames(entries);
  return entries.findIndex((entry) => {
    const own = placeOf(entry.path);
    if (own === null) return false;
    const place = placeOn(side, own, sideOf(entry), names);
    return place.node === node && place.scope === scope;
  });
}
