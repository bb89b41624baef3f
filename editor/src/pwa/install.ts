/** Makes an app of the page: it opens without the server, opens files, and tells of new versions. */
import { openFiles } from "@/components/files/opening";
import { startNewVersion } from "./newVersion";

/** Once for a page, when it has nothing else to do. */
export async function startApp(): Promise<void> {
  openLaunched();
  startNewVersion(await registered());
}

/** The worker lies beside the manifest, wherever a proxy offers the server. */
async function registered(): Promise<ServiceWorkerRegistration | null> {
  const manifest = document.querySelector<HTMLLinkElement>('link[rel="manifest"]')?.href;
  // Browsers have workers only where nobody else can read along.
  if (manifest === undefined || !("serviceWorker" in navigator) || savesData()) return null;
  try {
    const options = { updateViaCache: "none" } as const;
    const found = await navigator.serviceWorker.register(new URL("sw.js", manifest), options);
    return found ?? null;
  } catch {
    // Private windows and full disks: the editor works as before, with the server alone.
    return null;
  }
}

/** Whether somebody pays for what is loaded. */
function savesData(): boolean {
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  return connection?.saveData === true;
}

interface LaunchQueue {
  setConsumer(take: (launch: { readonly files?: readonly FileSystemFileHandle[] }) => void): void;
}

/** Files that the system opens with the installed app. */
function openLaunched(): void {
  const { launchQueue } = window as { launchQueue?: LaunchQueue };
  launchQueue?.setConsumer(async ({ files = [] }) => {
    const chosen = files.map(async (handle) => ({ file: await handle.getFile(), handle }));
    if (chosen.length > 0) await openFiles(await Promise.all(chosen));
  });
}
