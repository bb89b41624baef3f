/** What can be done with a picture that a workflow gave, as entries of menus. */
import { Brush, ImagePlus, Scaling, Send, Shuffle, SquareDashed } from "lucide-react";
import type { ArtifactEntry } from "@/api/schema";
import type { MenuItem } from "@/components/ui";
import { t } from "@/i18n";
import type { Recipe } from "@/model/recipes";
import { mayRun, useConnection } from "@/store/connection";
import { useUi } from "@/store/ui";
import { isReadable } from "./kinds";

export const ACTIONS = [
  { action: "use", icon: ImagePlus },
  { action: "vary", icon: Shuffle },
  { action: "inpaint", icon: SquareDashed },
  { action: "canvas", icon: Brush },
  { action: "upscale", icon: Scaling },
  { action: "send", icon: Send },
] as const;

export type Action = Recipe | "send" | "canvas";

/**
 * Do one of them; what is needed for it is fetched only now.
 *
 * @param node Of the graph that is shown, whose picture it is; null where it is seen elsewhere.
 */
export async function act(
  action: Action,
  artifact: ArtifactEntry,
  node: string | null = null,
): Promise<void> {
  if (action === "send") {
    useUi.getState().openDialog("sendTo", { artifact });
    return;
  }
  if (action === "canvas") {
    const { openOnCanvas } = await import("./taking");
    await openOnCanvas(artifact, node);
    return;
  }
  const { takeFurther } = await import("./taking");
  await takeFurther(action, artifact, node);
}

/** Nothing for what no node can read. `before` is done first, as where a dialog has to close. */
export function resultItems(
  artifact: ArtifactEntry,
  { node = null, before }: { readonly node?: string | null; readonly before?: () => void } = {},
): readonly MenuItem[] {
  if (!isReadable(artifact)) return [];
  const isAllowed = mayRun(useConnection.getState());
  return ACTIONS.map(({ action, icon }) => ({
    id: `results.${action}`,
    label: t(`results.${action}`),
    icon,
    disabled: !isAllowed,
    run: () => {
      before?.();
      void act(action, artifact, node);
    },
  }));
}
