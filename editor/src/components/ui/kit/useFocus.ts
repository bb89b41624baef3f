import { useCallback, useState } from "react";

/**
 * A ref for a popup: it focuses what `find` says as soon as the popup is drawn, and gives the focus
 * back as it goes.
 *
 * The kit would do so a frame later, and a key that somebody presses meanwhile would go elsewhere.
 * What opens as the popup closes may have the focus already, such as a search: it keeps it.
 */
export function useFocus(
  find: (popup: HTMLElement) => HTMLElement | null,
  before: () => Element | null = () => document.activeElement,
) {
  const [opener] = useState(before);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another function would be called at each drawing
  return useCallback((popup: HTMLElement | null) => {
    if (popup === null) return;
    find(popup)?.focus({ preventScroll: true });
    return () => {
      const { activeElement: now } = document;
      const isTaken = now !== null && now !== document.body && !popup.contains(now);
      if (!isTaken && opener instanceof HTMLElement && opener.isConnected) giveFocus(opener);
    };
  }, []);
}

function giveFocus(opener: HTMLElement): void {
  opener.focus({ preventScroll: true });
  if (document.activeElement === opener) return;
  // A frame that was covered takes the focus only once it was drawn without the cover.
  requestAnimationFrame(() =>
    setTimeout(() => {
      const { activeElement: now } = document;
      if (now === null || now === document.body) opener.focus({ preventScroll: true });
    }),
  );
}
