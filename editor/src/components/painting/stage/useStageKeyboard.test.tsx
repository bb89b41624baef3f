import { fireEvent, render, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import type { Gesture } from "./gestures";
import type { Point } from "./pixels/geometry";
import type { StageHandle, StageProps } from "./stageProps";
import { testCanvas } from "./testing";
import { DEFAULT_TOOL } from "./tools";
import { useStageKeyboard } from "./useStageKeyboard";

const gesture = {
  move: vi.fn<Gesture["move"]>(),
  end: vi.fn<() => void>(),
  cancel: vi.fn<() => void>(),
};
const begin = vi.fn(() => gesture);

function Drawn() {
  const keyboard = useStageKeyboard({
    props: {
      canvas: testCanvas(),
      tool: { ...DEFAULT_TOOL, size: 40 },
      view: { x: 0, y: 0, zoom: 1 },
    } as unknown as StageProps,
    size: { width: 400, height: 200 },
    handle: {} as StageHandle,
    floating: {
      current: () => null,
      place: () => undefined,
      apply: () => false,
      drop: () => false,
    },
    spot: () => spot,
    onSpot: (next) => {
      spot = next;
    },
    begin,
    cancelPointer: () => false,
  });
  return <button type="button" {...keyboard.handlers} />;
}

let spot: Point | null = null;

function pressed(...keys: readonly string[]): void {
  const stage = screen.getByRole("button");
  for (const key of keys) fireEvent.keyDown(stage, { key });
}

it("draws from where the brush is, as far as the arrows go, until Enter lifts it", () => {
  spot = null;
  render(<Drawn />);
  pressed("Enter", "ArrowRight", "ArrowRight", "ArrowDown", "Enter", "ArrowDown");
  expect(begin).toHaveBeenCalledWith({ x: 200, y: 100, pressure: 1 }, { shift: false, alt: false });
  const points = gesture.move.mock.calls.flatMap(([samples]) => samples.map(({ x, y }) => [x, y]));
  expect(points).toEqual([
    [210, 100],
    [220, 100],
    [220, 110],
  ]);
  expect(gesture.end).toHaveBeenCalledOnce();
});

it("takes the stroke back on Escape", () => {
  render(<Drawn />);
  pressed("Enter", "ArrowRight", "Escape");
  expect(gesture.cancel).toHaveBeenCalledOnce();
});
