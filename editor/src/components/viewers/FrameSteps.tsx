/** Playing and stepping through what has frames: a video, or a picture that moves. */
import { ChevronLeft, ChevronRight, Pause, Play } from "lucide-react";
import type { KeyboardEvent, ReactNode } from "react";
import { IconButton, Slider } from "@/components/ui";
import { t } from "@/i18n";
import base from "./Viewers.module.css";

export interface Steps {
  readonly isPlaying: boolean;
  readonly toggle: () => void;
  /** The one that is shown, counted from 0, of `count`. */
  readonly frame: number;
  readonly count: number;
  /** Show a frame and stay there; beyond the ends it is the last or the first. */
  readonly goTo: (frame: number) => void;
}

/** Frames that Shift and an arrow go on. */
const FAR = 10;

type Keys = Readonly<Record<string, () => void>>;

/** What keys do; those that are pressed with Shift begin with it. */
export function stepKeys({ toggle, frame, count, goTo }: Steps): Keys {
  return {
    " ": toggle,
    k: toggle,
    ArrowLeft: () => goTo(frame - 1),
    ArrowRight: () => goTo(frame + 1),
    ShiftArrowLeft: () => goTo(frame - FAR),
    ShiftArrowRight: () => goTo(frame + FAR),
    Home: () => goTo(0),
    End: () => goTo(count - 1),
  };
}

export function takeKey(event: KeyboardEvent, keys: Keys): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLSelectElement) {
    event.stopPropagation();
    return;
  }
  if (event.key === " " && event.target instanceof HTMLButtonElement) return;
  const act = (event.shiftKey && keys[`Shift${event.key}`]) || keys[event.key];
  if (act === undefined) return;
  act();
  event.preventDefault();
  event.stopPropagation();
}

/** The buttons, the slider, and which frame is shown; `children` tell more of it. */
export function FrameSteps(props: Steps & { readonly children?: ReactNode }) {
  const { isPlaying, toggle, frame, count, goTo, children } = props;
  return (
    <>
      <IconButton
        icon={isPlaying ? Pause : Play}
        label={t(isPlaying ? "viewers.pause" : "viewers.play")}
        keys="Space"
        onClick={toggle}
      />
      <IconButton
        icon={ChevronLeft}
        label={t("viewers.video.back")}
        keys="ArrowLeft"
        onClick={() => goTo(frame - 1)}
      />
      <IconButton
        icon={ChevronRight}
        label={t("viewers.video.on")}
        keys="ArrowRight"
        onClick={() => goTo(frame + 1)}
      />
      <Slider
        className={base.place}
        label={t("viewers.video.frame")}
        value={frame}
        min={0}
        max={Math.max(1, count - 1)}
        step={1}
        onChange={goTo}
      />
      <output className={base.told} aria-live={isPlaying ? "off" : "polite"}>
        {t("viewers.video.frameOf", { frame: frame + 1, count })}
        {children}
      </output>
    </>
  );
}
