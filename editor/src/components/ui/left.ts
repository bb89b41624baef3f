/** What has given up the focus to what is about to be drawn, and is to have it again afterwards. */
let left: HTMLElement | null = null;

/** Have an element give up the focus, for a dialog that isn't there yet. */
export function leaveForDialog(element: HTMLElement): void {
  left = element;
  element.blur();
  // Whatever somebody goes to by then is where they are.
  document.addEventListener("focusin", forget, { once: true });
}

/**
 * Where the focus was before a dialog.
 *
 * It may ask more than once: what waits for a part of it begins anew.
 */
export function focusBefore(): Element | null {
  return left ?? document.activeElement;
}

function forget(): void {
  left = null;
  document.removeEventListener("focusin", forget);
}
