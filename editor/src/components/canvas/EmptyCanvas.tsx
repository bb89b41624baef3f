/** What to do with an empty graph. */
import { GraduationCap, LayoutTemplate, Plus } from "lucide-react";
import { run } from "@/commands/registry";
import { Button, Kbd } from "@/components/ui";
import { t } from "@/i18n";
import { useUi } from "@/store/ui";
import { screenCenter, visibleCenter } from "./controller";
import styles from "./EmptyCanvas.module.css";

export function EmptyCanvas() {
  const add = () => useUi.getState().openAddNode({ screen: screenCenter(), at: visibleCenter() });
  return (
    <div className={styles.empty}>
      <p className={styles.title}>{t("canvas.empty.title")}</p>
      <p className={styles.words}>
        {t("canvas.empty.words")} <Kbd keys="space" />
      </p>
      <div className={styles.actions}>
        <Button variant="primary" icon={Plus} onClick={add}>
          {t("canvas.empty.add")}
        </Button>
        <Button variant="secondary" icon={LayoutTemplate} onClick={() => run("file.templates")}>
          {t("canvas.empty.templates")}
        </Button>
        <Button variant="secondary" icon={GraduationCap} onClick={() => run("help.lessons")}>
          {t("lessons.tab")}
        </Button>
      </div>
    </div>
  );
}
