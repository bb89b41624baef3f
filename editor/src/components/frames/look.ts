/** How the editor looks, for frames to look alike: they have none of its styles. */
import { useSyncExternalStore } from "react";
import type { FrameTheme } from "@/model/frames";

const COLORS = [
  ...["bg", "bg-canvas", "bg-panel", "bg-raised", "bg-hover", "bg-active", "bg-input"],
  ...["border", "border-strong", "grid", "text", "text-muted", "text-faint"],
  ...["accent", "accent-hover", "accent-text", "accent-soft", "on-accent", "focus"],
  ...["good", "warn", "bad", "info", "series-1", "series-2", "series-3", "series-4"],
  ...["font", "mono", "radius-s", "radius-m"],
] as const;

function read(): FrameTheme {
  const root = document.documentElement;
  const style = getComputedStyle(root);
  const name = root.dataset.theme ?? "light";
  return {
    name,
    scheme: name === "light" ? "light" : "dark",
    colors: Object.fromEntries(
      COLORS.map((color) => [color, style.getPropertyValue(`--${color}`).trim()]),
    ),
  };
}

let known: FrameTheme | null = null;

function follow(changed: () => void): () => void {
  const observer = new MutationObserver(() => {
    known = null;
    changed();
  });
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}

export function useFrameTheme(): FrameTheme {
  return useSyncExternalStore(follow, () => {
    if (known === null || known.name !== (document.documentElement.dataset.theme ?? "light")) {
      known = read();
    }
    return known;
  });
}

/** The colour that an element stands on: of the nearest around it that has one. */
export function surfaceOf(element: Element | null): string {
  if (element === null) return "";
  const { backgroundColor } = getComputedStyle(element);
  const isClear = backgroundColor === "" || /^(transparent|rgba\(.*, 0\))$/.test(backgroundColor);
  return isClear ? surfaceOf(element.parentElement) : backgroundColor;
}

let isFollowed = false;

/**
 * Have no frame take the pointer while something is dragged that was taken up outside of it: its
 * moves would be lost there.
 */
export function shieldFrames(): void {
  if (isFollowed) return;
  isFollowed = true;
  const set = (isDown: boolean) => {
    document.documentElement.toggleAttribute("data-pointer-down", isDown);
  };
  addEventListener("pointerdown", () => set(true), true);
  for (const kind of ["pointerup", "pointercancel", "dragend", "blur"]) {
    addEventListener(kind, () => set(false), true);
  }
}
