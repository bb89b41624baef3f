/** Everything that goes on by itself while the page is open. */
import { startCatalogue } from "./catalogue";
import { socket, startConnection } from "./connection";
import { startDownloads } from "./downloads";
import { startDrafts } from "./drafts";
import { startGallery } from "./gallery";
import { startJobNotices } from "./jobNotices";
import { startJobs } from "./jobsFollowing";
import { startLibrary } from "./library";
import { startOutbox } from "./outbox";
import { startPacks } from "./packs";
import { startPlanning } from "./plan";
import { startForgettingViews } from "./valueViews";
import { startWorkEnd } from "./workEnd";

/** Connect to the server and follow it; gives what ends it. Once for a page. */
export function startServerStores(): () => void {
  const stops = [
    startCatalogue(),
    startDownloads(),
    startPacks(),
    startJobs({ socket: socket() }),
    startJobNotices(),
    startWorkEnd(),
    startGallery(),
    startLibrary(),
    startOutbox(),
    startPlanning(),
    startForgettingViews(),
    startDrafts({ socket: socket() }),
    // Last, so that all of them hear that it is open.
    startConnection(),
  ];
  return () => {
    for (const stop of stops.reverse()) stop();
  };
}
