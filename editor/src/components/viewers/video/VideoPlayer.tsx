/** A video played, and looked through frame by frame. */
import { Maximize, Repeat, SquareArrowOutUpRight, Volume2, VolumeX } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { thumbnailAddress } from "@/api/files";
import { frameItems } from "@/components/results/frames";
import { IconButton, MenuButton, Select } from "@/components/ui";
import { t } from "@/i18n";
import { FrameSteps, stepKeys, takeKey } from "../FrameSteps";
import { clock, SPEEDS, speedOptions } from "../playing";
import type { ViewProps } from "../props";
import base from "../Viewers.module.css";
import { Unshown } from "../Waiting";
import { useFrames } from "./useFrames";
import styles from "./VideoPlayer.module.css";

export default function VideoPlayer({ artifact, onSize, onLeave }: ViewProps) {
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
  const steps = { isPlaying, toggle, frame, count, goTo };
  const keys: Readonly<Record<string, () => void>> = {
    ...stepKeys(steps),
    l: () => setLooping(!isLooping),
    m: () => setMuted(!isMuted),
    "<": () => faster(-1),
    ">": () => faster(1),
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
      data-player=""
      aria-label={t("viewers.video.label", { name: artifact.name })}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it takes the keys of the player
      tabIndex={0}
      onKeyDown={(event) => takeKey(event, keys)}
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
        <FrameSteps {...steps}>
          <span className={styles.time}>
            {clock(time)} / {clock(seconds)}
          </span>
          {rate !== null && (
            <span className={styles.rate}>
              {t("viewers.video.rate", { rate: Math.round(rate * 100) / 100 })}
            </span>
          )}
        </FrameSteps>
        <MenuButton
          icon={SquareArrowOutUpRight}
          label={t("library.frame.use")}
          align="end"
          items={() =>
            frameItems(artifact, () => (rate === null ? { time } : { index: frame }), {
              before: onLeave,
            })
          }
        />
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
