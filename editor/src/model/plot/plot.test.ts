import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Axis,
  extentOf,
  linePath,
  nameAt,
  nameLook,
  nearestPoint,
  pixelOf,
  placesOf,
  readPlot,
  smoothed,
  ticksOf,
  tickText,
  valueAt,
  valueText,
  widened,
} from ".";

const loss = { name: "Loss", kind: "line", x: [1, 2, 4], y: [0.5, null, 0.25] };

function plotOf(...series: object[]) {
  const found = readPlot({ title: "T", x_label: "Step", y_scale: "log", series });
  if (found === null) throw new Error("no plot");
  return found;
}

describe("a plot's JSON", () => {
  it("is read, with gaps", () => {
    const found = plotOf(loss);
    expect([found.title, found.xLabel, found.xScale, found.yScale]).toEqual([
      "T",
      "Step",
      "linear",
      "log",
    ]);
    expect([...(found.series[0]?.y ?? [])]).toEqual([0.5, Number.NaN, 0.25]);
    expect(found.series[0]?.low).toBeNull();
  });

  it("may stand over names, the same for all its series", () => {
    const found = plotOf(
      { name: "a", kind: "bars", x: ["cat", "dog"], y: [1, 2] },
      { name: "b", kind: "bars", x: ["dog", "cow"], y: [3, 4] },
    );
    expect(found.categories).toEqual(["cat", "dog", "cow"]);
    expect([...(found.series[1]?.x ?? [])]).toEqual([1, 2]);
  });

  it("takes whole numbers of msgpack", () => {
    expect([...(plotOf({ x: [1n], y: [2n] }).series[0]?.y ?? [])]).toEqual([2]);
  });

  it("that is something else is none, whatever it is", () => {
    for (const value of [null, 3, [], {}, { series: 3 }, { series: [{ x: [1], y: [] }] }]) {
      expect(readPlot(value)).toBeNull();
    }
    fc.assert(fc.property(fc.anything(), (value) => readPlot({ series: [value] }) !== undefined));
  });
});

describe("an axis", () => {
  const linear: Axis = { scale: "linear", span: [0, 10], room: [50, 250] };
  const log: Axis = { scale: "log", span: [0.01, 100], room: [200, 0] };

  it("leads from values to pixels and back", () => {
    expect([pixelOf(linear, 5), valueAt(linear, 150)]).toEqual([150, 5]);
    expect(pixelOf(log, 1)).toBeCloseTo(100);
    expect(valueAt(log, 50)).toBeCloseTo(10);
    expect([pixelOf(log, 0), pixelOf(log, -1)]).toEqual([Number.NaN, Number.NaN]);
  });

  it("has marks at round values", () => {
    expect(ticksOf(linear, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticksOf({ scale: "log", span: [0.001, 1000] }, 4)).toEqual([0.001, 0.1, 10, 1000]);
    expect(ticksOf({ scale: "log", span: [1, 10] }, 8)).toEqual([1, 2, 5, 10]);
    expect(ticksOf({ scale: "linear", span: [1, 1] }, 5)).toEqual([]);
  });

  it("has few marks, within its span, whatever that is", () => {
    const number = fc.double({ min: -1e12, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(number, number, fc.integer({ min: 1, max: 20 }), (a, b, count) => {
        const span = [Math.min(a, b), Math.max(a, b)] as const;
        const ticks = ticksOf({ scale: "linear", span }, count);
        const slack =
          (span[1] - span[0]) * 1e-6 + Math.abs(span[1]) * 1e-14 + Math.abs(span[0]) * 1e-14;
        expect(ticks.length).toBeLessThanOrEqual(count * 2 + 2);
        for (const tick of ticks) {
          expect(tick).toBeGreaterThanOrEqual(span[0] - slack);
          expect(tick).toBeLessThanOrEqual(span[1] + slack);
        }
      }),
    );
  });

  it("says as many digits as are needed", () => {
    const said = (...ticks: number[]) => ticks.map((tick) => tickText(tick, ticks));
    expect(said(0, 0.5, 1)).toEqual(["0", "0.5", "1.0"]);
    expect(said(0.02, 0.04)).toEqual(["0.02", "0.04"]);
    expect(said(100_000, 200_000)).toEqual(["1e5", "2e5"]);
    expect([1234.5678, 12, 1e-7, Number.NaN].map(valueText)).toEqual([
      "1235",
      "12",
      "1.000e-7",
      "–",
    ]);
  });

  it("is widened around a value that stays in its place", () => {
    expect(widened([0, 10], "linear", 2, 0.5)).toEqual([1, 6]);
    expect(widened([1, 100], "log", 10, 2).map(Math.round)).toEqual([0, 1000]);
  });
});

describe("what is drawn", () => {
  const scales = { x: "linear", y: "linear" } as const;

  it("extends over all that is seen, with room around", () => {
    const plot = plotOf(loss, { x: [0, 10], y: [1, 2], low: [0.5, 1], high: [2, 3] });
    const { x, y } = extentOf(plot, plot.series, scales);
    expect(x[0]).toBeLessThan(0);
    expect(x[1]).toBeGreaterThan(10);
    expect(y[0]).toBeLessThan(0.25);
    expect(y[1]).toBeGreaterThan(3);
  });

  it("leaves out of a log axis what isn't above 0", () => {
    const plot = plotOf({ x: [0, 1], y: [-1, 5] });
    const { y } = extentOf(plot, plot.series, { x: "linear", y: "log" });
    expect(y[0]).toBeGreaterThan(0);
  });

  it("begins at nothing where there are bars", () => {
    const plot = plotOf({ kind: "bars", x: ["a", "b"], y: [5, 6] });
    expect(extentOf(plot, plot.series, scales).y[0]).toBe(0);
  });

  it("of nothing is something", () => {
    const plot = plotOf({ x: [], y: [] });
    expect(extentOf(plot, plot.series, scales).y[1]).toBeGreaterThan(0);
  });

  it("is a line with gaps, and with the extremes of columns that hold many points", () => {
    const x: Axis = { scale: "linear", span: [0, 2], room: [0, 2] };
    const y: Axis = { scale: "linear", span: [0, 10], room: [10, 0] };
    expect(linePath(Float64Array.of(0, 1, 2), Float64Array.of(0, Number.NaN, 5), x, y)).toBe(
      "M0 10h0.01M2 5h0.01",
    );
    const many = Float64Array.from({ length: 1000 }, (_, at) => at / 1000);
    const path = linePath(
      many,
      many.map((_, at) => (at === 200 ? 10 : 1)),
      x,
      y,
    );
    expect(path).toContain("V0");
    expect(path.length).toBeLessThan(60);
  });

  it("is smoothed without lag at the start", () => {
    expect(
      [...smoothed(Float64Array.of(4, 4, 4), 0.9)].map((v) => Math.round(v * 1e9) / 1e9),
    ).toEqual([4, 4, 4]);
    expect(smoothed(Float64Array.of(0, Number.NaN, 1), 0.5)[2]).toBeCloseTo(2 / 3);
  });

  it("is read at the nearest value that is there", () => {
    const [series] = plotOf(loss).series;
    if (series === undefined) throw new Error("no series");
    expect([nearestPoint(series, 2.1, "linear"), nearestPoint(series, 3, "linear")]).toEqual([
      0, 2,
    ]);
    expect(placesOf([series])).toEqual([1, 4]);
  });
});

describe("names of bars", () => {
  const text = { letter: 6, line: 14 };
  const names = ["a harbour at dawn", "an old lighthouse", "rain"];
  const look = (each: number) => nameLook(names, each, 110, text);

  it("are level where they have room, and turned where they have not", () => {
    expect([look(130), look(40), look(15)].map(({ turn }) => turn)).toEqual([0, 45, 90]);
    expect([look(130), look(40), look(15)].map(({ every }) => every)).toEqual([1, 1, 1]);
    expect(names.map((name) => nameAt(name, 100, look(40)))).toEqual(names);
    expect(look(4).every).toBe(3);
  });

  it("are cut at the edge, and where they would take the bars' room", () => {
    expect(nameAt("a harbour at dawn", 30, look(40))).toBe("a harb…");
    const long = nameLook(["x".repeat(60)], 300, 110, text);
    expect([long.turn, long.letters]).toEqual([0, 49]);
    expect(nameLook(["x".repeat(60)], 30, 110, text).depth).toBeLessThanOrEqual(110);
  });
});
