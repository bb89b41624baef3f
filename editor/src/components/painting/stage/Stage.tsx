import {
  type CSSProperties,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { t } from "@/i18n";
import { isLayer } from "@/model/painting/types";
import { BoxFrame } from "./BoxFrame";
import { beginGesture, type Ground, type HeldKeys } from "./gestures";
import type { Point } from "./pixels/geometry";
import { Painter } from "./pixels/painter";
import { contours, isNone, NO_SELECTION, type Selection } from "./pixels/selection";
import type { Sample } from "./pixels/strokePath";
import { ResultFrame } from "./ResultFrame";
import styles from "./Stage.module.css";
import { StageOverlay } from "./StageOverlay";
import type { StageProps } from "./stageProps";
import { TransformFrame } from "./TransformFrame";
import { useBrushCursor } from "./useBrushCursor";
import { useFloating } from "./useFloating";
import { type ObjectSelecting, useObjectPrompt } from "./useObjectPrompt";
import { useStageHandle } from "./useStageHandle";
import { useStageKeyboard } from "./useStageKeyboard";
import { useStagePointer } from "./useStagePointer";
import { useStageSize } from "./useStageSize";
import { useStageWheel } from "./useStageWheel";

/** From here on lines between the pixels are shown. */
const GRID_ZOOM = 8;
/** Milliseconds for which it is said why a tool did nothing. */
const NOTE_TIME = 5000;

const NO_OBJECTS: ObjectSelecting = {
  point: () => undefined,
  frame: () => undefined,
  words: () => undefined,
};

/** The painting canvas: shows all layers, and is painted on with the tool that is chosen. */
export function Stage(props: StageProps) {
  const { canvas, active, tool, view } = props;
  const element = useRef<HTMLDivElement>(null);
  const visible = useRef<HTMLCanvasElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const size = useStageSize(element);
  const [painter, setPainter] = useState<Painter | null>(null);
  const [pictures, setPictures] = useState(0);
  const [shape, setShape] = useState<string | null>(null);
  const [note, setNote] = useState<string | null>(null);
  const lastStroke = useRef<Point | null>(null);
  const pointing = useRef<ObjectSelecting>(NO_OBJECTS);
  const keysId = useId();
  const [selecting, outline] = useSelection(props.onSelection);
  const floating = useFloating(painter, latest, selecting);
  const lifted = floating.current();

  useLayoutEffect(() => {
    // Without it, as in tests, everything but the pixels is shown.
    if (visible.current === null || typeof OffscreenCanvas === "undefined") return;
    const made = new Painter(visible.current, () => setPictures((count) => count + 1));
    setPainter(made);
    return () => made.dispose();
  }, []);

  useLayoutEffect(() => {
    const ratio = typeof devicePixelRatio === "number" ? devicePixelRatio : 1;
    painter?.update({ ...props, size, ratio }, active);
  });

  useEffect(() => {
    if (note === null) return;
    const timer = setTimeout(() => setNote(null), NOTE_TIME);
    return () => clearTimeout(timer);
  }, [note]);

  const ground = useCallback((): Ground | null => {
    if (painter === null) return null;
    const now = latest.current;
    return {
      painter,
      canvas: now.canvas,
      active: now.active,
      tool: now.tool,
      selection: selecting.current(),
      last: lastStroke.current,
      stroked: (end) => {
        lastStroke.current = end;
      },
      painting: () => latest.current.onPaint?.(),
      select: selecting.select,
      outline: setShape,
      floating,
      object: pointing.current,
      onPlacements: now.onPlacements,
      onBox: now.onBox,
      onColor: now.onColor,
      onActive: now.onActive,
      label: (what) => t(`stage.did.${what}`),
      onRefused: (why) =>
        setNote(
          why === undefined
            ? refusal(now, latest.current.canvas, painter)
            : t(`stage.refused.${why}`),
        ),
    };
  }, [painter, selecting, floating]);
  const object = useObjectPrompt(latest, ground, selecting, setNote);
  pointing.current = object;

  const begin = useCallback(
    (start: Sample, keys: HeldKeys, erases = false) => {
      const now = ground();
      if (now === null) return null;
      setNote(null);
      const name = erases ? "eraser" : now.tool.name;
      return beginGesture({ ...now, tool: { ...now.tool, name } }, start, keys);
    },
    [ground],
  );

  const cursor = useBrushCursor(tool, view);
  const stop = useRef<() => boolean>(() => false);
  const handle = useStageHandle(
    props.ref,
    useMemo(
      () => ({
        ground,
        size,
        element: () => element.current,
        select: selecting.select,
        selection: selecting.current,
        cancel: () => void stop.current(),
        props: () => latest.current,
      }),
      [ground, size, selecting],
    ),
  );
  const pointer = useStagePointer({
    view,
    tool: tool.name,
    isHeld: () => keyboard.isHeld(),
    begin,
    onView: props.onView,
    onHover: cursor.show,
  });
  const keyboard = useStageKeyboard({
    props,
    size,
    handle,
    spot: cursor.spot,
    onSpot: cursor.show,
    floating,
    begin,
    cancelPointer: pointer.cancel,
  });
  stop.current = keyboard.cancel;
  useStageWheel(element, pointer);

  const layer = canvas.entries.filter(isLayer).find(({ node }) => node === active) ?? null;
  const name = layer?.title ?? "";
  // With a selection its pixels are moved, and else the whole layer.
  const isWhole = layer !== null && !layer.locked && outline === null;
  const own = isWhole ? (painter?.pixels.placement(layer.node) ?? null) : null;
  const frame = lifted?.placement ?? own;
  const variables = {
    "--zoom": view.zoom,
    "--x": `${-view.x * view.zoom}px`,
    "--y": `${-view.y * view.zoom}px`,
  } as CSSProperties;
  const tools = keyboard.isHolding ? "pan" : tool.name;
  return (
    <div className={styles.frame} style={variables} data-pictures={pictures}>
      <div
        ref={element}
        className={styles.stage}
        role="application"
        aria-label={props.label ?? (name === "" ? t("stage.empty") : t("stage.name", { name }))}
        aria-describedby={keysId}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is painted on by keys
        tabIndex={0}
        data-tool={tools}
        data-stage=""
        {...pointer.handlers}
        {...keyboard.handlers}
      >
        <canvas ref={visible} className={styles.pixels} />
        <ResultFrame candidate={props.candidate} progress={props.progress} box={canvas.box} />
        {view.zoom >= GRID_ZOOM && <div className={styles.grid} />}
        <StageOverlay
          box={canvas.box}
          view={view}
          size={size}
          selection={lifted?.isMoved ? null : outline}
          shape={shape}
          pointing={tool.name === "object" ? object.pointing : null}
        />
        <div ref={cursor.ref} className={styles.cursor} data-down={keyboard.isDown || undefined} />
      </div>
      <BoxFrame canvas={canvas} view={view} tool={tool} onBox={props.onBox} />
      {tool.name === "move" && frame !== null && (
        <TransformFrame
          placement={frame}
          view={view}
          onChange={(placement, done) => {
            if (lifted !== null) floating.place(placement);
            else if (layer !== null) props.onPlacements(new Map([[layer.node, placement]]), done);
          }}
        />
      )}
      {object.isBusy && <p className={styles.busy}>{t("stage.finding")}</p>}
      <p role="status" className={styles.note}>
        {note}
      </p>
      <p id={keysId} className={styles.keys}>
        {props.keys ?? t("stage.keys")}
      </p>
    </div>
  );
}

/** Why nothing can be painted on the layer that was active as a stroke began. */
function refusal(
  { canvas, active }: StageProps,
  now: StageProps["canvas"],
  painter: Painter,
): string {
  const layer = canvas.entries.filter(isLayer).find(({ node }) => node === active);
  if (layer === undefined || layer.kind === "reference") return t("stage.refused.none");
  // Another person may delete it while it is painted on.
  if (!now.entries.some(({ node }) => node === active)) return t("stage.refused.deleted");
  if (layer.locked) return t("stage.refused.locked");
  if (layer.picture === null) return t("stage.refused.computed");
  if (!painter.layers.some(({ node }) => node === active)) return t("stage.refused.hidden");
  return painter.pixels.isReady(layer.node) ? t("stage.refused.large") : t("stage.refused.loading");
}

/** The selection, and its outline as an SVG path in pixels of the canvas. */
function useSelection(onSelection: ((hasSelection: boolean) => void) | undefined) {
  const selection = useRef<Selection>(NO_SELECTION);
  const [path, setPath] = useState<string | null>(null);
  const told = useRef(onSelection);
  told.current = onSelection;
  const actions = useMemo(
    () => ({
      current: () => selection.current,
      select(next: Selection) {
        selection.current = next;
        setPath(isNone(next) ? null : pathOf(contours(next)));
        told.current?.(!isNone(next));
      },
    }),
    [],
  );
  return [actions, path] as const;
}

function pathOf(lines: readonly (readonly Point[])[]): string {
  return lines.map((line) => `M${line.map(({ x, y }) => `${x} ${y}`).join("L")}Z`).join("");
}
