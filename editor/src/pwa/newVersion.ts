/**
 * After an update of the server, this page is of the version before. It offers to be loaded anew,
 * and never does so by itself: somebody may be in the middle of something.
 */
import { rootPath } from "@/api/rootPath";
import { t } from "@/i18n";
import { socket, useConnection } from "@/store/connection";
import { notify } from "@/store/notices";
import { filesOf } from "./shell";

/** Look whenever the server greets, as it does after each start; gives what ends it. */
export function startNewVersion(worker: ServiceWorkerRegistration | null): () => void {
  const look = () => {
    void isOld().then((isSo) => {
      if (!isSo) return;
      // It keeps the new page meanwhile, for when the server is away.
      worker?.update().catch(() => undefined);
      offer();
    });
  };
  // A page that was opened offline may have been greeted before.
  if (useConnection.getState().state === "open" && isKept()) look();
  return socket().on("welcome", look);
}

/** Whether the worker may have answered with a page that it kept. */
function isKept(): boolean {
  return "serviceWorker" in navigator && navigator.serviceWorker.controller !== null;
}

/** Whether the server's page loads other files than this page did. */
async function isOld(): Promise<boolean> {
  try {
    const headers = { accept: "text/html" };
    const answer = await fetch(`${rootPath()}/`, { cache: "no-cache", headers });
    if (!answer.ok || answer.redirected) return false;
    return differs(filesOf(await answer.text()), document);
  } catch {
    return false;
  }
}

/** Whether a page lacks any of these files. */
export function differs(files: readonly string[], page: Document): boolean {
  const own = new Set(filesOf(page.documentElement.outerHTML));
  return files.some((file) => !own.has(file));
}

function offer(): void {
  notify({
    kind: "info",
    title: t("offline.newVersion"),
    detail: t("offline.newVersionDetail"),
    action: { label: t("offline.reload"), run: () => location.reload() },
    lasts: null,
    key: "version",
  });
}
