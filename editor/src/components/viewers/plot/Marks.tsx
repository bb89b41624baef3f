/** A series as it is drawn: its line, points or bars, and the intervals of its values. */
import { type Axis, bandPath, barWidth, linePath, pixelOf, type Series } from "@/model/plot";
import styles from "./PlotView.module.css";

interface Props {
  readonly series: Series;
  /** As it is without smoothing, drawn behind it; null if that is the same. */
  readonly plain: Series | null;
  readonly x: Axis;
  readonly y: Axis;
  /** Which of the bars that stand side by side it is, and of how many. */
  readonly bar: { readonly at: number; readonly count: number };
}

/** More points than these are drawn as a line of them would be, without their circles. */
const MOST_DOTS = 3000;

export function Marks({ series, plain, x, y, bar }: Props) {
  switch (series.kind) {
    case "points":
      return (
        <>
          <Whiskers series={series} x={x} y={y} />
          <Dots series={series} x={x} y={y} />
        </>
      );
    case "bars":
      return <Bars series={series} x={x} y={y} bar={bar} />;
    default:
      return (
        <>
          <path className={styles.band} d={bandPath(series, x, y)} />
          {plain && <path className={styles.plain} d={linePath(plain.x, plain.y, x, y)} />}
          <path className={styles.line} d={linePath(series.x, series.y, x, y)} />
        </>
      );
  }
}

type Drawn = Pick<Props, "series" | "x" | "y">;

function Dots({ series, x, y }: Drawn) {
  const step = Math.max(1, Math.ceil(series.x.length / MOST_DOTS));
  return [...series.x].map((place, at) => {
    const [px, py] = [pixelOf(x, place), pixelOf(y, series.y[at] ?? Number.NaN)];
    if (at % step !== 0 || Number.isNaN(px + py)) return null;
    return <circle key={at} className={styles.dot} cx={px} cy={py} r={3.5} />;
  });
}

function Bars({ series, x, y, bar }: Drawn & Pick<Props, "bar">) {
  const unit = Math.abs(pixelOf(x, barWidth(series)) - pixelOf(x, 0)) || 12;
  const whole = Math.max(1, unit * 0.76);
  const width = whole / bar.count;
  const ground = y.scale === "log" ? y.room[0] : pixelOf(y, 0);
  const shift = -whole / 2 + bar.at * width;
  return (
    <>
      {[...series.x].map((place, at) => {
        const [px, py] = [pixelOf(x, place), pixelOf(y, series.y[at] ?? Number.NaN)];
        if (Number.isNaN(px + py)) return null;
        return (
          <rect
            key={at}
            className={styles.bar}
            x={px + shift + Math.min(1, width / 8)}
            width={Math.max(1, width - Math.min(2, width / 4))}
            y={Math.min(py, ground)}
            height={Math.abs(ground - py)}
          />
        );
      })}
      <Whiskers series={series} x={x} y={y} shift={shift + width / 2} />
    </>
  );
}

function Whiskers({ series, x, y, shift = 0 }: Drawn & { readonly shift?: number }) {
  const { low, high } = series;
  if (low === null || high === null) return null;
  return [...series.x].map((place, at) => {
    const px = pixelOf(x, place) + shift;
    const [from, to] = [low[at], high[at]].map((end) => pixelOf(y, end ?? Number.NaN));
    if (from === undefined || to === undefined || Number.isNaN(px + from + to)) return null;
    return (
      <path
        key={at}
        className={styles.whisker}
        d={`M${px - 4} ${from}h8M${px} ${from}V${to}M${px - 4} ${to}h8`}
      />
    );
  });
}
