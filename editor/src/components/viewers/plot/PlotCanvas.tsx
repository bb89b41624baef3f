/** The drawn plot: hovered to read values, dragged to zoom, walked through by keys. */
import {
  type KeyboardEvent,
  type PointerEvent,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { t } from "@/i18n";
import {
  type Axis,
  nameLook,
  nearestPoint,
  type Plot,
  pixelOf,
  placesOf,
  type Series,
  valueAt,
  valueText,
  widened,
} from "@/model/plot";
import { Axes } from "./Axes";
import { Marks } from "./Marks";
import styles from "./PlotView.module.css";
import type { PlotLook } from "./usePlotView";

interface Props {
  readonly plot: Plot;
  readonly look: PlotLook;
  readonly label: string;
  /** Small, as in a card: read, but neither zoomed nor walked through. */
  readonly isSmall?: boolean;
}

/** `bottom` is what stands below the bars' names or the marks; those reach at most `deepest` down. */
const EDGES = { left: 62, right: 14, top: 10, bottom: 28, deepest: 110 };
const SMALL_EDGES = { left: 44, right: 8, top: 8, bottom: 9, deepest: 52 };
const TEXT = { letter: 6.2, line: 14 };
const SMALL_TEXT = { letter: 5.1, line: 12 };
/** Pixels that a drag must go along an axis to mean a part of it. */
const LEAST_DRAG = 6;
const LEAST_DOWN = 24;
/** Within which a point is the one that is meant. */
const NEAR = 4;

interface Drag {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

export function PlotCanvas({ plot, look, label, isSmall = false }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const { width, height } = useRoom(box);
  const edges = isSmall ? SMALL_EDGES : EDGES;
  const { scales, seen, drawn } = look;
  const x: Axis = { scale: scales.x, span: seen.x, room: [edges.left, width - edges.right] };
  const names = nameLook(
    plot.categories ?? [],
    Math.abs(pixelOf(x, 1) - pixelOf(x, 0)),
    Math.min(edges.deepest, height / 3),
    isSmall ? SMALL_TEXT : TEXT,
  );
  const bottom = edges.bottom + names.depth;
  const y: Axis = { scale: scales.y, span: seen.y, room: [height - bottom, edges.top] };
  const [place, setPlace] = useState<number | null>(null);
  const [drag, setDrag] = useState<Drag | null>(null);
  const clip = useId();
  const keysId = useId();
  const shown = useMemo(() => drawn.filter((each) => each !== null), [drawn]);
  const places = useMemo(() => placesOf(shown), [shown]);
  const bars = [...drawn.keys()].filter((at) => drawn[at]?.kind === "bars");

  const at = (event: PointerEvent): readonly [number, number] => {
    const rect = event.currentTarget.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  };
  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0 || isSmall) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag({ from: at(event), to: at(event) });
  };
  const onPointerMove = (event: PointerEvent) => {
    const now = at(event);
    if (drag !== null) setDrag({ ...drag, to: now });
    setPlace(nearestPlace(places, valueAt(x, now[0]), x));
  };
  const onPointerUp = () => {
    if (drag !== null) zoomTo(drag);
    setDrag(null);
  };
  const zoomTo = ({ from, to }: Drag) => {
    const [left, right] = [from[0], to[0]].sort((a, b) => a - b) as [number, number];
    const [above, below] = [from[1], to[1]].sort((a, b) => a - b) as [number, number];
    if (right - left < LEAST_DRAG) return;
    look.setPart({
      x: [valueAt(x, left), valueAt(x, right)],
      y: below - above < LEAST_DOWN ? null : [valueAt(y, below), valueAt(y, above)],
    });
  };
  const zoomBy = (factor: number) => {
    const middle = place ?? valueAt(x, (x.room[0] + x.room[1]) / 2);
    look.setPart({ x: widened(seen.x, scales.x, middle, factor), y: look.part?.y ?? null });
  };
  const go = (steps: number) => {
    if (places.length === 0) return;
    const now = place === null ? -1 : places.indexOf(place);
    const next = now < 0 ? (steps > 0 ? 0 : places.length - 1) : now + steps;
    setPlace(places[Math.min(places.length - 1, Math.max(0, next))] ?? null);
  };
  const keys: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => go(-1),
    ArrowRight: () => go(1),
    PageDown: () => go(-Math.ceil(places.length / 10)),
    PageUp: () => go(Math.ceil(places.length / 10)),
    Home: () => setPlace(places[0] ?? null),
    End: () => setPlace(places.at(-1) ?? null),
    "+": () => zoomBy(0.5),
    "=": () => zoomBy(0.5),
    "-": () => zoomBy(2),
    "0": () => look.setPart(null),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key];
    if (act === undefined) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  };
  const isDrawn = width > 0 && height > 0;
  const reading = place === null || drag !== null ? null : readingAt(plot, drawn, place, x);
  return (
    <div
      ref={box}
      className={styles.room}
      role="img"
      aria-label={label}
      aria-describedby={isSmall ? undefined : keysId}
      tabIndex={isSmall ? undefined : 0}
      data-small={isSmall || undefined}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerLeave={() => drag === null && setPlace(null)}
      onDoubleClick={() => look.setPart(null)}
      data-player={isSmall ? undefined : ""}
      onKeyDown={isSmall ? undefined : onKeyDown}
      onBlur={() => setPlace(null)}
    >
      {isDrawn && (
        <svg className={styles.svg} width={width} height={height} aria-hidden="true">
          <clipPath id={clip}>
            <rect
              x={edges.left}
              y={edges.top - 4}
              width={Math.max(0, width - edges.left - edges.right)}
              height={Math.max(0, height - edges.top - bottom + 4)}
            />
          </clipPath>
          <Axes
            x={x}
            y={y}
            xLabel={isSmall ? "" : plot.xLabel}
            yLabel={isSmall ? "" : plot.yLabel}
            categories={plot.categories}
            names={names}
            width={width}
            height={height}
          />
          <g clipPath={`url(#${clip})`}>
            {drawn.map((series, number) => {
              const own = plot.series[number];
              if (series === null || own === undefined) return null;
              return (
                <g key={number} className={styles.series} data-series={number % 8}>
                  <Marks
                    series={series}
                    plain={series === own ? null : own}
                    x={x}
                    y={y}
                    bar={{ at: Math.max(0, bars.indexOf(number)), count: Math.max(1, bars.length) }}
                  />
                </g>
              );
            })}
          </g>
          {reading && <Cross reading={reading} x={x} y={y} />}
          {drag && <Chosen drag={drag} x={x} y={y} />}
        </svg>
      )}
      {reading && <ReadOut reading={reading} left={pixelOf(x, reading.place)} width={width} />}
      {!isSmall && (
        <span id={keysId} hidden>
          {t("viewers.plot.keys")}
        </span>
      )}
    </div>
  );
}

interface Reading {
  readonly place: number;
  readonly title: string;
  readonly values: readonly {
    readonly number: number;
    readonly name: string;
    readonly text: string;
    readonly x: number;
    readonly y: number;
    /** Whether a dot shows it: bars show theirs themselves. */
    readonly hasDot: boolean;
  }[];
}

function readingAt(
  plot: Plot,
  drawn: readonly (Series | null)[],
  place: number,
  axis: Axis,
): Reading {
  const values = drawn.flatMap((series, number) => {
    const at = series && nearestPoint(series, place, axis.scale);
    if (series === null || at === null) return [];
    const [x, y] = [series.x[at] ?? 0, series.y[at] ?? 0];
    const isHere = Math.abs(pixelOf(axis, x) - pixelOf(axis, place)) <= NEAR;
    // One that began later or ended before has nothing to say here.
    if (!isHere && !(place > Math.min(...series.x) && place < Math.max(...series.x))) return [];
    const [low, high] = [series.low?.[at], series.high?.[at]];
    const value =
      low === undefined || high === undefined
        ? valueText(y)
        : t("viewers.plot.between", {
            value: valueText(y),
            low: valueText(low),
            high: valueText(high),
          });
    const text = isHere ? value : t("viewers.plot.valueAt", { value, place: valueText(x) });
    const hasDot = series.kind !== "bars";
    return [{ number, name: seriesName(series, number), text, x, y, hasDot }];
  });
  const title =
    plot.categories?.[place] ?? `${plot.xLabel || t("viewers.plot.place")} ${valueText(place)}`;
  return { place, title, values };
}

export function seriesName({ name }: Series, number: number): string {
  return name || t("viewers.plot.unnamed", { number: number + 1 });
}

function Cross({ reading, x, y }: { reading: Reading; x: Axis; y: Axis }) {
  const at = pixelOf(x, reading.place);
  if (!(at >= x.room[0] - 1 && at <= x.room[1] + 1)) return null;
  return (
    <g>
      <line className={styles.cross} x1={at} x2={at} y1={y.room[0]} y2={y.room[1]} />
      {reading.values
        .filter(({ hasDot }) => hasDot)
        .map((value) => (
          <circle
            key={value.number}
            className={styles.met}
            data-series={value.number % 8}
            cx={pixelOf(x, value.x)}
            cy={pixelOf(y, value.y)}
            r={4}
          />
        ))}
    </g>
  );
}

function ReadOut({ reading, left, width }: { reading: Reading; left: number; width: number }) {
  const isRight = left > width / 2;
  return (
    <div
      className={styles.readOut}
      role="status"
      style={isRight ? { right: width - left + 12 } : { left: left + 12 }}
    >
      <strong>{reading.title}</strong>
      <dl>
        {reading.values.map(({ number, name, text }) => (
          <div key={number}>
            <dt>
              <span className={styles.swatch} data-series={number % 8} />
              {name}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Chosen({ drag, x, y }: { drag: Drag; x: Axis; y: Axis }) {
  const isBox = Math.abs(drag.to[1] - drag.from[1]) >= LEAST_DOWN;
  const [top, bottom] = isBox
    ? [Math.min(drag.from[1], drag.to[1]), Math.max(drag.from[1], drag.to[1])]
    : [y.room[1], y.room[0]];
  const left = Math.max(x.room[0], Math.min(drag.from[0], drag.to[0]));
  const right = Math.min(x.room[1], Math.max(drag.from[0], drag.to[0]));
  return (
    <rect
      className={styles.chosen}
      x={left}
      y={top}
      width={Math.max(0, right - left)}
      height={bottom - top}
    />
  );
}

function nearestPlace(places: readonly number[], value: number, axis: Axis): number | null {
  let found: number | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const place of places) {
    const distance = Math.abs(pixelOf(axis, place) - pixelOf(axis, value));
    if (distance < least) {
      least = distance;
      found = place;
    }
  }
  return found;
}

function useRoom(box: React.RefObject<HTMLDivElement | null>) {
  const [room, setRoom] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const place = box.current;
    if (place === null) return;
    const measure = () => setRoom({ width: place.clientWidth, height: place.clientHeight });
    measure();
    const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(measure);
    observer?.observe(place);
    return () => observer?.disconnect();
  }, [box]);
  return room;
}
