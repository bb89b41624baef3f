import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useLongPress } from "./useLongPress";

const opened = vi.fn();

function Page() {
  useLongPress();
  return (
    <>
      <button type="button" onContextMenu={opened}>
        card
      </button>
      <input aria-label="field" onContextMenu={opened} />
    </>
  );
}

function press(place: HTMLElement, pointerType = "touch"): void {
  const at = { pointerId: 3, pointerType, isPrimary: true, clientX: 20, clientY: 30 };
  fireEvent.pointerDown(place, at);
}

beforeEach(() => {
  vi.useFakeTimers();
  opened.mockClear();
  render(<Page />);
});
afterEach(() => void vi.useRealTimers());

it("asks for the menu where a finger rests", () => {
  press(screen.getByText("card"));
  vi.advanceTimersByTime(1000);
  expect(opened).toHaveBeenCalledOnce();
  expect(opened.mock.calls[0]?.[0]).toMatchObject({ clientX: 20, clientY: 30 });
});

it("asks once where the browser does it itself", () => {
  press(screen.getByText("card"));
  fireEvent.contextMenu(screen.getByText("card"));
  vi.advanceTimersByTime(1000);
  expect(opened).toHaveBeenCalledOnce();
});

it("leaves fingers alone that move, lift or select text, and the mouse", () => {
  press(screen.getByText("card"));
  fireEvent.pointerMove(document, { pointerId: 3, clientX: 60, clientY: 30 });
  vi.advanceTimersByTime(1000);
  press(screen.getByText("card"));
  fireEvent.pointerUp(document, { pointerId: 3 });
  vi.advanceTimersByTime(1000);
  press(screen.getByLabelText("field"));
  vi.advanceTimersByTime(1000);
  press(screen.getByText("card"), "mouse");
  vi.advanceTimersByTime(1000);
  expect(opened).not.toHaveBeenCalled();
});
