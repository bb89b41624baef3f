import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { boxesOf } from "./mp4";
import { evenTiming, frameAt, mp4Timing, rateOf, timeWithin, webmRate } from "./videoTiming";

const rolling = new Uint8Array(readFileSync("../workflows/rolling.mp4"));
const movie = boxesOf(rolling).find(({ kind }) => kind === "moov")?.body ?? new Uint8Array();

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

function element(id: readonly number[], body: Uint8Array): Uint8Array {
  return bytes(...id, 0x80 | body.length, ...body);
}

describe("the timing of an MP4", () => {
  it("has its frames in the order in which they are shown", () => {
    const timing = mp4Timing(movie);
    expect(timing?.starts.length).toBe(16);
    expect(timing && rateOf(timing)).toBeCloseTo(8, 6);
    expect([...(timing?.starts ?? [])].slice(0, 3)).toEqual([0, 0.125, 0.25]);
  });

  it("is unknown where the file is damaged", () => {
    expect(mp4Timing(movie.subarray(0, 60))).toBeNull();
    expect(mp4Timing(new Uint8Array())).toBeNull();
  });
});

describe("the rate of a WebM", () => {
  const second = element([0x23, 0xe3, 0x83], bytes(0x02, 0x62, 0x5a, 0x00)); // 40,000,000 ns
  const sound = element([0xae], element([0x83], bytes(2)));
  const pictures = element([0xae], bytes(...element([0x83], bytes(1)), ...second));
  const tracks = element([0x16, 0x54, 0xae, 0x6b], bytes(...sound, ...pictures));

  it("is that of its pictures, also where the segment goes on for ever", () => {
    const file = bytes(
      ...element([0x1a, 0x45, 0xdf, 0xa3], bytes(0)),
      ...[0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      ...tracks,
    );
    expect(webmRate(file)).toBeCloseTo(25, 6);
  });

  it("is unknown where it isn't told", () => {
    expect(webmRate(element([0x18, 0x53, 0x80, 0x67], sound))).toBeNull();
    expect(webmRate(rolling)).toBeNull();
  });
});

describe("frames and times", () => {
  const timing = { starts: Float64Array.from([0, 0.1, 0.5, 0.6]), end: 0.7 };

  it("lead to each other", () => {
    for (const frame of [0, 1, 2, 3])
      expect(frameAt(timing, timeWithin(timing, frame))).toBe(frame);
    expect([-1, 0.3, 0.5, 9].map((seconds) => frameAt(timing, seconds))).toEqual([0, 1, 2, 3]);
  });

  it("stay within what there is", () => {
    expect(timeWithin(timing, 99)).toBeCloseTo(0.65);
    expect(timeWithin(timing, -5)).toBeCloseTo(0.05);
    expect(evenTiming(0, 30).starts.length).toBe(1);
  });
});
