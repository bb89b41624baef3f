import { describe, expect, it } from "vitest";
import { place } from "./place";

const view = { width: 1000, height: 800 };
const box = { width: 200, height: 300 };
const below = { side: "bottom", align: "start", gap: 4 } as const;

describe("a box beside its anchor", () => {
  it("is where it is wished", () => {
    const anchor = { left: 100, top: 50, width: 80, height: 30 };
    expect(place(anchor, box, view, below)).toEqual({ left: 100, top: 84 });
  });

  it("goes to the other side where there is no room", () => {
    const anchor = { left: 100, top: 700, width: 80, height: 30 };
    expect(place(anchor, box, view, below).top).toBe(700 - 4 - 300);
  });

  it("stays within the window", () => {
    const anchor = { left: 950, top: 50, width: 40, height: 30 };
    expect(place(anchor, box, view, below).left).toBe(1000 - 200 - 6);
    expect(place(anchor, box, { width: 150, height: 100 }, below).left).toBe(6);
  });
});
