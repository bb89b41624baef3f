import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { inSlices } from "./routeLater";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function* counting(to: number, seen: number[]): Generator<void, string> {
  for (let at = 0; at < to; at += 1) {
    seen.push(at);
    vi.advanceTimersByTime(0);
    yield;
  }
  return "done";
}

it("does its work later, and tells what it came to", () => {
  const seen: number[] = [];
  const done = vi.fn();
  inSlices(counting(5, seen), done);
  expect(seen).toEqual([]);
  vi.runAllTimers();
  expect(seen).toEqual([0, 1, 2, 3, 4]);
  expect(done).toHaveBeenCalledExactlyOnceWith("done");
});

it("stops where it is", () => {
  const done = vi.fn();
  const stop = inSlices(counting(5, []), done);
  stop();
  vi.runAllTimers();
  expect(done).not.toHaveBeenCalled();
});
