import type { ModelEntry } from "@/api/schema";
import { TakerContext } from "@/components/panels/models/GetButton";
import { GetModels } from "@/components/panels/models/GetModels";
import { Dialog } from "@/components/ui";
import { t } from "@/i18n";
import { isUsable } from "@/model/generate";
import { useCatalogue } from "@/store/catalogue";
import { choose, chooseModel, useGenerate } from "@/store/generate";
import styles from "./GeneratePage.module.css";

interface Props {
  readonly onClose: () => void;
}

/** Models from other sites, for the page without a graph: what is here is chosen there. */
export default function GetModelsDialog({ onClose }: Props) {
  const closing = (model: ModelEntry) => {
    const take = takerOf(model);
    if (take === null) return null;
    return () => {
      take();
      onClose();
    };
  };
  return (
    <TakerContext value={closing}>
      <Dialog title={t("models.get")} padded={false} onClose={onClose}>
        <div className={styles.getModels}>
          <GetModels />
        </div>
      </Dialog>
    </TakerContext>
  );
}

/** What chooses a model on the page; null for what it doesn't choose from. */
function takerOf(model: ModelEntry): (() => void) | null {
  const { types } = useCatalogue.getState();
  const { name } = model;
  if (model.use === "lora") {
    return () => {
      const { loras } = useGenerate.getState().settings;
      if (loras.some((lora) => lora.name === name)) return;
      choose({ loras: [...loras, { name, strength: 1 }] });
    };
  }
  if (types !== null && isUsable(model, types)) return () => chooseModel(name);
  return null;
}
