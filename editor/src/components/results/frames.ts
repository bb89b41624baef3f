/** The frame that a video shows, taken as an image that workflows read. */
import { ImagePlus, Send } from "lucide-react";
import type { ArtifactEntry, FrameRequest } from "@/api/schema";
import type { MenuItem } from "@/components/ui";
import { t } from "@/i18n";
import { mayRun, useConnection } from "@/store/connection";

interface Options {
  /** Of the graph that is shown, whose video it is; null where it is seen elsewhere. */
  readonly node?: string | null;
  /** Done first, as where a dialog has to close. */
  readonly before?: (() => void) | undefined;
}

/** What can be done with the frame of a video; `at` is asked when one of them is chosen. */
export function frameItems(
  video: ArtifactEntry,
  at: () => FrameRequest,
  { node = null, before }: Options = {},
): readonly MenuItem[] {
  const isAllowed = mayRun(useConnection.getState());
  return (["use", "send"] as const).map((action) => ({
    id: `frames.${action}`,
    label: t(`results.${action}`),
    icon: action === "use" ? ImagePlus : Send,
    disabled: !isAllowed,
    run: () => {
      const frame = at();
      before?.();
      void import("./taking").then(({ takeFrame }) => takeFrame(action, video, frame, node));
    },
  }));
}
