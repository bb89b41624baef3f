/** A video or sound played in the card of its node; it never begins by itself. */
import { FileAudio, Pause, Play, SquareArrowOutUpRight, Volume2, VolumeX } from "lucide-react";
import { type KeyboardEvent, type ReactNode, type Ref, useEffect, useRef, useState } from "react";
import { thumbnailAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { frameItems } from "@/components/results/frames";
import { cx, IconButton, MenuButton, Slider } from "@/components/ui";
import { shortClock } from "@/components/viewers/playing";
import { t } from "@/i18n";
import styles from "./CardPlayer.module.css";

export interface PlayerProps {
  readonly artifact: ArtifactEntry;
  readonly kind: "video" | "sound";
  /** The node of the graph that gave it. */
  readonly node: string;
  /** What shows the file itself, around the video or the sign of a sound. */
  readonly children: (seen: ReactNode) => ReactNode;
}

/** The one that plays: another that is started stops it. */
let playing: HTMLMediaElement | null = null;
/** Seconds that an arrow goes on; at most this part of the whole. */
const STEP = 5;
const PARTS = 20;

export default function CardPlayer({ artifact, kind, node, children }: PlayerProps) {
  const media = useRef<HTMLVideoElement & HTMLAudioElement>(null);
  const [isPlaying, setPlaying] = useState(false);
  const [isMuted, setMuted] = useState(false);
  const [time, setTime] = useState(0);
  const [seconds, setSeconds] = useState(0);
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    const player = media.current;
    return () => {
      if (playing === player) playing = null;
    };
  }, []);
  const toggle = () => {
    const player = media.current;
    if (player === null) return;
    if (!player.paused) return player.pause();
    playing?.pause();
    playing = player;
    void player.play().catch(() => undefined);
  };
  const seek = (to: number) => {
    const player = media.current;
    if (player === null || !(seconds > 0)) return;
    player.currentTime = Math.min(seconds, Math.max(0, to));
    setTime(player.currentTime);
  };
  const step = Math.min(STEP, seconds / PARTS);
  const keys: Readonly<Record<string, () => void>> = {
    " ": toggle,
    k: toggle,
    ArrowLeft: () => seek(time - step),
    ArrowRight: () => seek(time + step),
    Home: () => seek(0),
    End: () => seek(seconds),
    m: () => setMuted(!isMuted),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    // Space presses the button that has the focus, and opens its menu.
    if (event.key === " " && event.target instanceof HTMLButtonElement) return;
    const act = keys[event.key];
    if (act === undefined) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  };
  const shared = {
    ref: media as Ref<HTMLVideoElement & HTMLAudioElement>,
    src: artifact.href,
    muted: isMuted,
    preload: "none" as const,
    onPlay: () => setPlaying(true),
    onPause: () => setPlaying(false),
    onTimeUpdate: () => setTime(media.current?.currentTime ?? 0),
    onLoadedMetadata: () => setSeconds(media.current?.duration ?? 0),
    onError: () => setBroken(true),
  };
  const waveform = kind === "sound" ? thumbnailAddress(artifact, 512) : null;
  const seen =
    kind === "video" ? (
      <video
        {...shared}
        className={styles.video}
        poster={thumbnailAddress(artifact, 512) ?? undefined}
        playsInline
        loop
        aria-label={artifact.name}
      />
    ) : (
      <span className={styles.sound}>
        <audio {...shared} aria-label={artifact.name} />
        {waveform === null ? (
          <>
            <FileAudio aria-hidden size={20} strokeWidth={1.5} />
            <span className={styles.name}>{artifact.name}</span>
          </>
        ) : (
          <img src={waveform} alt="" draggable={false} loading="lazy" decoding="async" />
        )}
      </span>
    );
  return (
    <>
      {children(seen)}
      {isBroken ? (
        <p className={styles.broken}>{t("library.player.broken")}</p>
      ) : (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
        <div
          role="group"
          aria-label={t(`library.player.${kind}`, { name: artifact.name })}
          className={cx(styles.controls, "nodrag nopan")}
          onKeyDown={onKeyDown}
        >
          <IconButton
            icon={isPlaying ? Pause : Play}
            size="s"
            label={t(isPlaying ? "viewers.pause" : "viewers.play")}
            onClick={toggle}
          />
          <Slider
            className={styles.seek}
            label={t("library.player.position")}
            value={Math.min(time, seconds)}
            min={0}
            max={seconds > 0 ? seconds : 1}
            disabled={!(seconds > 0)}
            onChange={seek}
          />
          <span className={styles.time}>
            {shortClock(time)}
            {seconds > 0 && <small> / {shortClock(seconds)}</small>}
          </span>
          <IconButton
            icon={isMuted ? VolumeX : Volume2}
            size="s"
            label={t("viewers.mute")}
            pressed={isMuted}
            onClick={() => setMuted(!isMuted)}
          />
          {kind === "video" && (
            <MenuButton
              icon={SquareArrowOutUpRight}
              size="s"
              align="end"
              label={t("library.frame.use")}
              items={() =>
                frameItems(artifact, () => ({ time: media.current?.currentTime ?? 0 }), { node })
              }
            />
          )}
        </div>
      )}
    </>
  );
}
