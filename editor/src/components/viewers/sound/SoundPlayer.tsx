/** A sound played, with its waveform to seek in and, if wanted, its spectrogram. */
import { AudioLines, Pause, Play, Repeat, SkipBack } from "lucide-react";
import {
  type KeyboardEvent,
  type PointerEvent,
  type RefObject,
  useEffect,
  useRef,
  useState,
} from "react";
import { cx, IconButton, Select, Slider } from "@/components/ui";
import { t } from "@/i18n";
import { clock, speedOptions } from "../playing";
import type { ViewProps } from "../props";
import base from "../Viewers.module.css";
import { Waiting } from "../Waiting";
import styles from "./SoundPlayer.module.css";
import { SpectrogramView } from "./SpectrogramView";
import { type Sound, useSound } from "./useSound";
import { Waveform } from "./Waveform";

export default function SoundPlayer({ artifact }: ViewProps) {
  const audio = useRef<HTMLAudioElement>(null);
  const fetched = useSound(artifact);
  const [length, setLength] = useState(0);
  const [isPlaying, setPlaying] = useState(false);
  const [isLooping, setLooping] = useState(false);
  const [hasSpectrum, setSpectrum] = useState(false);
  const [speed, setSpeed] = useState("1");
  const [volume, setVolume] = useState(1);
  const time = useTime(audio, isPlaying);
  const sound = fetched.state === "ready" ? fetched.value : null;
  useEffect(() => {
    // What was read before it was shown.
    if (audio.current && audio.current.readyState > 0) setLength(audio.current.duration);
  }, []);
  const seconds = sound?.seconds ?? length;
  const seek = (to: number) => {
    const player = audio.current;
    if (player === null || !(seconds > 0)) return;
    player.currentTime = Math.min(seconds, Math.max(0, to));
  };
  const toggle = () => {
    const player = audio.current;
    if (player === null) return;
    if (player.paused) void player.play().catch(() => undefined);
    else player.pause();
  };
  const keys: Readonly<Record<string, () => void>> = {
    " ": toggle,
    k: toggle,
    ArrowLeft: () => seek(time - seconds / 100),
    ArrowRight: () => seek(time + seconds / 100),
    PageDown: () => seek(time - seconds / 10),
    PageUp: () => seek(time + seconds / 10),
    Home: () => seek(0),
    End: () => seek(seconds),
    l: () => setLooping(!isLooping),
    s: () => setSpectrum(!hasSpectrum),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    const isField = target instanceof HTMLSelectElement || target instanceof HTMLInputElement;
    if (isField) return event.stopPropagation();
    if (event.key === " " && target instanceof HTMLButtonElement) return;
    const act = keys[event.key];
    if (act === undefined) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div
      className={base.viewer}
      role="group"
      data-player=""
      aria-label={t("viewers.sound.label", { name: artifact.name })}
      onKeyDown={onKeyDown}
    >
      {/* biome-ignore lint/a11y/useMediaCaption: what nodes make has none */}
      <audio
        ref={audio}
        src={artifact.href}
        loop={isLooping}
        preload="metadata"
        onLoadedMetadata={({ currentTarget }) => setLength(currentTarget.duration)}
        onPlay={() => setPlaying(true)}
        onPause={() => setPlaying(false)}
      />
      <div className={base.stage}>
        {sound === null ? (
          <Waiting artifact={artifact} fetched={fetched} />
        ) : (
          <Seeker sound={sound} time={time} hasSpectrum={hasSpectrum} onSeek={seek} />
        )}
      </div>
      <div className={base.controls}>
        <IconButton
          icon={isPlaying ? Pause : Play}
          label={t(isPlaying ? "viewers.pause" : "viewers.play")}
          keys="Space"
          onClick={toggle}
        />
        <IconButton
          icon={SkipBack}
          label={t("viewers.toStart")}
          keys="Home"
          onClick={() => seek(0)}
        />
        <output className={base.told} aria-live="off">
          {clock(time)} / {clock(seconds)}
          {sound && (
            <span className={styles.channels}>
              {t(sound.channels.length === 1 ? "viewers.sound.mono" : "viewers.sound.stereo")}
            </span>
          )}
        </output>
        <span className={base.gap} />
        <IconButton
          icon={AudioLines}
          label={t("viewers.sound.spectrogram")}
          keys="s"
          pressed={hasSpectrum}
          disabled={sound === null}
          onClick={() => setSpectrum(!hasSpectrum)}
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
          onChange={(next) => {
            setSpeed(next);
            if (audio.current) audio.current.playbackRate = Number(next);
          }}
        />
        <Slider
          className={base.volume}
          label={t("viewers.volume")}
          value={volume}
          min={0}
          max={1}
          step={0.05}
          onChange={(next) => {
            setVolume(next);
            if (audio.current) audio.current.volume = next;
          }}
        />
      </div>
    </div>
  );
}

interface SeekerProps {
  readonly sound: Sound;
  readonly time: number;
  readonly hasSpectrum: boolean;
  readonly onSeek: (seconds: number) => void;
}

/** The drawn sound, in which a press or drag goes to a time. */
function Seeker({ sound, time, hasSpectrum, onSeek }: SeekerProps) {
  const { seconds } = sound;
  const played = seconds > 0 ? Math.min(1, time / seconds) : 0;
  const drag = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    if (event.buttons !== 1 || box.width === 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    onSeek(((event.clientX - box.left) / box.width) * seconds);
  };
  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label={t("viewers.sound.place")}
      aria-valuemin={0}
      aria-valuemax={Math.round(seconds * 100) / 100}
      aria-valuenow={Math.round(time * 100) / 100}
      aria-valuetext={t("viewers.sound.placeOf", { time: clock(time), length: clock(seconds) })}
      className={cx(styles.seeker, hasSpectrum && styles.both)}
      onPointerDown={drag}
      onPointerMove={drag}
    >
      <Waveform sound={sound} played={played} />
      {hasSpectrum && <SpectrogramView sound={sound} />}
      <span className={styles.head} style={{ left: `${played * 100}%` }} />
    </div>
  );
}

/** The time that is played, as often as the screen is drawn. */
function useTime(audio: RefObject<HTMLAudioElement | null>, isPlaying: boolean): number {
  const [time, setTime] = useState(0);
  useEffect(() => {
    const player = audio.current;
    if (player === null) return;
    const update = () => setTime(player.currentTime);
    for (const name of ["seeking", "seeked", "timeupdate", "ended"])
      player.addEventListener(name, update);
    let handle = 0;
    const follow = () => {
      update();
      handle = requestAnimationFrame(follow);
    };
    if (isPlaying) follow();
    return () => {
      cancelAnimationFrame(handle);
      for (const name of ["seeking", "seeked", "timeupdate", "ended"])
        player.removeEventListener(name, update);
    };
  }, [audio, isPlaying]);
  return time;
}
