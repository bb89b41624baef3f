/** The newest result large beside the graph, those before it by arrows, and what is being made. */
import {
  ChevronLeft,
  ChevronRight,
  Columns2,
  Image as ImageIcon,
  Maximize2,
  PanelBottom,
  PanelRight,
} from "lucide-react";
import { type KeyboardEvent, type ReactNode, Suspense, useEffect, useMemo, useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { run } from "@/commands/registry";
import { Button, EmptyState, IconButton } from "@/components/ui";
import { withoutPicturesBeside } from "@/components/viewers/kinds";
import { LivePlot } from "@/components/viewers/live";
import { t } from "@/i18n";
import { labelOf, typeOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow, useActive } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { jobsLookedAt, useJobs } from "@/store/jobs";
import { loadJob } from "@/store/jobsFollowing";
import { placeOf } from "@/store/places";
import { type Plan, usePlan } from "@/store/plan";
import { previewOf, type RunResult, runResults } from "@/store/runResults";
import { RESULT, useUi } from "@/store/ui";
import { keyOf } from "./gallery/actions";
import { Stage } from "./gallery/Stage";
import { useZoom } from "./gallery/useZoom";
import type { Size } from "./gallery/zoom";
import styles from "./ResultPanel.module.css";

export default function ResultPanel() {
  const results = useResults();
  const preview = usePreview();
  const [left, setLeft] = useState<{ newest: string; at: number } | null>(null);
  const newest = results.at(-1);
  const key = newest ? keyOf(newest.artifact) : "";
  // Whatever was looked at, what comes newly is shown.
  const at = left?.newest === key ? left.at : results.length - 1;
  const go = (to: number) =>
    setLeft({ newest: key, at: Math.min(results.length - 1, Math.max(0, to)) });
  const shown = results[at];
  const isMaking = preview !== null && at === results.length - 1;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    go(at + step);
    event.preventDefault();
    event.stopPropagation();
  };
  if (shown === undefined && !isMaking) {
    return (
      <div className={styles.panel}>
        <EmptyState icon={ImageIcon} title={t("panels.result.empty")}>
          {t("panels.result.emptyHint")}
        </EmptyState>
        <Bar>
          <span className={styles.gap} />
          <Dock />
        </Bar>
      </div>
    );
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys for the whole of it; each has a button
    <div className={styles.panel} onKeyDown={onKeyDown}>
      {isMaking ? (
        <Making {...preview} />
      ) : (
        shown && <Large key={keyOf(shown.artifact)} result={shown} />
      )}
      <Bar>
        <Arrows at={at} count={results.length} onGo={go} />
        <MadeBy name={isMaking ? preview.node : (shown?.artifact.node ?? "")} />
        <span className={styles.gap} />
        {shown && !isMaking && <Looks results={results} at={at} />}
        <Dock />
      </Bar>
    </div>
  );
}

function Bar({ children }: { readonly children: ReactNode }) {
  return <div className={styles.bar}>{children}</div>;
}

/** Of jobs of before the page was loaded, only the last one's files are known until they are asked for. */
function useWholeJobs(document: string): void {
  const missing = useJobs(
    useShallow((state) =>
      jobsLookedAt(state, document)
        .filter(({ state: ended, isWhole }) => ended === "finished" && !isWhole)
        .map((job) => job.id),
    ),
  );
  useEffect(() => {
    for (const job of missing) loadJob(job).catch(() => undefined);
  }, [missing]);
}

/** What the runs of the shown document gave, the newest last. */
export function useResults(): readonly RunResult[] {
  const { id, workflow } = useActive((document, w) => ({ id: document.id, workflow: w }));
  useWholeJobs(id);
  const jobs = useJobs(
    useShallow((state) => jobsLookedAt(state, id).filter(({ outputs }) => outputs.length > 0)),
  );
  const found = usePlan((plan) => (plan.document === id ? plan.everFound : NOTHING));
  return useMemo(() => {
    const all = runResults(jobs, found, workflow);
    const seen = new Set(withoutPicturesBeside(all.map(({ artifact }) => artifact)));
    return all.filter(({ artifact }) => seen.has(artifact));
  }, [jobs, found, workflow]);
}

const NOTHING: Plan["everFound"] = [];

function usePreview() {
  const id = useActive((document) => document.id);
  const node = useJobs((state) => previewOf(state, id)?.node ?? null);
  const address = useJobs((state) => previewOf(state, id)?.address ?? null);
  const plot = useJobs((state) => previewOf(state, id)?.plot ?? null);
  return node === null ? null : { node, address, plot };
}

interface MakingProps {
  readonly node: string;
  readonly address: string | null;
  readonly plot: unknown;
}

function Making({ node, address, plot }: MakingProps) {
  const title = useTitleOf(node);
  return (
    <div className={styles.stage}>
      {plot !== null && (
        <Suspense fallback={null}>
          <LivePlot given={plot} name={title} />
        </Suspense>
      )}
      {plot === null && address !== null && (
        <img
          className={styles.preview}
          src={address}
          alt={t("panels.result.preview", { node: title })}
        />
      )}
      <span className={styles.mark}>{t("panels.result.making", { node: title })}</span>
    </div>
  );
}

function Large({ result: { artifact, isEarlier } }: { readonly result: RunResult }) {
  const [size, setSize] = useState<Size | null>(null);
  const zoom = useZoom(size);
  return (
    <div className={styles.stage}>
      <Stage
        zoom={zoom}
        artifact={artifact}
        size={size}
        onSize={setSize}
        other={null}
        mode="slider"
      />
      {isEarlier && <span className={styles.mark}>{t("panels.result.earlier")}</span>}
    </div>
  );
}

interface ArrowsProps {
  readonly at: number;
  readonly count: number;
  readonly onGo: (to: number) => void;
}

function Arrows({ at, count, onGo }: ArrowsProps) {
  if (count < 2) return null;
  return (
    <>
      <IconButton
        icon={ChevronLeft}
        size="s"
        label={t("panels.result.older")}
        disabled={at <= 0}
        onClick={() => onGo(at - 1)}
      />
      <span className={styles.count}>{t("panels.result.count", { at: at + 1, count })}</span>
      <IconButton
        icon={ChevronRight}
        size="s"
        label={t("panels.result.newer")}
        disabled={at >= count - 1}
        onClick={() => onGo(at + 1)}
      />
    </>
  );
}

/** As people call a node of a run. */
function useTitleOf(name: string): string {
  const types = useCatalogue((state) => state.types);
  return useActive((_, workflow) => {
    const entry = workflow.nodes.get(name.split(/[/[]/)[0] ?? "");
    const spec = entry && types && typeOf(types, workflow, entry);
    return entry?.label || (spec ? labelOf(spec) : name);
  });
}

function MadeBy({ name }: { readonly name: string }) {
  const title = useTitleOf(name);
  const go = () => {
    const { types } = useCatalogue.getState();
    const place = placeOf(currentWorkflow(activeDocument()), types, name);
    if (place !== null) focusNode(place);
  };
  return (
    <Button
      size="s"
      variant="ghost"
      className={styles.node}
      aria-label={t("panels.result.madeBy", { node: title })}
      onClick={go}
    >
      {title}
    </Button>
  );
}

/** Comparing it with the one before, and seeing it in the viewer, with all that is known of it. */
function Looks({ results, at }: { readonly results: readonly RunResult[]; readonly at: number }) {
  const list = results.map(({ artifact }) => artifact);
  const artifact = list[at];
  if (artifact === undefined) return null;
  const before = list[at - 1];
  const open = (props: Readonly<Record<string, unknown>>) =>
    useUi.getState().openDialog("viewer", { artifact, ...props });
  return (
    <>
      {before && (
        <IconButton
          icon={Columns2}
          size="s"
          label={t("panels.result.compare")}
          onClick={() => open({ list: [artifact, before], compare: true })}
        />
      )}
      <IconButton
        icon={Maximize2}
        size="s"
        label={t("panels.result.full")}
        onClick={() => open({ list })}
      />
    </>
  );
}

function Dock() {
  const isBottom = useUi(({ panel }) => panel.bottom === RESULT);
  return (
    <IconButton
      icon={isBottom ? PanelRight : PanelBottom}
      size="s"
      label={t(isBottom ? "panels.result.dockRight" : "panels.result.dockBottom")}
      onClick={() => run("panels.dockResult")}
    />
  );
}
