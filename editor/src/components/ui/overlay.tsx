/**
 * Where menus and popovers are put. A modal dialog makes everything outside it inert, so what opens
 * within a dialog has to be put into that dialog.
 */
import { createContext, useContext } from "react";

const OverlayRoot = createContext<HTMLElement | null>(null);

export const OverlayRootProvider = OverlayRoot.Provider;

export function useOverlayRoot(): HTMLElement {
  return useContext(OverlayRoot) ?? document.body;
}
