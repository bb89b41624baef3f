/** A video played, and looked through frame by frame. */
import {
  ChevronLeft,
  ChevronRight,
  Maximize,
  Pause,
  Play,
  Repeat,
  Volume2,
  VolumeX,
} from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { thumbnailAddress } from "@/api/client";
import { IconButton, Select, Slider } from "@/components/ui";
import { t } from "@/i18n";
import { clock, SPEEDS, speedOptions } from "../playing";
import type { ViewProps } from "../props";
import base from "../Viewers.module.css";
import { Unshown } from "../Waiting";
import { useFrames } from "./useFrames";
import styles from "./VideoPlayer.module.css";

/** Frames that Shift and an arrow go on. */
const FAR = 10;

export default function VideoPlayer({ artifact, onSize }: ViewProps) {
  const video = useRef<HTMLVideoElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [seconds, setSeconds] = useState(0);
  const [isPlaying, setPlaying] = useState(false);
  const [isLooping, setLooping] = useState(true);
  const [isMuted, setMuted] = useState(false);
  const [speed, setSpeed] = useState("1");
  const [isBroken, setBroken] = useState(false);
  const { frame, count, rate, time, goTo } = useFrames(artifact, video, seconds);
  const tell = ({ duration, videoWidth, videoHeight }: HTMLVideoElement) => {
    setSeconds(duration);
    onSize?.({ width: videoWidth, height: videoHeight });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was read before it was shown, once
  useEffect(() => {
    if (video.current && video.current.readyState > 0) tell(video.current);
  }, []);
  const toggle = () => {
    const player = video.current;
    if (player === null) return;
    if (player.paused) void player.play().catch(() => undefined);
    else player.pause();
  };
  const changeSpeed = (next: string) => {
    setSpeed(next);
    if (video.current) video.current.playbackRate = Number(next);
  };
  const faster = (by: number) =>
    changeSpeed(
      SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(speed) + by))] ?? "1",
    );
  const keys: Readonly<Record<string, () => void>> = {
    " ": toggle,
    k: toggle,
    ArrowLeft: () => goTo(frame - 1),
    ArrowRight: () => goTo(frame + 1),
    Home: () => goTo(0),
    End: () => goTo(count - 1),
    l: () => setLooping(!isLooping),
    m: () => setMuted(!isMuted),
    "<": () => faster(-1),
    ">": () => faster(1),
  };
  const far: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => goTo(frame - FAR),
    ArrowRight: () => goTo(frame + FAR),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLSelectElement) return event.stopPropagation();
    if (event.key === " " && event.target instanceof HTMLButtonElement) return;
    const act = (event.shiftKey && far[event.key]) || keys[event.key];
    if (act === undefined) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  };
  if (isBroken) {
    return (
      <div className={base.waiting}>
        <Unshown />
      </div>
    );
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div
      ref={box}
      className={base.viewer}
      role="group"
      aria-label={t("viewers.video.label", { name: artifact.name })}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it takes the keys of the player
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div className={base.stage}>
        <video
          ref={video}
          className={styles.video}
          src={artifact.href}
          poster={thumbnailAddress(artifact, 512) ?? undefined}
          aria-label={artifact.name}
          loop={isLooping}
          muted={isMuted}
          playsInline
          preload="auto"
          onClick={toggle}
          onLoadedMetadata={({ currentTarget }) => tell(currentTarget)}
          onPlay={() => setPlaying(true)}
          onPause={() => setPlaying(false)}
          onError={() => setBroken(true)}
        />
      </div>
      <div className={base.controls}>
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
          <span className={styles.time}>
            {clock(time)} / {clock(seconds)}
          </span>
          {rate !== null && (
            <span className={styles.rate}>
              {t("viewers.video.rate", { rate: Math.round(rate * 100) / 100 })}
            </span>
          )}
        </output>
        <IconButton
          icon={Repeat}
          label={t("viewers.loop")}
          keys="l"
          pressed={isLooping}
          onClick={() => setLooping(!isLooping)}
        />
        <Select
          className={base.speed}
          label={t("viewers.speed")}
          value={speed}
          options={speedOptions()}
          onChange={changeSpeed}
        />
        <IconButton
          icon={isMuted ? VolumeX : Volume2}
          label={t("viewers.mute")}
          keys="m"
          pressed={isMuted}
          onClick={() => setMuted(!isMuted)}
        />
        <IconButton
          icon={Maximize}
          label={t("viewers.fullscreen")}
          onClick={() => void fillScreen(box.current)}
        />
      </div>
    </div>
  );
}

async function fillScreen(box: HTMLElement | null): Promise<void> {
  if (document.fullscreenElement === null) await box?.requestFullscreen().catch(() => undefined);
  else await document.exitFullscreen();
}
