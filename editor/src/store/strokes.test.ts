import { describe, expect, it, vi } from "vitest";
import { finishBefore, strokesDrawn, whileDrawn } from "./strokes";

describe("strokes on their way into a workflow", () => {
  it("are written in the order in which they were drawn", async () => {
    const order: number[] = [];
    let release = () => {};
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    void whileDrawn(async () => {
      await slow;
      order.push(1);
    });
    const second = whileDrawn(async () => order.push(2));
    release();
    await second;
    expect(order).toEqual([1, 2]);
  });

  it("are waited for until the last one is there, also after one that failed", async () => {
    expect(strokesDrawn()).toBeNull();
    const failed = whileDrawn(() => Promise.reject(new Error("no picture")));
    let isWritten = false;
    void whileDrawn(async () => {
      isWritten = true;
    });
    await expect(failed).rejects.toThrow("no picture");
    await strokesDrawn();
    expect(isWritten).toBe(true);
    expect(strokesDrawn()).toBeNull();
  });
});

it("an edit that is still being made is ended by whatever reads the workflow", () => {
  const end = vi.fn<() => void>();
  const forget = finishBefore(end);
  expect(strokesDrawn()).toBeNull();
  expect(end).toHaveBeenCalledOnce();
  forget();
  strokesDrawn();
  expect(end).toHaveBeenCalledOnce();
});
