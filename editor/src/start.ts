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
  startRunningOnChange({ isUnread: () => unreadField() !== null });
  await Promise.all([
    startAutosave().catch(() => undefined),
    // The page asks again, and tells what went wrong.
    switchLanguage(chosenLanguage()).catch(() => undefined),
  ]);
}
