import {
  type KeyboardEvent as ReactKeyboardEvent,
  useCallback,
  useId,
  useRef,
  useState,
} from "react";
import { t } from "@/i18n";
import { nextBrushSize } from "@/model/painting/brushKeys";
import styles from "./MaskPainter.module.css";
import { MaskTools } from "./MaskTools";
import type { Brush } from "./maskLayer";
import { painterKey } from "./painterKeys";
import type { Pixels } from "./png";
import type { Spot } from "./spots";
import { type MaskCanvases, type OpenPicture, useMaskCanvases } from "./useMaskLayer";
import { usePainting } from "./usePainting";
import { usePen } from "./usePen";
import { usePointer } from "./usePointer";
import { useZoom } from "./useZoom";

interface Props {
  readonly open: OpenPicture;
  readonly name: string;
  readonly disabled: boolean;
  readonly onPaint: () => void;
}

/** Paints on the mask of a picture with pointer or keys; the layer itself is changed. */
export function MaskPainter({ open, name, disabled, onPaint }: Props) {
  const { pixels, layer } = open;
  const largest = Math.max(16, Math.round(Math.max(pixels.width, pixels.height) / 2));
  const [brush, setBrush] = useState<Brush>({
    size: Math.max(2, Math.round(Math.min(pixels.width, pixels.height) / 8)),
    feather: 0.25,
    erases: false,
  });
  const [spot, setSpot] = useState<Spot | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const keysId = useId();
  const canvases = useMaskCanvases(open);
  const zooming = useZoom(box, pixels.width, pixels.height);

  const spotOf = useCallback(
    (event: { clientX: number; clientY: number }): Spot => {
      const frame = stage.current?.getBoundingClientRect();
      if (frame === undefined) return { x: 0, y: 0 };
      return {
        x: ((event.clientX - frame.left) / frame.width) * pixels.width,
        y: ((event.clientY - frame.top) / frame.height) * pixels.height,
      };
    },
    [pixels],
  );

  const { painting, actions } = usePainting({ layer, brush, canvases, onHover: setSpot, onPaint });
  const pointer = usePointer({ box, spotOf, painting, zoomTo: zooming.zoomTo });

  const pen = usePen({
    painting,
    spot,
    size: pixels,
    step: Math.max(1, Math.round(brush.size / 2)),
    onMove: (to) => {
      setSpot(to);
      keepInView(to);
    },
  });

  function keepInView(at: Spot) {
    const room = box.current;
    const picture = stage.current;
    if (room === null || picture === null) return;
    const [frame, view] = [picture.getBoundingClientRect(), room.getBoundingClientRect()];
    const x = frame.left + at.x * zooming.zoom - view.left;
    const y = frame.top + at.y * zooming.zoom - view.top;
    if (x < 24 || x > view.width - 24) room.scrollLeft += x - view.width / 2;
    if (y < 24 || y > view.height - 24) room.scrollTop += y - view.height / 2;
  }

  function pressed(event: ReactKeyboardEvent) {
    const key = painterKey(event);
    const onCanvas = event.target === stage.current;
    // Sliders and buttons keep the keys that move and press them.
    if (key === null || disabled || (!onCanvas && isOfControls(key.kind))) return;
    event.preventDefault();
    event.stopPropagation();
    if (key.kind === "move") pen.moveBy(key.x, key.y, key.shift);
    else if (key.kind === "size")
      setBrush({ ...brush, size: nextBrushSize(brush.size, key.by, largest) });
    else if (key.kind === "zoom") zoomBy(key.by);
    else if (key.kind === "hold") pen.drop();
    else if (key.kind === "pen") pen.isDown ? pen.lift() : pen.drop();
    else if (key.kind === "brush" || key.kind === "eraser")
      setBrush({ ...brush, erases: key.kind === "eraser" });
    else {
      pen.lift();
      actions[key.kind]();
    }
  }

  function zoomBy(by: "in" | "out" | "fit" | "actual") {
    ({ in: zooming.zoomIn, out: zooming.zoomOut, fit: zooming.fit, actual: zooming.actual })[by]();
  }

  function released(event: ReactKeyboardEvent) {
    if (event.key === " " && event.target === stage.current) pen.lift();
  }

  const size = { width: pixels.width * zooming.zoom, height: pixels.height * zooming.zoom };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the painter as a whole, such as undo
    <div className={styles.painter} onKeyDown={pressed} onKeyUp={released}>
      <MaskTools
        brush={brush}
        largest={largest}
        layer={layer}
        zooming={zooming}
        disabled={disabled}
        onBrush={setBrush}
        {...actions}
      />
      <div ref={box} className={styles.box}>
        <div className={styles.room}>
          <div
            ref={stage}
            className={styles.stage}
            style={size}
            role="application"
            aria-label={t("mask.canvas", { name })}
            aria-describedby={keysId}
            // biome-ignore lint/a11y/noNoninteractiveTabindex: it is painted on by keys
            tabIndex={0}
            data-autofocus
            {...(disabled ? {} : pointer)}
            onBlur={pen.lift}
          >
            <Layers canvases={canvases} pixels={pixels} coarse={zooming.zoom > 2} />
            {spot !== null && (
              <Tip spot={spot} size={brush.size} zoom={zooming.zoom} down={pen.isDown} />
            )}
          </div>
        </div>
      </div>
      <Foot pixels={pixels} share={layer.share} spot={spot} penDown={pen.isDown} />
      <p id={keysId} className={styles.keys}>
        {t("mask.keys")} {t("mask.hint")}
      </p>
    </div>
  );
}

interface LayersProps {
  readonly canvases: MaskCanvases;
  readonly pixels: Pixels;
  /** Large enough that single pixels are to be told apart. */
  readonly coarse: boolean;
}

function Layers({ canvases, pixels, coarse }: LayersProps) {
  const { width, height } = pixels;
  const layer = coarse ? styles.coarse : styles.layer;
  return (
    <>
      <canvas ref={canvases.picture} width={width} height={height} className={layer} />
      <canvas
        ref={canvases.mask}
        width={width}
        height={height}
        className={`${layer} ${styles.mask}`}
        data-testid="mask-layer"
      />
    </>
  );
}

interface FootProps {
  readonly pixels: Pixels;
  /** Of the picture that is masked, 0 to 1. */
  readonly share: number;
  readonly spot: Spot | null;
  readonly penDown: boolean;
}

function Foot({ pixels, share, spot, penDown }: FootProps) {
  return (
    <div className={styles.foot}>
      <span aria-live="polite">
        {penDown && `${t("mask.penDown")} · `}
        {t("mask.masked", { percent: Math.round(share * 1000) / 10 })}
      </span>
      <span className={styles.faint}>
        {t("mask.pixels", { width: pixels.width, height: pixels.height })}
        {spot !== null && ` · ${t("mask.at", { x: Math.round(spot.x), y: Math.round(spot.y) })}`}
      </span>
    </div>
  );
}

function isOfControls(kind: string): boolean {
  return kind === "move" || kind === "hold" || kind === "pen";
}

function Tip(props: { spot: Spot; size: number; zoom: number; down: boolean }) {
  const width = Math.max(3, props.size * props.zoom);
  const place = `translate(${props.spot.x * props.zoom - width / 2}px, ${props.spot.y * props.zoom - width / 2}px)`;
  return (
    <div
      className={props.down ? styles.tipDown : styles.tip}
      style={{ width, height: width, transform: place }}
    />
  );
}
