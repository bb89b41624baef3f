/** A sound's waveform, a lane for each channel, in the colours of the theme. */
import { useMemo } from "react";
import { peaksOf } from "@/model/sound";
import styles from "./SoundPlayer.module.css";
import type { Sound } from "./useSound";

const COLUMNS = 1200;
/** So that silence is a line. */
const THINNEST = 0.006;

interface Props {
  readonly sound: Sound;
  /** 0..1 of it has been played. */
  readonly played: number;
}

export function Waveform({ sound, played }: Props) {
  const paths = useMemo(() => sound.channels.map(pathOf), [sound]);
  return (
    <div className={styles.lanes}>
      {paths.map((path, channel) => (
        <div key={channel} className={styles.lane}>
          <Wave path={path} className={styles.wave} />
          <div style={{ clipPath: `inset(0 ${(1 - played) * 100}% 0 0)` }}>
            <Wave path={path} className={styles.playedWave} />
          </div>
        </div>
      ))}
    </div>
  );
}

interface WaveProps {
  readonly path: string;
  readonly className: string | undefined;
}

function Wave({ path, className }: WaveProps) {
  return (
    <svg viewBox={`0 -1 ${COLUMNS} 2`} preserveAspectRatio="none" aria-hidden="true">
      <path className={className} d={path} />
    </svg>
  );
}

function pathOf(samples: Float32Array): string {
  const peaks = peaksOf(samples, COLUMNS);
  const place = (column: number, end: 0 | 1) => {
    const [low, high] = [peaks[column * 2] ?? 0, peaks[column * 2 + 1] ?? 0];
    const value = end === 1 ? Math.max(high, low + THINNEST) : Math.min(low, high - THINNEST);
    return `${column} ${(-Math.min(1, Math.max(-1, value))).toFixed(3)}`;
  };
  const there = Array.from({ length: COLUMNS }, (_, column) => place(column, 1));
  const back = Array.from({ length: COLUMNS }, (_, column) => place(COLUMNS - 1 - column, 0));
  return `M${[...there, ...back].join("L")}Z`;
}
