import { type PointerEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { t } from "@/i18n";
import type { Point } from "@/model/layout";
import {
  drawStrokes,
  type Margins,
  type PaintedLayer,
  type Stroke,
  withMargin,
} from "@/model/strokes";
import styles from "./LayersDialog.module.css";

const SIDES = ["left", "top", "right", "bottom"] as const;
/** Around the frame, in pixels of the screen, so that its sides can be taken. */
const MARGIN = 48;
/** Rarely the colour of what is beneath. */
const MASKED = "#12c8ff";

interface Props {
  readonly artifact: ArtifactEntry;
  readonly frame: Margins;
  readonly strokes: readonly Stroke[];
  /** What the pointer paints; null where it paints nothing. */
  readonly brush: Omit<Stroke, "points"> | null;
  readonly onFrame: (frame: Margins) => void;
  readonly onStroke: (stroke: Stroke) => void;
}

/** The picture within its frame, and what is painted over it. */
export function LayerStage({ artifact, frame, strokes, brush, onFrame, onStroke }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState({ width: 800, height: 600 });
  const [painting, setPainting] = useState<Stroke | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(() =>
      setRoom({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const [width, height] = [artifact.width ?? 512, artifact.height ?? 512];
  const whole = {
    width: width + frame.left + frame.right,
    height: height + frame.top + frame.bottom,
  };
  const scale = Math.max(
    0.05,
    Math.min((room.width - 2 * MARGIN) / whole.width, (room.height - 2 * MARGIN) / whole.height, 4),
  );
  const all = painting === null ? strokes : [...strokes, painting];
  const pointOf = (event: PointerEvent): Point => {
    const rect = event.currentTarget.getBoundingClientRect();
    return {
      x: (event.clientX - rect.left) / scale - frame.left,
      y: (event.clientY - rect.top) / scale - frame.top,
    };
  };
  const down = (event: PointerEvent) => {
    if (brush === null || event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setPainting({ ...brush, points: [pointOf(event)] });
  };
  const move = (event: PointerEvent) => {
    if (painting === null) return;
    setPainting({ ...painting, points: [...painting.points, pointOf(event)] });
  };
  const up = () => {
    if (painting !== null) onStroke(painting);
    setPainting(null);
  };
  const size = { width: whole.width * scale, height: whole.height * scale };
  return (
    <div ref={box} className={styles.stage}>
      <div
        role="img"
        aria-label={t("layers.stage", { ...whole })}
        className={styles.frame}
        data-paints={brush !== null || undefined}
        style={size}
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={up}
        onPointerCancel={up}
      >
        <img
          src={artifact.href}
          alt=""
          draggable={false}
          className={styles.base}
          style={{
            left: frame.left * scale,
            top: frame.top * scale,
            width: width * scale,
            height: height * scale,
          }}
        />
        <Painted strokes={all} layer="sketch" frame={frame} whole={whole} />
        <Painted strokes={all} layer="mask" frame={frame} whole={whole} />
      </div>
      <div className={styles.handles} style={size}>
        {SIDES.map((side) => (
          <Handle key={side} side={side} scale={scale} frame={frame} onFrame={onFrame} />
        ))}
      </div>
    </div>
  );
}

interface PaintedProps {
  readonly strokes: readonly Stroke[];
  readonly layer: PaintedLayer;
  readonly frame: Margins;
  readonly whole: { readonly width: number; readonly height: number };
}

function Painted({ strokes, layer, frame, whole }: PaintedProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, whole.width, whole.height);
    drawStrokes(context, strokes, layer, frame, layer === "mask" ? MASKED : null);
  }, [strokes, layer, frame, whole.width, whole.height]);
  return <canvas ref={canvas} className={styles.painted} data-layer={layer} {...whole} />;
}

interface HandleProps {
  readonly side: (typeof SIDES)[number];
  readonly scale: number;
  readonly frame: Margins;
  readonly onFrame: (frame: Margins) => void;
}

/** A side of the frame, which is dragged outwards; its field does the same by keyboard. */
function Handle({ side, scale, frame, onFrame }: HandleProps) {
  const start = useRef<{
    readonly at: number;
    readonly from: number;
    readonly scale: number;
  } | null>(null);
  const isAcross = side === "left" || side === "right";
  const sign = side === "left" || side === "top" ? -1 : 1;
  const placeOf = (event: PointerEvent) => (isAcross ? event.clientX : event.clientY);
  return (
    <div
      className={styles.handle}
      data-side={side}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        // The picture gets smaller meanwhile: what counts is how it was at first.
        start.current = { at: placeOf(event), from: frame[side], scale };
      }}
      onPointerMove={(event) => {
        if (start.current === null) return;
        const { at, from, scale: first } = start.current;
        onFrame(withMargin(frame, side, from + (sign * (placeOf(event) - at)) / first));
      }}
      onPointerUp={() => {
        start.current = null;
      }}
    />
  );
}
