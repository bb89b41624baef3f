import { type RefObject, useLayoutEffect } from "react";
import { movedCaret } from "@/model/shared/textMerge";

/**
 * Keep the caret of a field at its letters when its text changes by anything but typing here, as when
 * another person types in it. React puts it at the end.
 */
export function useCaret(
  field: RefObject<HTMLInputElement | HTMLTextAreaElement | null>,
  value: string,
): void {
  const element = field.current;
  // Before the change is drawn, the field still has what it had.
  const isOthers =
    element !== null && element.value !== value && document.activeElement === element;
  const before = isOthers
    ? {
        text: element.value,
        start: element.selectionStart ?? 0,
        end: element.selectionEnd ?? 0,
        direction: element.selectionDirection ?? "none",
      }
    : null;
  useLayoutEffect(() => {
    if (before === null) return;
    const { text, start, end, direction } = before;
    const [from, to] = [movedCaret(text, value, start), movedCaret(text, value, end)];
    field.current?.setSelectionRange(from, to, direction);
  });
}
