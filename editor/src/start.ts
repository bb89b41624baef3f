/** What happens before the first picture: the work of last time comes back, the server is called. */
import "@/commands";
import { dropFailedStyles } from "@/components/shell/lazyPart";
import { startAutosave } from "@/store/autosave";
import { followOtherTabs, useSettings } from "@/store/settings";
import { startServerStores } from "@/store/start";
import { followTheme } from "@/theme/apply";

/** Ready to be drawn. A browser that keeps nothing still gets an editor. */
export async function startEditor(): Promise<void> {
  followTheme(useSettings.getState().theme)();
  followOtherTabs();
  dropFailedStyles();
  startServerStores();
  await startAutosave().catch(() => undefined);
}
