import { FileInput } from "lucide-react";
import { openWorkflow } from "@/components/panels/gallery/actions";
import { ContextMenu } from "@/components/ui";
import { t } from "@/i18n";
import { closeResultMenu, useResultMenu } from "./menuState";
import { resultItems } from "./resultItems";

/** The menu of the result that was clicked, wherever it is shown. */
export function ResultMenu() {
  const opened = useResultMenu((state) => state.opened);
  if (opened === null) return null;
  const { artifact, at, node } = opened;
  const open = {
    label: t("results.openWorkflow"),
    icon: FileInput,
    run: () => void openWorkflow(artifact),
  };
  return (
    <ContextMenu
      at={at}
      items={[...resultItems(artifact, { node }), "separator", open]}
      label={t("results.menu", { name: artifact.name })}
      onClose={closeResultMenu}
    />
  );
}
