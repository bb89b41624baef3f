import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Paced } from "./paced";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("Paced", () => {
  it("does at once what is asked for, and what is asked for again and again once a while", async () => {
    const begun: number[] = [];
    const start = performance.now();
    const paced = new Paced(async () => void begun.push(performance.now() - start), 1000);
    for (let tick = 0; tick < 25; tick += 1) {
      paced.ask();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(begun).toEqual([0, 1000, 2000]);
  });

  it("does nothing twice at once, and once more what was asked for meanwhile", async () => {
    let [open, most, done] = [0, 0, 0];
    const paced = new Paced(async () => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setTimeout(resolve, 500));
      open -= 1;
      done += 1;
    }, 0);
    paced.ask();
    await vi.advanceTimersByTimeAsync(100);
    paced.ask();
    paced.ask();
    await vi.advanceTimersByTimeAsync(5000);
    expect([most, done]).toEqual([1, 2]);
  });

  it("does nothing once it was stopped", async () => {
    const act = vi.fn(async () => {});
    const paced = new Paced(act, 0);
    paced.ask();
    paced.stop();
    paced.ask();
    await vi.advanceTimersByTimeAsync(5000);
    expect(act).not.toHaveBeenCalled();
  });
});
