/** What happens before the first picture: the work of last time comes back, the server is called. */
import "@/commands";
import { dropFailedStyles } from "@/components/shell/lazyPart";
import { unreadField } from "@/components/widgets/useDraft";
import { switchLanguage } from "@/i18n";
import { followAddress } from "@/store/address";
import { startAutosave } from "@/store/autosave";
import { followComposing } from "@/store/composing";
import { startRunningOnChange } from "@/store/runOnChange";
import { chosenLanguage, followOtherTabs, useSettings } from "@/store/settings";
import { startServerStores } from "@/store/start";
import { followTheme } from "@/theme/apply";

/** Ready to be drawn. A browser that keeps nothing still gets an editor. */
export async function startEditor(): Promise<void> {
  followTheme(useSettings.getState().theme)();
  followOtherTabs();
  followAddress();
  dropFailedStyles();
  // Before all others that listen to keys.
  followComposing();
  startServerStores();
  if (import.meta.env.PROD) whenIdle(() => import("@/pwa/install").then((app) => app.startApp()));
  startRunningOnChange({ isUnread: () => unreadField() !== null });
  await Promise.all([
    startAutosave().catch(() => undefined),
    // The page asks again, and tells what went wrong.
    switchLanguage(chosenLanguage()).catch(() => undefined),
  ]);
}

/** Milliseconds that a page has for what its person came for. */
const SETTLING = 4000;

/** Once the page is loaded and has nothing else to do. */
function whenIdle(task: () => Promise<void>): void {
  // A part that can't be fetched is one that isn't needed.
  const run = () => void task().catch(() => undefined);
  const wait = () =>
    setTimeout(() => {
      if ("requestIdleCallback" in window) requestIdleCallback(run);
      else run();
    }, SETTLING);
  if (document.readyState === "complete") wait();
  else addEventListener("load", wait, { once: true });
}
