/** A graph drawn beside another one: what differs has a frame, a sign and a colour. */
import { useEffect, useMemo, useRef, useState } from "react";
import { SIGNS } from "@/components/comparison/words";
import type { Verb } from "@/model/comparison/entries";
import type { Marks } from "@/model/comparison/marks";
import {
  type Card,
  cut,
  type Drawing,
  type DrawnLink,
  HEAD,
  LETTER,
  PADDING,
  type Port,
  ROW,
} from "@/model/drawing";
import type { Box } from "@/model/layout";
import styles from "./GraphDrawing.module.css";

interface GraphDrawingProps {
  readonly drawing: Drawing;
  readonly marks: Marks;
  /** What it shows, said instead of it. */
  readonly label: string;
  /** Brought into view whenever it is another one; null shows all. */
  readonly focus: string | null;
  readonly onNode: (node: string) => void;
}

/** Pixels of the graph that are seen around a node that is brought into view. */
const AROUND = 520;
const FARTHEST = 760;
const STEP = 1.2;
const SMALLEST = 120;
const LARGEST = 200_000;
const NUDGE = 0.1;

export function GraphDrawing({ drawing, marks, label, focus, onNode }: GraphDrawingProps) {
  const element = useRef<SVGSVGElement>(null);
  const [view, setView] = useState<Box>(drawing.box);
  const focused = focus === null ? undefined : drawing.cards.get(focus);
  useEffect(() => {
    setView((before) => (focused ? aroundCard(focused.box, before, drawing.box) : drawing.box));
  }, [focused, drawing]);
  useWheel(element, setView);
  const drag = useDrag(element, view, setView);
  return (
    <svg
      ref={element}
      role="img"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows move what is seen of it
      tabIndex={0}
      className={styles.drawing}
      viewBox={`${view.x} ${view.y} ${view.width} ${view.height}`}
      onKeyDown={(event) => {
        const next = movedView(event.key, view, drawing.box);
        if (next === null || event.ctrlKey || event.metaKey || event.altKey) return;
        setView(next);
        event.preventDefault();
        event.stopPropagation();
      }}
      {...drag}
    >
      {drawing.groups.map((group) => (
        <g key={`${group.title} ${group.box.x} ${group.box.y}`}>
          <rect className={styles.group} {...group.box} rx={10} />
          <text className={styles.title} x={group.box.x + PADDING} y={group.box.y + 20}>
            {group.title}
          </text>
        </g>
      ))}
      {drawing.links.map((link) => (
        <LinkLine key={link.id} link={link} mark={marks.links.get(link.id)} />
      ))}
      {[...drawing.cards].map(([name, card]) => (
        <CardShape
          key={name}
          name={name}
          card={card}
          marks={marks}
          isFocused={name === focus}
          onClick={() => onNode(name)}
        />
      ))}
    </svg>
  );
}

/** Near enough to read, and never nearer than it was. */
function aroundCard(box: Box, before: Box, all: Box): Box {
  const width = Math.min(Math.max(before.width, AROUND), Math.max(all.width, AROUND), FARTHEST);
  const height = (width * before.height) / before.width;
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  return { x: x - width / 2, y: y - height / 2, width, height };
}

function zoomed(view: Box, factor: number, x: number, y: number): Box {
  const width = Math.min(Math.max(view.width * factor, SMALLEST), LARGEST);
  const by = width / view.width;
  return {
    x: x - (x - view.x) * by,
    y: y - (y - view.y) * by,
    width,
    height: view.height * by,
  };
}

/** Arrows move, plus and minus zoom, 0 shows all; null for other keys. */
function movedView(key: string, view: Box, all: Box): Box | null {
  const [x, y] = [view.x + view.width / 2, view.y + view.height / 2];
  if (key === "+" || key === "=") return zoomed(view, 1 / STEP, x, y);
  if (key === "-") return zoomed(view, STEP, x, y);
  if (key === "0") return all;
  const steps: Record<string, readonly [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  };
  const step = steps[key];
  if (step === undefined) return null;
  const by = NUDGE * view.width;
  return { ...view, x: view.x + step[0] * by, y: view.y + step[1] * by };
}

type SetView = (change: (view: Box) => Box) => void;

/** Pixels of the graph in one of the screen. */
function scaleOf(svg: SVGSVGElement, view: Box): number {
  const { width, height } = svg.getBoundingClientRect();
  return Math.max(view.width / (width || 1), view.height / (height || 1));
}

/** The wheel zooms around the pointer; React's own handler could not keep the page from scrolling. */
function useWheel(element: React.RefObject<SVGSVGElement | null>, setView: SetView): void {
  useEffect(() => {
    const svg = element.current;
    if (svg === null) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const bounds = svg.getBoundingClientRect();
      setView((view) => {
        const scale = scaleOf(svg, view);
        const x = view.x + view.width / 2 + (event.clientX - bounds.x - bounds.width / 2) * scale;
        const y = view.y + view.height / 2 + (event.clientY - bounds.y - bounds.height / 2) * scale;
        return zoomed(view, event.deltaY > 0 ? STEP : 1 / STEP, x, y);
      });
    };
    svg.addEventListener("wheel", onWheel, { passive: false });
    return () => svg.removeEventListener("wheel", onWheel);
  }, [element, setView]);
}

/** Pointers that are pressed drag the graph along. */
function useDrag(
  element: React.RefObject<SVGSVGElement | null>,
  view: Box,
  setView: (view: Box) => void,
) {
  const start = useRef<{ readonly x: number; readonly y: number; readonly view: Box } | null>(null);
  return {
    onPointerDown: (event: React.PointerEvent) => {
      start.current = { x: event.clientX, y: event.clientY, view };
    },
    onPointerMove: (event: React.PointerEvent) => {
      const from = start.current;
      const svg = element.current;
      if (from === null || svg === null || event.buttons === 0) return;
      svg.setPointerCapture(event.pointerId);
      const scale = scaleOf(svg, from.view);
      setView({
        ...from.view,
        x: from.view.x - (event.clientX - from.x) * scale,
        y: from.view.y - (event.clientY - from.y) * scale,
      });
    },
    onPointerUp: () => {
      start.current = null;
    },
  };
}

function LinkLine({ link, mark }: { readonly link: DrawnLink; readonly mark: Verb | undefined }) {
  return (
    <g data-mark={mark}>
      <path
        className={styles.link}
        d={link.path}
        stroke={mark === undefined ? link.color : undefined}
      />
      {mark !== undefined && <Sign mark={mark} x={link.middle.x} y={link.middle.y} />}
    </g>
  );
}

function Sign({ mark, x, y }: { readonly mark: Verb; readonly x: number; readonly y: number }) {
  return (
    <g className={styles.sign} data-mark={mark} transform={`translate(${x} ${y})`}>
      <circle r={10} />
      <text y={5}>{SIGNS[mark]}</text>
    </g>
  );
}

interface CardProps {
  readonly name: string;
  readonly card: Card;
  readonly marks: Marks;
  readonly isFocused: boolean;
  readonly onClick: () => void;
}

function CardShape({ name, card, marks, isFocused, onClick }: CardProps) {
  const { x, y, width, height } = card.box;
  const mark = marks.nodes.get(name);
  const letters = Math.floor((width - 2 * PADDING) / LETTER);
  const rows = Math.max(card.inputs.size, card.outputs.size);
  const ports = useMemo(
    () => ({ inputs: [...card.inputs.values()], outputs: [...card.outputs.values()] }),
    [card],
  );
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a shortcut to its entry in the list
    <g
      transform={`translate(${x} ${y})`}
      className={styles.card}
      data-mark={mark}
      data-node={name}
      data-focused={isFocused || undefined}
      data-off={card.isOff || undefined}
      onClick={onClick}
    >
      {isFocused && (
        <rect
          className={styles.halo}
          x={-7}
          y={-7}
          width={width + 14}
          height={height + 14}
          rx={13}
        />
      )}
      <rect className={styles.body} width={width} height={height} rx={8} />
      <path
        className={styles.head}
        d={`M8 1H${width - 8}a7 7 0 0 1 7 7V${HEAD - 6}H1V8a7 7 0 0 1 7 -7z`}
      />
      {card.color !== null && <rect width={4} height={HEAD - 6} fill={card.color} />}
      <text className={styles.title} x={PADDING} y={17}>
        {cut(card.title, letters)}
      </text>
      <text className={styles.kind} x={PADDING} y={31}>
        {cut(card.kind, letters)}
      </text>
      {ports.inputs.map((port) => (
        <PortShape
          key={port.name}
          port={port}
          x={0}
          mark={marks.links.get(`${name}.${port.name}`)}
        />
      ))}
      {ports.outputs.map((port) => (
        <PortShape key={port.name} port={port} x={width} mark={undefined} />
      ))}
      {card.values.map(([port, value], index) => (
        <ValueRow
          key={port}
          port={port}
          value={cut(value, letters - port.length - 3)}
          y={HEAD + ROW * (rows + index)}
          width={width}
          mark={marks.inputs.get(`${name}.${port}`)}
        />
      ))}
      {mark !== undefined && <Sign mark={mark} x={width} y={0} />}
    </g>
  );
}

interface PortProps {
  readonly port: Port;
  readonly x: number;
  readonly mark: Verb | undefined;
}

function PortShape({ port, x, mark }: PortProps) {
  const isOutput = x > 0;
  return (
    <>
      <circle cx={x} cy={port.y} r={5} fill={port.color} />
      <text
        className={styles.port}
        data-mark={mark}
        x={isOutput ? x - PADDING : PADDING}
        y={port.y + 4}
        textAnchor={isOutput ? "end" : "start"}
      >
        {cut(port.name, 22)}
      </text>
    </>
  );
}

interface ValueProps {
  readonly port: string;
  readonly value: string;
  readonly y: number;
  readonly width: number;
  readonly mark: Verb | undefined;
}

function ValueRow({ port, value, y, width, mark }: ValueProps) {
  return (
    <g data-mark={mark}>
      {mark !== undefined && (
        <rect
          className={styles.changed}
          x={3}
          y={y + 4}
          width={width - 6}
          height={ROW - 2}
          rx={4}
        />
      )}
      <text className={styles.port} x={PADDING} y={y + ROW / 2 + 8}>
        {port} <tspan className={styles.value}>{value}</tspan>
      </text>
      {mark !== undefined && (
        <text className={styles.rowSign} x={width - 8} y={y + ROW / 2 + 8} textAnchor="end">
          {SIGNS[mark]}
        </text>
      )}
    </g>
  );
}
