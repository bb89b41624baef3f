/** The theme that the page has, for what isn't drawn by styles. */
import { useSyncExternalStore } from "react";
import type { Theme } from "@/theme/apply";

export function useTheme(): Theme {
  return useSyncExternalStore(follow, themeNow);
}

function themeNow(): Theme {
  const found = document.documentElement.dataset.theme;
  return found === "dark" || found === "contrast" ? found : "light";
}

function follow(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}
