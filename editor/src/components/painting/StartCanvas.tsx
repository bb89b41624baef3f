/** A workflow without a canvas: what one begins with. */
import { Brush, ImagePlus, Images } from "lucide-react";
import { useState } from "react";
import { upload } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { chooseFile } from "@/components/generate/chooseFile";
import { Button, EmptyState, NumberField } from "@/components/ui";
import { t } from "@/i18n";
import { knowsSizes, sizeFor } from "@/model/generate/sizes";
import { canAdoptLayers } from "@/model/painting";
import { nodesOf } from "@/model/scope";
import { familyAt } from "@/model/search";
import { modelFamilies, useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { lastOutputs, useJobs } from "@/store/jobs";
import { told } from "./adding";
import { isPicture } from "./pictures";
import styles from "./StartCanvas.module.css";
import { adopt, begin, beginWith, type Size } from "./starting";

const USUAL: Size = { width: 512, height: 512 };
const SIDE = { min: 64, max: 8192, step: 8, integer: true } as const;

export function StartCanvas() {
  const usual = useUsualSize();
  const [chosen, setSize] = useState<Size | null>(null);
  const size = chosen ?? usual;
  const document = useDocuments((state) => state.active);
  const last = useJobs((state) => lastPicture(state, document));
  return (
    <div className={styles.start} data-painting>
      <EmptyState icon={Brush} title={t("painting.start")}>
        {t("painting.startHint")}
      </EmptyState>
      <Adopt />
      <div className={styles.sizes}>
        <NumberField
          {...SIDE}
          label={t("painting.width")}
          value={size.width}
          onChange={(width) => setSize({ ...size, width })}
        />
        <span aria-hidden>×</span>
        <NumberField
          {...SIDE}
          label={t("painting.height")}
          value={size.height}
          onChange={(height) => setSize({ ...size, height })}
        />
        <Button variant="primary" icon={Brush} onClick={() => begin(null, size)}>
          {t("painting.startEmpty")}
        </Button>
      </div>
      <div className={styles.others}>
        <Button icon={ImagePlus} onClick={() => void told(fromFile)}>
          {t("painting.startFile")}
        </Button>
        {last && (
          <Button icon={Images} onClick={() => void told(() => beginWith(last, null))}>
            {t("painting.startResult")}
          </Button>
        )}
      </div>
    </div>
  );
}

/** Layers without a box are no canvas yet. */
function Adopt() {
  const types = useCatalogue((catalogue) => catalogue.types);
  const isOffered = useActive(
    (_document, workflow, scope) => types !== null && canAdoptLayers({ workflow, scope, types }),
  );
  if (!isOffered) return null;
  return (
    <div className={styles.adopt}>
      <p>{t("painting.adoptHint")}</p>
      <Button variant="primary" icon={Brush} onClick={adopt}>
        {t("painting.adopt")}
      </Button>
    </div>
  );
}

/** The size that the workflow's model was trained with. */
function useUsualSize(): Size {
  useCatalogue((catalogue) => catalogue.models);
  return useActive((_document, workflow, scope) => {
    const families = modelFamilies();
    for (const node of nodesOf(workflow, scope).keys()) {
      const family = familyAt(workflow, scope, node, families);
      if (family !== null && knowsSizes(family)) return sizeFor(family, 1);
    }
    return USUAL;
  });
}

function lastPicture(state: Parameters<typeof lastOutputs>[0], document: string) {
  let found: ArtifactEntry | null = null;
  for (const outputs of lastOutputs(state, document).values()) {
    found = outputs.findLast(isPicture) ?? found;
  }
  return found;
}

async function fromFile(): Promise<void> {
  const file = await chooseFile("image/*");
  if (file === null) return;
  const bitmap = await createImageBitmap(file);
  const size = { width: bitmap.width, height: bitmap.height };
  bitmap.close();
  const { value } = await upload(file);
  begin({ value, ...size, node: null }, size);
}
