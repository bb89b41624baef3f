/** The server's models as a library, and where more come from. */
import { Package } from "lucide-react";
import { useEffect } from "react";
import { EmptyState, Tabs } from "@/components/ui";
import { t } from "@/i18n";
import { modelIn } from "@/model/models";
import { useCatalogue } from "@/store/catalogue";
import { isUnderWay, useDownloads } from "@/store/downloads";
import { type ModelsTab, useModels } from "@/store/models";
import styles from "./ModelsPanel.module.css";
import { GetModels } from "./models/GetModels";
import { Library } from "./models/Library";
import { ModelDetail } from "./models/ModelDetail";

export default function ModelsPanel() {
  const tab = useModels((state) => state.tab);
  const shown = useModels((state) => state.shown);
  const models = useCatalogue((catalogue) => catalogue.models);
  const { needModels } = useCatalogue.getState();
  const running = useDownloads(({ items }) => items.filter(isUnderWay).length);
  useEffect(() => {
    // What can't be read now is read when the server is there again.
    if (models === null) needModels().catch(() => undefined);
  }, [models, needModels]);
  const model = modelIn(models, shown);
  if (model !== null && models !== null)
    return <ModelDetail key={model.name} model={model} models={models} />;
  return (
    <Tabs
      className={styles.tabs}
      label={t("models.title")}
      active={tab}
      onChange={(id) => useModels.getState().showTab(id as ModelsTab)}
      tabs={[
        { id: "own", label: t("models.own") },
        {
          id: "get",
          label: t("models.get"),
          badge: running > 0 ? <span className={styles.count}>{running}</span> : undefined,
        },
      ]}
    >
      {tab === "get" ? (
        <GetModels />
      ) : models === null ? (
        <EmptyState icon={Package} title={t("models.loading")} />
      ) : (
        <Library models={models} />
      )}
    </Tabs>
  );
}
