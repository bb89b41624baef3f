// A tone curve: points on a square, by mouse, touch and keys. The value is a list of [tone, becomes],
// from left to right, each in 0..1.

const SIDE = 200; // of the square in the drawing's own units
const MARGIN = 12; // around it, so that the points at its edges can be taken
const NEAR = 0.02; // how close two points may come from left to right
const STEP = 0.01;
const STRAIGHT = [[0, 0], [1, 1]];

const STYLE = `
  svg { display: block; width: 100%; height: auto; max-height: 320px; touch-action: none; }
  .square { fill: var(--bg-input); stroke: var(--border-strong); cursor: crosshair; }
  .grid { stroke: var(--border); stroke-width: 1; pointer-events: none; }
  .line { fill: none; stroke: var(--text); stroke-width: 2; pointer-events: none; }
  .reach { fill: transparent; cursor: grab; }
  .dot { fill: var(--bg-raised); stroke: var(--accent); stroke-width: 2.5; pointer-events: none; }
  g[role="slider"] { outline: none; }
  g[role="slider"]:focus-visible .dot { fill: var(--accent); stroke: var(--focus); stroke-width: 4; }
  p { display: flex; gap: 8px; margin: 4px 0 0; color: var(--text-muted); font-size: 12px; }
  p span { flex: 1; }
  button { padding: 0; border: 0; background: none; color: var(--accent-text); font: inherit;
    text-decoration: underline; cursor: pointer; }
  button:disabled { color: var(--text-faint); cursor: default; text-decoration: none; }
`;

const limit = (value, low, high) => Math.min(high, Math.max(low, value));
const rounded = (value) => Math.round(value * 1000) / 1000;

function element(name, attributes = {}, parent = null) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

/** Points that can be drawn; a curve that can't is shown straight. */
function pointsOf(value) {
  const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);
  const isGood = Array.isArray(value) && value.length > 1 && value.every(isPoint);
  return (isGood ? value : STRAIGHT).map(([x, y]) => [limit(x, 0, 1), limit(y, 0, 1)]);
}

/** The slopes at the points, as the node computes them. */
function slopes(points) {
  const width = points.slice(1).map(([x], at) => x - points[at][0]);
  const slope = points.slice(1).map(([, y], at) => (y - points[at][1]) / width[at]);
  const inner = slope.slice(1).map((after, at) => {
    const before = slope[at];
    if (before * after <= 0) return 0;
    const [left, right] = [width[at], width[at + 1]];
    return (3 * (left + right)) / ((2 * right + left) / before + (right + 2 * left) / after);
  });
  return [slope[0], ...inner, slope.at(-1)];
}

/** The curve as a path; cubic between two points. */
function pathOf(points) {
  const steep = slopes(points);
  const place = ([x, y]) => `${(x * SIDE).toFixed(2)} ${((1 - y) * SIDE).toFixed(2)}`;
  const parts = [`M ${place([0, points[0][1]])} L ${place(points[0])}`];
  for (let at = 0; at + 1 < points.length; at += 1) {
    const [[x, y], [toX, toY]] = [points[at], points[at + 1]];
    const third = (toX - x) / 3;
    const first = [x + third, y + third * steep[at]];
    const second = [toX - third, toY - third * steep[at + 1]];
    parts.push(`C ${place(first)} ${place(second)} ${place([toX, toY])}`);
  }
  parts.push(`L ${place([1, points.at(-1)[1]])}`);
  return parts.join(" ");
}

export default function curve(widget) {
  let points = pointsOf(widget.value);
  let chosen = 0;
  let dragged = null; // number of the point that is dragged

  const style = document.createElement("style");
  style.textContent = STYLE;
  const size = SIDE + 2 * MARGIN;
  const svg = element("svg", {
    viewBox: `${-MARGIN} ${-MARGIN} ${size} ${size}`,
    role: "group",
    "aria-label": `${widget.label}: arrow keys move a point, Insert adds one, Delete removes it`,
  });
  const square = element("rect", { class: "square", width: SIDE, height: SIDE }, svg);
  for (const part of [0.25, 0.5, 0.75].map((share) => share * SIDE)) {
    element("path", { class: "grid", d: `M ${part} 0 V ${SIDE} M 0 ${part} H ${SIDE}` }, svg);
  }
  const line = element("path", { class: "line" }, svg);
  const dots = element("g", {}, svg);
  const foot = document.createElement("p");
  const said = document.createElement("span");
  const reset = document.createElement("button");
  reset.type = "button";
  reset.textContent = "Straight";
  foot.append(said, reset);
  widget.root.append(style, svg, foot);

  function draw() {
    line.setAttribute("d", pathOf(points));
    while (dots.childElementCount > points.length) dots.lastElementChild.remove();
    while (dots.childElementCount < points.length) {
      const dot = element("g", { role: "slider" }, dots);
      element("circle", { class: "reach", r: 12 }, dot);
      element("circle", { class: "dot", r: 5.5 }, dot);
    }
    chosen = limit(chosen, 0, points.length - 1);
    points.forEach(([x, y], at) => {
      const dot = dots.children[at];
      dot.setAttribute("transform", `translate(${x * SIDE} ${(1 - y) * SIDE})`);
      dot.setAttribute("tabindex", widget.disabled ? "-1" : "0");
      const name = `Point ${at + 1} of ${points.length}`;
      dot.setAttribute("aria-label", name);
      dot.setAttribute("aria-valuemin", "0");
      dot.setAttribute("aria-valuemax", "1");
      dot.setAttribute("aria-valuenow", String(rounded(y)));
      dot.setAttribute("aria-valuetext", `${rounded(x)} becomes ${rounded(y)}`);
    });
    const [x, y] = points[chosen];
    said.textContent = `${x.toFixed(2)} → ${y.toFixed(2)}`;
    reset.disabled = widget.disabled;
  }

  function give(final) {
    draw();
    widget.change(points.map((point) => point.map(rounded)), { final });
  }

  /** Between its neighbours, which it doesn't pass. */
  function move(at, [x, y]) {
    const low = at === 0 ? 0 : points[at - 1][0] + NEAR;
    const high = at === points.length - 1 ? 1 : points[at + 1][0] - NEAR;
    points[at] = [limit(x, low, Math.max(low, high)), limit(y, 0, 1)];
  }

  /** Where there is room; the number of the new point, or -1. */
  function add([x, y]) {
    const at = points.findIndex((point) => point[0] > x);
    const place = at === -1 ? points.length : at;
    const isTaken = points.some((point) => Math.abs(point[0] - x) < NEAR);
    if (isTaken) return -1;
    points.splice(place, 0, [limit(x, 0, 1), limit(y, 0, 1)]);
    return place;
  }

  function remove(at) {
    if (points.length < 3) return;
    points.splice(at, 1);
    chosen = Math.max(0, at - 1);
    give(true);
    dots.children[chosen].focus();
  }

  /** Halfway to the next point, or to the one before from the last. */
  function addBeside(at) {
    const other = at + 1 < points.length ? at + 1 : at - 1;
    const [[x, y], [toX, toY]] = [points[at], points[other]];
    const made = add([(x + toX) / 2, (y + toY) / 2]);
    if (made === -1) return;
    chosen = made;
    give(true);
    dots.children[made].focus();
  }

  function placeOf(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x / SIDE, 1 - at.y / SIDE];
  }

  const numberOf = (target) => [...dots.children].indexOf(target.closest('g[role="slider"]'));

  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || widget.disabled) return;
    let at = numberOf(event.target);
    if (at === -1 && event.target === square) at = add(placeOf(event));
    if (at === -1) return;
    event.preventDefault();
    [chosen, dragged] = [at, at];
    svg.setPointerCapture(event.pointerId);
    give(false);
    dots.children[at].focus();
  });
  svg.addEventListener("pointermove", (event) => {
    if (dragged === null) return;
    move(dragged, placeOf(event));
    give(false);
  });
  const drop = () => {
    if (dragged === null) return;
    dragged = null;
    give(true);
  };
  svg.addEventListener("pointerup", drop);
  svg.addEventListener("pointercancel", drop);
  svg.addEventListener("dblclick", (event) => {
    const at = numberOf(event.target);
    if (at !== -1 && !widget.disabled) remove(at);
  });
  dots.addEventListener("focusin", (event) => {
    chosen = Math.max(0, numberOf(event.target));
    draw();
  });
  dots.addEventListener("keydown", (event) => {
    const at = numberOf(event.target);
    if (at === -1 || widget.disabled || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 * STEP : STEP;
    const [x, y] = points[at];
    const moves = {
      ArrowLeft: [x - step, y],
      ArrowRight: [x + step, y],
      ArrowUp: [x, y + step],
      ArrowDown: [x, y - step],
      Home: [x, 0],
      End: [x, 1],
    };
    if (event.key in moves) {
      move(at, moves[event.key]);
      give(true);
    } else if (event.key === "Delete" || event.key === "Backspace") remove(at);
    else if (event.key === "Insert" || event.key === "+") addBeside(at);
    else return;
    event.preventDefault();
  });
  reset.addEventListener("click", () => {
    points = pointsOf(STRAIGHT);
    chosen = 0;
    give(true);
  });
  widget.on("value", (value) => {
    points = pointsOf(value);
    draw();
  });
  widget.on("disabled", draw);
  draw();
}
