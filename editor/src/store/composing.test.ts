import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { followComposing, isComposing } from "./composing";

let field: HTMLInputElement;
let stop: () => void;
const heard = vi.fn<(key: string) => void>();
const hear = (event: KeyboardEvent) => heard(event.key);

beforeEach(() => {
  stop = followComposing();
  field = document.body.appendChild(document.createElement("input"));
  field.focus();
  heard.mockClear();
  // As React hears them, and the keys of commands.
  document.addEventListener("keydown", hear);
});

afterEach(() => {
  document.removeEventListener("keydown", hear);
  field.remove();
  stop();
});

const press = (key: string, more: KeyboardEventInit = {}) =>
  field.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
const compose = (kind: string) =>
  field.dispatchEvent(new CompositionEvent(`composition${kind}`, { bubbles: true }));

test("keys of an input method are nobody else's", () => {
  press("a");
  for (const key of ["Enter", "Escape", "ArrowDown"]) press(key, { isComposing: true });
  press("Enter", { keyCode: 229 });
  press("Enter");
  expect(heard.mock.calls.flat()).toEqual(["a", "Enter"]);
});

test("words are on their way until they are taken, or their field is gone", () => {
  expect(isComposing()).toBe(false);
  compose("start");
  expect(isComposing()).toBe(true);
  compose("end");
  expect(isComposing()).toBe(false);
  compose("start");
  field.remove();
  expect(isComposing()).toBe(false);
});
