/** The graph of the active document, as it is edited. */
import "@xyflow/react/dist/base.css";
import "./frames/tints.css";
import {
  type EdgeChange,
  type NodeChange,
  PanOnScrollMode,
  ReactFlow,
  ReactFlowProvider,
  SelectionMode,
  useKeyPress,
  useStoreApi,
  type Viewport,
} from "@xyflow/react";
import {
  type DragEvent,
  type FocusEvent as ReactFocusEvent,
  type MouseEvent as ReactMouseEvent,
  type PointerEvent as ReactPointerEvent,
  Suspense,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useShallow } from "zustand/react/shallow";
import { draggedType, droppedType } from "@/components/panels/lib/dragged";
import { ErrorBoundary } from "@/components/shell/ErrorBoundary";
import { lazyPart } from "@/components/shell/lazyPart";
import { CommentMarks } from "@/components/together/CommentMarks";
import { ContextMenu } from "@/components/ui";
import { t } from "@/i18n";
import type { Point } from "@/model/layout";
import type { Scope } from "@/model/scope";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, documentById, useActive, useDocuments } from "@/store/documents";
import { runPrefix } from "@/store/entered";
import { useCompany } from "@/store/members";
import { point } from "@/store/pointers";
import { useSettings } from "@/store/settings";
import { useUi } from "@/store/ui";
import type { CanvasEdge, CanvasNode, Scene } from "./adapt";
import { Breadcrumb } from "./Breadcrumb";
import styles from "./Canvas.module.css";
import { setMoving } from "./card/detail";
import { keepPorts } from "./card/keptPorts";
import { NodeCard } from "./card/NodeCard";
import { leaveToScrolling } from "./card/wheel";
import { canvas, canvasPoint, firstViewport, MAX_ZOOM, MIN_ZOOM, setCanvas } from "./controller";
import { EmptyCanvas } from "./EmptyCanvas";
import { enterBlock } from "./enter";
import { Corners } from "./far/Corners";
import { FarView } from "./far/FarView";
import { useFarNodes } from "./far/useFarNodes";
import { focusCard, followFocus, selectFocused } from "./focus";
import { BlockEnd } from "./frames/BlockEnd";
import { Frame } from "./frames/Frame";
import { NoteCard } from "./frames/NoteCard";
import { Grid } from "./Grid";
import { CutLine } from "./links/CutLine";
import { beginCut } from "./links/cutting";
import { DrawnLink } from "./links/DrawnLink";
import { setHovered } from "./links/hovered";
import { LinkDialog } from "./links/LinkDialog";
import { LinkEdge } from "./links/LinkEdge";
import { Reroute } from "./links/Reroute";
import { addPoint } from "./links/reroutes";
import { aimType, endAim } from "./links/splicing";
import { takeLink, useLinkDrawing } from "./links/useLinkDrawing";
import { itemsFor, type MenuPlace } from "./menus";
import { insertType } from "./moving/insertType";
import { dragModel, dropModel } from "./moving/modelDrop";
import { dragResult, dropResult } from "./moving/resultDrop";
import { useDragging } from "./moving/useDragging";
import { useMovingView } from "./moving/useMovingView";
import { useStaySeen } from "./placing/staySeen";
import { linksNear } from "./routes/linkPlaces";
import { useCanvasKeys } from "./useCanvasKeys";
import { useCanvasPinch } from "./useCanvasPinch";
import { useFocusRequests } from "./useFocusRequests";
import { selected, useScene } from "./useScene";
import { ViewControls } from "./ViewControls";
import { isFar, PlaceContext, setZoom, useCanvasView } from "./view";

/** Most people are alone. */
const Presence = lazyPart(() => import("@/components/together/Presence"));

const NODE_TYPES = {
  card: NodeCard,
  frame: Frame,
  note: NoteCard,
  reroute: Reroute,
  end: BlockEnd,
};
const EDGE_TYPES = { link: LinkEdge };
const NO_EDGES: CanvasEdge[] = [];

export default function Canvas() {
  const document = useActive((active) => active.id);
  // Without the types neither places nor ports are known.
  const hasTypes = useCatalogue((state) => state.types !== null || state.state === "failed");
  const path = useActive((active) => active.path);
  const frame = useRef<HTMLDivElement>(null);
  const [isReady, setReady] = useState(false);
  // The first view depends on how large the canvas is.
  useEffect(() => setReady(true), []);
  useCanvasPinch(frame);
  return (
    <main ref={frame} className={styles.root} aria-label={t("canvas.label")} data-canvas>
      {isReady && hasTypes && frame.current && (
        <ReactFlowProvider key={`${document}/${path.join("/")}`}>
          <Graph document={document} path={path} frame={frame.current} />
        </ReactFlowProvider>
      )}
    </main>
  );
}

interface GraphProps {
  readonly document: string;
  readonly path: readonly string[];
  readonly frame: HTMLElement;
}

function Graph({ document, path, frame }: GraphProps) {
  const scope: Scope = path.at(-1) ?? null;
  const drawing = useScene(document, scope);
  const { scene, nodes, edges, setLocal, change } = drawing;
  const latest = useRef(drawing);
  latest.current = drawing;
  const currentScene = useCallback(() => latest.current.scene, []);
  const currentMoves = useCallback(() => latest.current.local.moves, []);
  const links = useLinkDrawing(currentScene);
  const dragging = useDragging(currentScene, currentMoves, setLocal, change);
  const hasOthers = useCompany(document).others.length > 0;
  const [menu, setMenu] = useState<MenuPlace | null>(null);
  const [opened] = useState(() => documentById(document)?.viewport ?? fittedTo(frame, nodes));
  // Before it is asked for: cards in full would be made first, and thrown away.
  useState(() => setZoom(opened.zoom));
  const far = useCanvasView((state) => state.far);
  const view = useMovingView(frame, { nodes, edges, far });
  const drawn = useFarNodes(nodes, far, view);
  // Only when the library has no more than those: it would make all two thousand first.
  const [isCulled, setCulled] = useState(true);
  useEffect(() => setCulled(!far), [far]);
  const prefix = useMemo(
    () => runPrefix(document, scene.workflow, scene.types, path),
    [document, scene.workflow, scene.types, path],
  );
  const place = useMemo(() => ({ document, prefix }), [document, prefix]);
  const settings = useSettings(
    useShallow(({ snap, gridSize, wheel, dragSelects }) => ({
      snap,
      gridSize,
      wheel,
      dragSelects,
    })),
  );
  // As the library's own key for it, it would begin on cards too, where Shift adds to the selection.
  const selects = useKeyPress("Shift") || settings.dragSelects;
  useFocusRequests(document, path);
  useStaySeen(frame);
  const onKeyDown = useCanvasKeys();

  const store = useStoreApi();
  // Before the library's own parts are made, which hold on to what they find.
  useState(() => keepPorts(store));
  useEffect(() => {
    const found = documentById(document);
    if (found && found.viewport === null) useDocuments.getState().setViewport(opened, document);
    return () => {
      setCanvas(null);
      setHovered(null);
    };
  }, [document, opened]);
  // Gone at once with this graph; the one that is shown next says itself when keys and mouse work.
  useLayoutEffect(() => () => void delete frame.dataset.ready, [frame]);

  const onNodesChange = useCallback(
    (changes: NodeChange<CanvasNode>[]) => {
      select(document, changes);
      const drawn = changes.filter(({ type }) => type !== "select");
      if (drawn.length > 0) change(dragging.along(drawn));
    },
    [document, change, dragging],
  );
  const onEdgesChange = useCallback(
    (changes: EdgeChange<CanvasEdge>[]) => select(document, changes),
    [document],
  );

  const onMoveStart = useCallback(
    (event: MouseEvent | TouchEvent | null) => {
      frame.dataset.moving = "";
      setMoving(true);
      view.begin(event);
    },
    [frame, view],
  );
  const onMove = useCallback(
    (_: unknown, { zoom }: Viewport) => {
      if (isFar(zoom) === useCanvasView.getState().far) return;
      // What is drawn now begins with the view as it is.
      view.settle();
      setZoom(zoom);
    },
    [view],
  );
  const onMoveEnd = useCallback(
    (_: unknown, viewport: Viewport) => {
      delete frame.dataset.moving;
      setMoving(false);
      view.end();
      setZoom(viewport.zoom);
      if (documentById(document)) useDocuments.getState().setViewport(viewport, document);
    },
    [document, frame, view],
  );

  const openMenu = useCallback(
    (event: ReactMouseEvent | MouseEvent, item: string | null) => {
      event.preventDefault();
      const at = { x: event.clientX, y: event.clientY };
      const selection = documentById(document)?.selection ?? new Set();
      if (item !== null && !selection.has(item)) useDocuments.getState().select([item]);
      if (item === null) useDocuments.getState().select([]);
      setMenu({ at, item, point: canvasPoint(at), input: inputUnder(event.target) });
    },
    [document],
  );
  const onDoubleClick = (event: ReactMouseEvent) => {
    if (!(event.target instanceof Element) || !event.target.closest(".react-flow__pane")) return;
    // Cards and links lie within the pane, and have double clicks of their own.
    if (event.target.closest(".react-flow__node, .react-flow__edge")) return;
    const at = { x: event.clientX, y: event.clientY };
    useUi.getState().openAddNode({ screen: at, at: canvasPoint(at) });
  };

  return (
    <PlaceContext value={place}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: keys of the cards inside come up to here */}
      <div
        className={styles.flow}
        data-far={far || undefined}
        onDoubleClick={onDoubleClick}
        onKeyDown={onKeyDown}
        onFocus={focused}
        onWheelCapture={leaveToScrolling}
        onPointerDownCapture={beginCut}
        onMouseDownCapture={takeLink}
        onTouchStartCapture={takeLink}
        onPointerMove={hasOthers ? (event) => pointAt(document, event) : undefined}
        onPointerLeave={hasOthers ? () => point(document, { cursor: null }) : undefined}
        onDragOver={(event) => dragType(event, currentScene())}
        onDragLeave={leaveWithType}
        onDrop={(event) => dropType(event, currentScene())}
      >
        <span data-canvas-start tabIndex={-1} />
        <Grid view={view} />
        {far && <FarView view={view} nodes={nodes} edges={edges} />}
        <ReactFlow<CanvasNode, CanvasEdge>
          nodes={drawn as CanvasNode[]}
          edges={far ? NO_EDGES : edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          onNodesChange={onNodesChange}
          onEdgesChange={onEdgesChange}
          onNodeDragStart={dragging.start}
          onNodeDrag={dragging.move}
          onNodeDragStop={dragging.stop}
          onNodeClick={(event, node) => selectOnly(event, node.id)}
          onNodeDoubleClick={(event, node) => enterOn(event, node)}
          onEdgeDoubleClick={(event, edge) => addPoint(edge, currentScene().scope, pointOf(event))}
          onNodeMouseEnter={(_, node) => setHovered(node.id)}
          onNodeMouseLeave={() => setHovered(null)}
          onEdgeMouseEnter={(_, edge) => setHovered(edge.id)}
          onEdgeMouseLeave={() => setHovered(null)}
          onNodeContextMenu={(event, node) => openMenu(event, node.id)}
          onEdgeContextMenu={(event, edge) => openMenu(event, edge.id)}
          onPaneContextMenu={(event) => openMenu(event, farLink(pointOf(event)))}
          onPaneClick={selectFarLink}
          onInit={(flow) => {
            setCanvas({
              get flow() {
                // Whoever asks it, or has it go somewhere, means the view as it is seen.
                view.settle();
                return flow;
              },
              element: frame,
              scene: currentScene,
              nodes: () => latest.current.nodes,
              edges: () => latest.current.edges,
              focusNode: (id) => focusCard(frame, id),
            });
            frame.dataset.ready = "";
          }}
          viewport={opened}
          onViewportChange={view.change}
          onMoveStart={onMoveStart}
          onMove={onMove}
          onMoveEnd={onMoveEnd}
          {...links}
          connectionLineComponent={DrawnLink}
          connectionRadius={26}
          connectOnClick={false}
          reconnectRadius={12}
          defaultViewport={opened}
          minZoom={MIN_ZOOM}
          maxZoom={MAX_ZOOM}
          onlyRenderVisibleElements={isCulled || !far}
          elevateNodesOnSelect
          snapToGrid={settings.snap}
          snapGrid={[settings.gridSize, settings.gridSize]}
          panOnScroll={settings.wheel === "pan"}
          panOnScrollMode={PanOnScrollMode.Free}
          panOnScrollSpeed={1}
          zoomOnScroll={settings.wheel === "zoom"}
          zoomOnDoubleClick={false}
          panOnDrag={selects ? [1] : [0, 1]}
          selectionOnDrag={selects}
          selectionMode={SelectionMode.Partial}
          selectionKeyCode={null}
          multiSelectionKeyCode={MULTI}
          panActivationKeyCode={null}
          deleteKeyCode={null}
          disableKeyboardA11y
          edgesFocusable={false}
          nodeDragThreshold={3}
          proOptions={PRO}
        >
          {far && <Corners nodes={nodes} />}
          <CutLine />
          <CommentMarks workflow={scene.workflow} scope={scope} nodes={nodes} />
          {hasOthers && (
            <ErrorBoundary area="presence" resetKey={document} frame={() => null}>
              <Suspense fallback={null}>
                <Presence document={document} path={path} nodes={nodes} />
              </Suspense>
            </ErrorBoundary>
          )}
        </ReactFlow>
        <Breadcrumb />
        {scene.workflow.nodes.size === 0 && scope === null && <EmptyCanvas />}
        <ViewControls view={view} nodes={nodes} />
        <ContextMenu
          items={menu ? itemsFor(menu, scene) : []}
          at={menu?.at ?? null}
          onClose={() => setMenu(null)}
          label={t("canvas.menu.label")}
        />
        <LinkDialog scene={currentScene} edges={edges} />
        <span data-canvas-end tabIndex={-1} />
      </div>
    </PlaceContext>
  );
}

/** Fingers have no pointer that others could follow. */
function pointAt(document: string, { pointerType, clientX, clientY }: ReactPointerEvent): void {
  if (pointerType === "mouse" || pointerType === "pen") {
    point(document, { cursor: canvasPoint({ x: clientX, y: clientY }) });
  }
}

function focused(event: ReactFocusEvent): void {
  selectFocused();
  followFocus(event);
}

const MULTI = ["Meta", "Control", "Shift"];
const PRO = { hideAttribution: true };

function fittedTo(frame: HTMLElement, nodes: readonly CanvasNode[]): Viewport {
  const boxes = nodes.map((node) => ({
    ...node.position,
    width: node.width ?? 0,
    height: node.height ?? node.initialHeight ?? 0,
  }));
  return firstViewport(boxes, { width: frame.clientWidth, height: frame.clientHeight });
}

function select(document: string, changes: Parameters<typeof selected>[1]): void {
  const found = documentById(document);
  const selection = found && selected(found, changes);
  if (selection) useDocuments.getState().select(selection);
}

/** A click on one of several selected items leaves it alone; dragging it moves them all. */
function selectOnly(event: ReactMouseEvent, id: string): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { selection } = activeDocument();
  if (selection.size > 1 && selection.has(id)) useDocuments.getState().select([id]);
}

/** The input whose port, or its label, is meant. */
function inputUnder(target: EventTarget | null): string | null {
  const port =
    target instanceof Element
      ? target.closest<HTMLElement>("[data-input], .react-flow__handle.target")
      : null;
  return port?.dataset.input ?? port?.dataset.port ?? null;
}

function pointOf({ clientX, clientY }: { clientX: number; clientY: number }): Point {
  return canvasPoint({ x: clientX, y: clientY });
}

/** A click beside all else selects nothing, or the link that is drawn there from far. */
function selectFarLink(event: ReactMouseEvent): void {
  const link = farLink(pointOf(event));
  const isMore = link !== null && (event.ctrlKey || event.metaKey);
  useDocuments.getState().select(link === null ? [] : [link], isMore ? "toggle" : "replace");
}

/** From far, links are drawn without being there for the mouse: five hundred would slow it down. */
function farLink(at: Point): string | null {
  const { far } = useCanvasView.getState();
  if (!far) return null;
  return linksNear(at, FAR_REACH / (canvas()?.flow.getZoom() ?? 1))[0]?.id ?? null;
}

/** How far beside a link, in pixels of the screen, one may click. */
const FAR_REACH = 8;

function enterOn(event: ReactMouseEvent, node: CanvasNode): void {
  const isOnField =
    event.target instanceof Element && event.target.closest(".nodrag, input, textarea");
  if (node.type === "card" && !isOnField) enterBlock(node.id);
}

/** Beside the pointer, so that the card comes to lie under it. */
function cardPlace({ clientX, clientY }: DragEvent): Point {
  return canvasPoint({ x: clientX - 60, y: clientY - 16 });
}

function dragType(event: DragEvent, scene: Scene): void {
  if (dragResult(event) || dragModel(event)) return;
  const type = draggedType(event);
  if (type === null) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  aimType(scene, type, pointOf(event));
}

function leaveWithType({ currentTarget, relatedTarget }: DragEvent): void {
  if (!(relatedTarget instanceof Node) || !currentTarget.contains(relatedTarget)) endAim();
}

function dropType(event: DragEvent, scene: Scene): void {
  if (dropResult(event, scene) || dropModel(event)) return;
  const splice = endAim();
  const type = droppedType(event);
  if (type === null) return;
  event.preventDefault();
  event.stopPropagation();
  insertType(scene, type, cardPlace(event), splice);
}
