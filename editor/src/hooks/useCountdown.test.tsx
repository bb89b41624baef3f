import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useCountdown } from "./useCountdown";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("goes on between two estimates, and takes each new one", () => {
  const { result, rerender } = renderHook(({ left }) => useCountdown(left), {
    initialProps: { left: 10 as number | null },
  });
  expect(result.current).toBe(10);
  act(() => void vi.advanceTimersByTime(4000));
  expect(result.current).toBeCloseTo(6, 0);
  rerender({ left: 20 });
  expect(result.current).toBeCloseTo(20, 0);
  act(() => void vi.advanceTimersByTime(60_000));
  expect(result.current).toBe(0);
  rerender({ left: null });
  expect(result.current).toBeNull();
});
