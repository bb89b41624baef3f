import { SlidersHorizontal } from "lucide-react";
import { Button, EmptyState } from "@/components/ui";
import { storeServices, WidgetServicesProvider } from "@/components/widgets";
import { t } from "@/i18n";
import { useActive } from "@/store/documents";
import { useUi } from "@/store/ui";
import { AppField } from "./AppField";
import styles from "./AppMode.module.css";
import { RunBar } from "./RunBar";

/** Title, fields and the run button. */
export function AppForm() {
  const { title, description, parameters, id } = useActive((document, workflow) => ({
    id: document.id,
    title: workflow.title,
    description: workflow.description,
    parameters: workflow.parameters,
  }));
  return (
    <section className={styles.side} aria-label={t("appmode.parameters")}>
      <header className={styles.head}>
        <h1 className={styles.title}>{title || t("appmode.untitled")}</h1>
        {description && <p className={styles.about}>{description}</p>}
      </header>
      <WidgetServicesProvider value={storeServices}>
        <div className={styles.fields}>
          {[...parameters].map(([name, parameter]) => (
            <AppField key={`${id}/${name}`} document={id} name={name} parameter={parameter} />
          ))}
          {parameters.size === 0 && <NoParameters />}
        </div>
      </WidgetServicesProvider>
      <RunBar document={id} />
    </section>
  );
}

function NoParameters() {
  return (
    <EmptyState icon={SlidersHorizontal} title={t("appmode.none")}>
      <p>{t("appmode.noneHint")}</p>
      <Button onClick={editParameters}>{t("appmode.editParameters")}</Button>
    </EmptyState>
  );
}

function editParameters(): void {
  const { setView, showPanel } = useUi.getState();
  setView("graph");
  showPanel("right", "parameters");
}
