import { FileInput, SlidersHorizontal, Tags, Trash2 } from "lucide-react";
import { openWorkflow } from "@/components/panels/gallery/actions";
import { ContextMenu } from "@/components/ui";
import { t } from "@/i18n";
import { trash } from "@/store/library";
import { useUi } from "@/store/ui";
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
  const values = {
    label: t("library.takeValues"),
    icon: SlidersHorizontal,
    run: () => void import("./values").then(({ takeValues }) => takeValues(artifact)),
  };
  const library = [
    "separator" as const,
    {
      label: t("library.tags"),
      icon: Tags,
      run: () => useUi.getState().openDialog("organize", { artifacts: [artifact] }),
    },
    { label: t("library.toTrash"), icon: Trash2, run: () => void trash([artifact]) },
  ];
  return (
    <ContextMenu
      at={at}
      items={[...resultItems(artifact, { node }), "separator", open, values, ...library]}
      label={t("results.menu", { name: artifact.name })}
      onClose={closeResultMenu}
    />
  );
}
