/** Stars, tags and the board of several results at once. */
import type { ArtifactEntry } from "@/api/schema";
import { Button, Dialog } from "@/components/ui";
import { t } from "@/i18n";
import { ResultMarks } from "./Marks";

interface Props {
  readonly artifacts: readonly ArtifactEntry[];
  readonly onClose: () => void;
}

export default function OrganizeDialog({ artifacts, onClose }: Props) {
  return (
    <Dialog
      title={t("library.organize", { count: artifacts.length })}
      size="s"
      onClose={onClose}
      footer={
        <Button variant="primary" onClick={onClose}>
          {t("library.done")}
        </Button>
      }
    >
      <ResultMarks artifacts={artifacts} />
    </Dialog>
  );
}
