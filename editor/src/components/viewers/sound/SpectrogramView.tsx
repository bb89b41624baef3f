/** How loud each pitch of a sound is over time, as colours. */
import { useEffect, useRef } from "react";
import { t } from "@/i18n";
import { pitchPlace, spectrogramOf } from "@/model/sound";
import styles from "./SoundPlayer.module.css";
import type { Sound } from "./useSound";

const COLUMNS = 800;
const ROWS = 160;
const PITCHES: readonly (readonly [number, string])[] = [
  [200, "200 Hz"],
  [1000, "1 kHz"],
  [4000, "4 kHz"],
  [12_000, "12 kHz"],
];
/** From silence to the loudest: dark to light, so that it is read without its hues too. */
const COLORS: readonly (readonly [number, number, number])[] = [
  [8, 7, 22],
  [48, 18, 92],
  [120, 28, 109],
  [190, 55, 82],
  [237, 105, 37],
  [251, 180, 26],
  [252, 253, 191],
];

export function SpectrogramView({ sound }: { readonly sound: Sound }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    const [samples] = sound.channels;
    if (context && samples) draw(context, samples, sound.rate);
  }, [sound]);
  return (
    <div className={styles.spectrum}>
      <canvas
        ref={canvas}
        className={styles.spectrogram}
        width={COLUMNS}
        height={ROWS}
        role="img"
        aria-label={t("viewers.sound.spectrogramLabel", { hertz: Math.round(sound.rate / 2000) })}
      />
      {PITCHES.map(([hertz, name]) => (
        <span
          key={hertz}
          className={styles.pitch}
          style={{ bottom: `${pitchPlace(hertz, sound.rate) * 100}%` }}
          aria-hidden="true"
        >
          {name}
        </span>
      ))}
    </div>
  );
}

function draw(context: CanvasRenderingContext2D, samples: Float32Array, rate: number): void {
  const { levels } = spectrogramOf(samples, rate, COLUMNS, ROWS);
  const picture = context.createImageData(COLUMNS, ROWS);
  for (let column = 0; column < COLUMNS; column += 1) {
    for (let row = 0; row < ROWS; row += 1) {
      const at = ((ROWS - 1 - row) * COLUMNS + column) * 4;
      picture.data.set(colorOf(levels[column * ROWS + row] ?? 0), at);
    }
  }
  context.putImageData(picture, 0, 0);
}

function colorOf(level: number): readonly number[] {
  const place = Math.min(1, Math.max(0, level)) * (COLORS.length - 1);
  const at = Math.min(COLORS.length - 2, Math.floor(place));
  const [from, to] = [COLORS[at] ?? [0, 0, 0], COLORS[at + 1] ?? [0, 0, 0]];
  const part = place - at;
  return [...from.map((value, index) => value + ((to[index] ?? 0) - value) * part), 255];
}
