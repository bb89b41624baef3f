/** What stands in a viewer's place while its file isn't there. */
import { FileQuestion } from "lucide-react";
import type { ArtifactEntry } from "@/api/schema";
import { Button, EmptyState, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { bytes } from "@/i18n/format";
import type { Fetched } from "./useFile";
import styles from "./Viewers.module.css";

interface Props {
  readonly artifact: ArtifactEntry;
  readonly fetched: Fetched<unknown>;
}

export function Waiting({ artifact, fetched }: Props) {
  return (
    <div className={styles.waiting}>
      {fetched.state === "loading" && <Spinner label={t("viewers.loading")} />}
      {fetched.state === "large" && (
        <EmptyState icon={FileQuestion} title={t("viewers.large", { size: bytes(artifact.size) })}>
          <Button onClick={fetched.load}>{t("viewers.load")}</Button>
        </EmptyState>
      )}
      {fetched.state === "failed" && <Unshown />}
    </div>
  );
}

/** Said of what no viewer can show. */
export function Unshown() {
  return (
    <EmptyState icon={FileQuestion} title={t("panels.viewer.noPreview")}>
      {t("panels.viewer.noPreviewHint")}
    </EmptyState>
  );
}
