/** A workflow as a canvas: its layers as pictures to paint on, and what the model makes of them. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { WidgetServicesProvider } from "@/components/widgets";
import { storeServices } from "@/components/widgets/storeServices";
import { t } from "@/i18n";
import { isPaintable, type PaintCanvas, readCanvas } from "@/model/painting";
import { useCatalogue } from "@/store/catalogue";
import { currentScope, documentById, useActive, useDocuments } from "@/store/documents";
import { useJobs } from "@/store/jobs";
import { canvasTargets, startCandidates, useCandidates } from "@/store/painting";
import { runOnly } from "@/store/runOnChange";
import { openJournal } from "@/store/strokeJournal";
import { finishBefore } from "@/store/strokes";
import { addFile, told } from "./adding";
import { CandidateStrip } from "./CandidateStrip";
import { shownCanvas, useCanvasUi } from "./canvasUi";
import type { PaintedGraph } from "./concurrent";
import { isLayerFile, openLayerFile } from "./importing";
import { change, ofDrag, transform } from "./layerActions";
import styles from "./PaintingView.module.css";
import { changeBox } from "./panel/BoxFields";
import { LayerPanel } from "./panel/LayerPanel";
import { PromptBar } from "./panel/PromptBar";
import { addressOf, pictureMadeBy, progressOf } from "./pictures";
import { StartCanvas } from "./StartCanvas";
import type { Size } from "./stage/pixels/geometry";
import { fitted, resized } from "./stage/pixels/stageView";
import { Stage } from "./stage/Stage";
import type { StageHandle, StageView } from "./stage/stageProps";
import { useStageSize } from "./stage/useStageSize";
import { findObject } from "./stageActions";
import { drawLost, paint, undoStep } from "./strokes";
import { ToolBar } from "./ToolBar";
import { ToolSettings } from "./ToolSettings";

export default function PaintingView() {
  const types = useCatalogue((catalogue) => catalogue.types);
  const { workflow, scope } = useActive((_document, shown, at) => ({ workflow: shown, scope: at }));
  const canvas = useMemo(
    () => types && readCanvas(workflow, scope, types),
    [workflow, scope, types],
  );
  const shown = useDocuments(shownCanvas);
  if (types === null) return null;
  // Nodes of other graphs may have the same names: pixels and selections are those of one graph.
  return (
    <WidgetServicesProvider value={storeServices}>
      {canvas === null ? <StartCanvas /> : <Board key={shown} canvas={canvas} />}
    </WidgetServicesProvider>
  );
}

function Board({ canvas }: { readonly canvas: PaintCanvas }) {
  const stage = useRef<StageHandle>(null);
  const document = useDocuments((state) => state.active);
  const { tool, setTool, choose, look, peek } = useCanvasUi();
  const [hasSelection, setHasSelection] = useState(false);
  const active = useActiveLayer(canvas);
  const place = useRef<HTMLDivElement>(null);
  const view = useView(canvas, useStageSize(place));
  const candidate = useShownCandidate(document);
  const progress = useJobs(useShallow((jobs) => progressOf(jobs, document)));
  useUndoKeys();
  // A board shows one graph for as long as it is there.
  const graph = useState(graphNow)[0];
  useEffect(() => {
    openJournal();
    void drawLost(graph, () => stage.current);
    // Pixels that are being moved count where they are seen.
    return finishBefore(() => stage.current?.applyMove());
  }, [graph]);
  useEffect(startCandidates, []);
  useEffect(() => runOnly(canvasTargets), []);
  return (
    <div className={styles.view} data-painting>
      <ToolBar />
      <div className={styles.middle}>
        <ToolSettings stage={stage} hasSelection={hasSelection} />
        {/* biome-ignore lint/a11y/noStaticElementInteractions: pictures may be dropped; the panel has a button for it */}
        <div ref={place} className={styles.stage} onDragOver={over} onDrop={drop}>
          <Stage
            ref={stage}
            canvas={canvas}
            active={active}
            tool={tool}
            pictureOf={addressOf}
            sourceOf={(node) => pictureMadeBy(document, node)}
            candidate={candidate}
            progress={progress}
            view={view}
            onView={look}
            onPicture={(layer, picture) => paint(graph, layer, picture)}
            onPlacements={(places, done) => transform(places, ofDrag(done))}
            onBox={changeBox}
            onColor={(color) => setTool({ color })}
            onObject={findObject}
            onAlphaLock={(node, alphaLocked) => change(node, { alphaLocked })}
            onPeek={peek}
            onPaint={hideCandidate}
            onActive={choose}
            onTool={setTool}
            onSelection={setHasSelection}
          />
        </div>
        <CandidateStrip />
      </div>
      <aside className={styles.side} aria-label={t("painting.side")}>
        <PromptBar canvas={canvas} />
        <LayerPanel canvas={canvas} stage={stage} />
      </aside>
    </div>
  );
}

function graphNow(): PaintedGraph {
  const { active } = useDocuments.getState();
  const document = documentById(active);
  return { document: active, scope: document && currentScope(document) };
}

/** What was chosen, as long as it is there; else the uppermost layer that can be painted on. */
function useActiveLayer({ entries }: PaintCanvas): string | null {
  const { active, choose } = useCanvasUi();
  const isThere = entries.some(({ node }) => node === active);
  const instead = entries.findLast((entry) => entry.kind === "raster" && isPaintable(entry));
  const found = isThere ? active : (instead?.node ?? null);
  useEffect(() => {
    if (found !== active) choose(found);
  }, [found, active, choose]);
  return found;
}

/** The candidate as it lies on the canvas: faded, or not there while what is below it is looked at. */
function useShownCandidate(document: string) {
  const shown = useCandidates((candidates) => candidates.shown(document));
  const opacity = useCanvasUi((ui) => ui.candidateOpacity);
  const isHidden = useCanvasUi((ui) => ui.isPeeking || ui.hidden === shown);
  return useMemo(
    () => (shown === null || isHidden ? null : { ...shown, opacity }),
    [shown, isHidden, opacity],
  );
}

/** Who paints sees what is painted: the candidate comes back with the next one, or by its button. */
function hideCandidate(): void {
  const shown = useCandidates.getState().shown(useDocuments.getState().active);
  if (shown !== null) useCanvasUi.getState().hide(shown);
}

/** What was seen of this graph last; at first its box, and from then on what somebody looks at. */
function useView({ box }: PaintCanvas, size: Size): StageView {
  const shown = useDocuments(shownCanvas);
  const view = useCanvasUi((ui) => ui.views.get(shown));
  const look = useCanvasUi((ui) => ui.look);
  const first = fitted(box, size);
  const isMeasured = size.width > 0 && size.height > 0;
  // A view that followed the box would run away with a box that is dragged.
  const before = useRef(size);
  useLayoutEffect(() => {
    const old = before.current;
    if (!isMeasured) return;
    before.current = size;
    if (view === undefined) look(first);
    else if (old.width > 0 && (old.width !== size.width || old.height !== size.height))
      look(resized(view, box, old, size));
  });
  return view ?? first;
}

/** Undo waits for strokes that are still being written, wherever the focus is on the canvas. */
function useUndoKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const isUndo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
      if (!isUndo || event.shiftKey || event.altKey || isText(event.target)) return;
      if (document.querySelector("[data-modal], [data-menu]")) return;
      event.preventDefault();
      event.stopPropagation();
      void undoStep();
    };
    addEventListener("keydown", press, true);
    return () => removeEventListener("keydown", press, true);
  }, []);
}

function isText(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLTextAreaElement ||
    (target instanceof HTMLInputElement && target.type === "text")
  );
}

function over(event: React.DragEvent): void {
  if (event.dataTransfer.types.includes("Files")) event.preventDefault();
}

function drop(event: React.DragEvent): void {
  const files = [...event.dataTransfer.files].filter(
    (file) => file.type.startsWith("image/") || isLayerFile(file),
  );
  if (files.length === 0) return;
  event.preventDefault();
  void told(async () => {
    for (const file of files)
      await (isLayerFile(file) ? openLayerFile(file) : addFile("raster", file));
  });
}
