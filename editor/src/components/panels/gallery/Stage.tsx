/** One picture to be zoomed and moved, or two compared: beside, over, or subtracted. */
import { ImageOff } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, type ReactNode, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { EmptyState } from "@/components/ui";
import { FileView } from "@/components/viewers/FileView";
import { FrameSteps, stepKeys, takeKey } from "@/components/viewers/FrameSteps";
import { viewKind } from "@/components/viewers/kinds";
import { useMoving } from "@/components/viewers/useMoving";
import viewers from "@/components/viewers/Viewers.module.css";
import { t } from "@/i18n";
import styles from "./Stage.module.css";
import type { Zoom } from "./useZoom";
import type { Size, View } from "./zoom";

export type CompareMode = "slider" | "side" | "difference";

interface Props {
  readonly zoom: Zoom;
  readonly artifact: ArtifactEntry;
  /** Of the picture, once it is known. */
  readonly size: Size | null;
  readonly onSize: (size: Size) => void;
  /** What it is compared with. */
  readonly other: ArtifactEntry | null;
  readonly mode: CompareMode;
  /** What it is in closes, as what is done with a file shows something else. */
  readonly onLeave?: (() => void) | undefined;
}

export function Stage({ zoom, artifact, size, onSize, other, mode, onLeave }: Props) {
  const [place, setPlace] = useState(50);
  if (!isZoomed(artifact) || (other !== null && !isZoomed(other))) {
    return <Views artifact={artifact} onSize={onSize} other={other} onLeave={onLeave} />;
  }
  if (other === null) {
    return (
      <Single key={artifact.digest} zoom={zoom} artifact={artifact} size={size} onSize={onSize} />
    );
  }
  const left = (
    <Picture
      key={artifact.digest}
      artifact={artifact}
      view={zoom.view}
      size={size}
      onSize={onSize}
    />
  );
  // Drawn as large as the first one, so that the same parts lie over each other.
  const right = <Picture key={other.digest} artifact={other} view={zoom.view} size={size} />;
  if (mode === "side") {
    return (
      <div className={styles.beside}>
        <Frame zoom={zoom} caption={artifact.name}>
          {left}
        </Frame>
        <Frame zoom={zoom} caption={other.name} isSecond>
          {right}
        </Frame>
      </div>
    );
  }
  if (mode === "difference") {
    return (
      <Frame zoom={zoom}>
        {left}
        <div className={styles.difference}>{right}</div>
      </Frame>
    );
  }
  return (
    <Frame zoom={zoom}>
      {left}
      <div className={styles.over} style={{ clipPath: `inset(0 0 0 ${place}%)` }}>
        {right}
      </div>
      <span className={styles.nameLeft}>{artifact.name}</span>
      <span className={styles.nameRight}>{other.name}</span>
      <Divider place={place} onPlace={setPlace} />
    </Frame>
  );
}

/** One picture; one that moves is stepped through by its frames, too. */
function Single({
  zoom,
  artifact,
  size,
  onSize,
}: Pick<Props, "zoom" | "artifact" | "size" | "onSize">) {
  const moving = useMoving(size === null ? null : artifact);
  return (
    <div className={styles.view}>
      <Frame zoom={zoom}>
        {moving ? (
          <canvas
            ref={moving.canvas}
            role="img"
            aria-label={artifact.name}
            {...placed(zoom.view, size)}
          />
        ) : (
          <Picture artifact={artifact} view={zoom.view} size={size} onSize={onSize} />
        )}
      </Frame>
      {moving && (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
        <div
          className={viewers.controls}
          role="group"
          data-player=""
          aria-label={t("viewers.moving.label", { name: artifact.name })}
          onKeyDown={(event) => takeKey(event, stepKeys(moving))}
        >
          <FrameSteps {...moving} />
        </div>
      )}
    </div>
  );
}

/** Where a picture is drawn; it isn't seen until its size is known. */
function placed({ scale, x, y }: View, size: Size | null) {
  return {
    className: styles.picture,
    "data-sharp": scale >= 2 || undefined,
    style: {
      ...(size === null
        ? { visibility: "hidden" as const }
        : { width: size.width, height: size.height }),
      transform: `translate(-50%, -50%) translate(${x}px, ${y}px) scale(${scale})`,
    },
  };
}

/** Whether a file is a picture that is zoomed; others have viewers of their own. */
export function isZoomed(artifact: ArtifactEntry): boolean {
  return viewKind(artifact) === "image";
}

/** Files in the viewers of their kinds, side by side if there are two. */
type ViewsProps = Pick<Props, "artifact" | "onSize" | "other" | "onLeave">;

function Views({ artifact, onSize, other, onLeave }: ViewsProps) {
  if (other === null) {
    return (
      <div className={styles.view}>
        <FileView artifact={artifact} onSize={onSize} onLeave={onLeave} />
      </div>
    );
  }
  return (
    <div className={styles.beside}>
      {[artifact, other].map((each, at) => (
        <figure key={at} className={styles.view}>
          <FileView artifact={each} onSize={at === 0 ? onSize : undefined} onLeave={onLeave} />
          <figcaption>{each.name}</figcaption>
        </figure>
      ))}
    </div>
  );
}

interface FrameProps {
  readonly zoom: Zoom;
  readonly children: ReactNode;
  readonly caption?: string | undefined;
  /** The first one measures for both. */
  readonly isSecond?: boolean;
}

function Frame({ zoom, children, caption, isSecond = false }: FrameProps) {
  return (
    <div
      ref={isSecond ? undefined : zoom.frame}
      className={styles.frame}
      data-fitted={zoom.isFitted}
      {...zoom.pointer}
    >
      {children}
      {caption && <span className={styles.nameLeft}>{caption}</span>}
    </div>
  );
}

interface PictureProps {
  readonly artifact: ArtifactEntry;
  readonly view: View;
  readonly size: Size | null;
  readonly onSize?: (size: Size) => void;
}

function Picture({ artifact, view, size, onSize }: PictureProps) {
  const [isBroken, setBroken] = useState(false);
  if (isBroken) {
    return (
      <div className={styles.none}>
        <EmptyState icon={ImageOff} title={t("panels.viewer.noPreview")}>
          {t("panels.viewer.noPreviewHint")}
        </EmptyState>
      </div>
    );
  }
  return (
    <img
      {...placed(view, size)}
      src={artifact.href}
      alt={artifact.name}
      draggable={false}
      onLoad={(event) => {
        const { naturalWidth: width, naturalHeight: height } = event.currentTarget;
        onSize?.({ width, height });
      }}
      onError={() => setBroken(true)}
    />
  );
}

interface DividerProps {
  readonly place: number;
  readonly onPlace: (place: number) => void;
}

/** The line between two pictures, dragged or moved by arrows. */
function Divider({ place, onPlace }: DividerProps) {
  const set = (next: number) => onPlace(Math.min(100, Math.max(0, next)));
  const drag = (event: PointerEvent) => {
    event.stopPropagation();
    const box = event.currentTarget.parentElement?.getBoundingClientRect();
    if (event.buttons !== 1 || box === undefined || box.width === 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    set(((event.clientX - box.left) / box.width) * 100);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.shiftKey ? 10 : 1;
    const next = {
      ArrowLeft: place - step,
      ArrowRight: place + step,
      Home: 0,
      End: 100,
    }[event.key];
    if (next === undefined) return;
    set(next);
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label={t("panels.viewer.divider")}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(place)}
      className={styles.divider}
      style={{ left: `${place}%` }}
      onPointerDown={drag}
      onPointerMove={drag}
      onKeyDown={onKeyDown}
      onDoubleClick={(event) => {
        event.stopPropagation();
        set(50);
      }}
    />
  );
}
