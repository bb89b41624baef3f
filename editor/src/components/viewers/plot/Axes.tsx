/** The grid, the marks and the names of a plot's axes. */
import { type Axis, cut, type NameLook, nameAt, pixelOf, ticksOf, tickText } from "@/model/plot";
import styles from "./PlotView.module.css";

interface Props {
  readonly x: Axis;
  readonly y: Axis;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly categories: readonly string[] | null;
  readonly names: NameLook;
  /** Where the axes' names stand. */
  readonly width: number;
  readonly height: number;
}

/** Pixels that a mark's text takes. */
const ACROSS = 74;
const DOWN = 44;
/** Of the axes' own names. */
const LETTER = 6.4;

export function Axes({ x, y, xLabel, yLabel, categories, names, width, height }: Props) {
  const [left, right] = x.room;
  const [bottom, top] = y.room;
  const ys = ticksOf(y, (bottom - top) / DOWN);
  return (
    <g className={styles.axes}>
      {ys.map((value) => {
        const at = pixelOf(y, value);
        return (
          <g key={value}>
            <line className={styles.grid} x1={left} x2={right} y1={at} y2={at} />
            <text x={left - 8} y={at} dy="0.32em" textAnchor="end">
              {tickText(value, ys)}
            </text>
          </g>
        );
      })}
      {categories === null ? (
        <Numbers x={x} bottom={bottom} top={top} />
      ) : (
        <Names x={x} bottom={bottom} categories={categories} look={names} />
      )}
      <line className={styles.edge} x1={left} x2={right} y1={bottom} y2={bottom} />
      <text className={styles.axisName} x={(left + right) / 2} y={height - 6} textAnchor="middle">
        {cut(xLabel, width / LETTER)}
      </text>
      <text
        className={styles.axisName}
        transform={`translate(14 ${(top + bottom) / 2}) rotate(-90)`}
        textAnchor="middle"
      >
        {cut(yLabel, (bottom - top) / LETTER)}
      </text>
    </g>
  );
}

function Numbers({ x, bottom, top }: { x: Axis; bottom: number; top: number }) {
  const xs = ticksOf(x, (x.room[1] - x.room[0]) / ACROSS);
  return xs.map((value) => {
    const at = pixelOf(x, value);
    return (
      <g key={value}>
        <line className={styles.grid} x1={at} x2={at} y1={top} y2={bottom} />
        <text x={at} y={bottom + 16} textAnchor="middle">
          {tickText(value, xs)}
        </text>
      </g>
    );
  });
}

interface NamesProps {
  readonly x: Axis;
  readonly bottom: number;
  readonly categories: readonly string[];
  readonly look: NameLook;
}

/** Every bar's name; what is cut is read in full where the bar is pointed at. */
function Names({ x, bottom, categories, look }: NamesProps) {
  const isTurned = look.turn > 0;
  return categories.map((name, place) => {
    const at = pixelOf(x, place);
    if (place % look.every !== 0 || at < x.room[0] || at > x.room[1]) return null;
    return (
      <text
        key={place}
        transform={`translate(${at} ${bottom + (isTurned ? 9 : 16)}) rotate(${-look.turn})`}
        dy={isTurned ? "0.32em" : undefined}
        textAnchor={isTurned ? "end" : "middle"}
      >
        {nameAt(name, at, look)}
      </text>
    );
  });
}
