import { describe, expect, it } from "vitest";
import { peaksOf, pitchPlace, spectrogramOf, transform } from "./sound";

const RATE = 16_000;

function tone(hertz: number, seconds: number): Float32Array {
  return Float32Array.from({ length: RATE * seconds }, (_, at) =>
    Math.sin((2 * Math.PI * hertz * at) / RATE),
  );
}

describe("a waveform", () => {
  it("keeps the lowest and highest sample of each stretch", () => {
    const peaks = peaksOf(Float32Array.from([0, 0.5, -1, 0, 0.25, 0.25]), 3);
    expect([...peaks]).toEqual([0, 0.5, -1, 0, 0.25, 0.25]);
  });

  it("of fewer samples than columns repeats them", () => {
    expect([...peaksOf(Float32Array.from([1, -1]), 4)]).toEqual([1, 1, 1, 1, -1, -1, -1, -1]);
  });
});

it("the transform finds a wave in its bin", () => {
  const real = Float32Array.from({ length: 64 }, (_, at) => Math.cos((2 * Math.PI * 5 * at) / 64));
  const imaginary = new Float32Array(64);
  transform(real, imaginary);
  const powers = [...real].map((value, bin) => Math.hypot(value, imaginary[bin] ?? 0));
  expect(powers[5]).toBeCloseTo(32, 3);
  expect(powers[59]).toBeCloseTo(32, 3);
  expect(Math.max(...powers.filter((_, bin) => bin !== 5 && bin !== 59))).toBeLessThan(1e-3);
});

describe("a spectrogram", () => {
  it.each([200, 440, 3000])("is loudest where the pitch of %i Hz lies", (hertz) => {
    const rows = 60;
    const { levels } = spectrogramOf(tone(hertz, 1), RATE, 10, rows);
    const column = [...levels.slice(5 * rows, 6 * rows)];
    const loudest = column.indexOf(Math.max(...column));
    expect(Math.abs((loudest + 0.5) / rows - pitchPlace(hertz, RATE))).toBeLessThan(0.03);
  });

  it("of silence is empty", () => {
    const { levels } = spectrogramOf(new Float32Array(4000), RATE, 4, 8);
    expect(Math.max(...levels)).toBe(0);
  });
});
