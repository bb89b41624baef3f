import { useSyncExternalStore } from "react";

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      if (typeof matchMedia !== "function") return () => undefined;
      const list = matchMedia(query);
      list.addEventListener("change", changed);
      return () => list.removeEventListener("change", changed);
    },
    () => typeof matchMedia === "function" && matchMedia(query).matches,
  );
}

/** Phones: panels lie over the canvas. */
export function useIsSmall(): boolean {
  return useMedia("(max-width: 760px)");
}

/** Not enough room for the menus side by side. */
export function useIsNarrow(): boolean {
  return useMedia("(max-width: 1080px)");
}
