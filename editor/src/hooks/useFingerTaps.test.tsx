import { renderHook } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import { useFingerTaps } from "./useFingerTaps";

type Finger = readonly [id: number, x: number, y: number];

let canvas: HTMLElement;
let down: Finger[];

beforeEach(() => {
  document.body.innerHTML = "<main data-canvas></main><aside></aside>";
  canvas = document.querySelector("main") as HTMLElement;
  down = [];
});

function send(kind: string, changed: readonly Finger[], at: number, target = canvas): void {
  const touches = (fingers: readonly Finger[]) =>
    fingers.map(([identifier, clientX, clientY]) => ({ identifier, clientX, clientY, target }));
  const event = new Event(kind, { bubbles: true });
  const fields = { touches: touches(down), changedTouches: touches(changed), timeStamp: at };
  for (const [name, value] of Object.entries(fields)) Object.defineProperty(event, name, { value });
  target.dispatchEvent(event);
}

function put(finger: Finger, at: number, target = canvas): void {
  down = [...down, finger];
  send("touchstart", [finger], at, target);
}

function lift(finger: Finger, at: number): void {
  down = down.filter(([id]) => id !== finger[0]);
  send("touchend", [finger], at);
}

const FINGERS: readonly Finger[] = [0, 1, 2, 3].map((id) => [id, 100 + 60 * id, 100]);

test.each([
  [1, []],
  [2, [2]],
  [3, [3]],
  [4, []],
])("a tap with %d fingers", (count, told) => {
  const onTap = vi.fn();
  renderHook(() => useFingerTaps(onTap));
  const fingers = FINGERS.slice(0, count);
  for (const [index, finger] of fingers.entries()) put(finger, 20 * index);
  for (const finger of fingers) lift(finger, 150);
  expect(onTap.mock.calls.flat()).toEqual(told);
});

test("fingers that rest, move, or are elsewhere tap nothing", () => {
  const onTap = vi.fn();
  renderHook(() => useFingerTaps(onTap));
  const [a, b] = FINGERS as [Finger, Finger];
  put(a, 0);
  put(b, 10);
  for (const finger of [a, b]) lift(finger, 900);
  put(a, 1000);
  put(b, 1010);
  send("touchmove", [[0, 160, 100]], 1050);
  for (const finger of [a, b]) lift(finger, 1100);
  const panel = document.querySelector("aside") as HTMLElement;
  put(a, 2000, panel);
  put(b, 2010, panel);
  for (const finger of [a, b]) lift(finger, 2100);
  expect(onTap).not.toHaveBeenCalled();
});
