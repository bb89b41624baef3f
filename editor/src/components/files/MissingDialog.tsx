import { Boxes, CircleCheck, FileWarning, Puzzle, RefreshCw } from "lucide-react";
import { useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { api } from "@/api/client";
import { Badge, Button, Dialog, EmptyState } from "@/components/ui";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { notify, notifyFault } from "@/store/notices";
import { usePlan } from "@/store/plan";
import { InstallPack } from "./InstallPack";
import styles from "./MissingDialog.module.css";
import { MissingModels } from "./MissingModels";
import {
  type MissingPack,
  missingFiles,
  missingModels,
  missingPacks,
  placeholders,
} from "./missing";
import { NodeButton, PlaceButton, Section, showNode } from "./Section";

interface Props {
  readonly onClose: () => void;
}

/** What the active workflow needs that isn't there, and where to get it. */
export default function MissingDialog({ onClose }: Props) {
  const { workflow } = useActive((_, found) => ({ workflow: found }));
  const types = useCatalogue((catalogue) => catalogue.types);
  const plan = usePlan(useShallow(({ missing, problems }) => ({ missing, problems })));
  const packs = missingPacks(workflow, types, plan.missing.packs);
  const models = missingModels(workflow, plan.missing.models);
  const files = missingFiles(plan.problems);
  const focus = (node: string) => {
    showNode(node);
    onClose();
  };
  const untranslated = placeholders(workflow);
  const isAllThere = untranslated.length + packs.length + models.length + files.length === 0;
  return (
    <Dialog title={t("files.missingTitle")} size="m" onClose={onClose} footer={<Again />}>
      {isAllThere ? (
        <EmptyState icon={CircleCheck} title={t("files.nothingMissing")} />
      ) : (
        <div className={styles.sections}>
          {untranslated.length > 0 && (
            <Section
              icon={Puzzle}
              title={t("files.untranslated")}
              help={<p>{t("files.untranslatedHelp")}</p>}
            >
              {untranslated.map(({ type, pack, places }) => (
                <li key={type} className={styles.row}>
                  <span>
                    <strong>{type}</strong> {pack && <Badge>{pack}</Badge>}
                  </span>
                  <PlaceButton places={places} onFocus={focus} />
                </li>
              ))}
            </Section>
          )}
          {packs.length > 0 && <Packs packs={packs} onFocus={focus} />}
          {models.length > 0 && (
            <MissingModels workflow={workflow} models={models} onFocus={focus} />
          )}
          {files.length > 0 && (
            <Section
              icon={FileWarning}
              title={t("files.missingFiles")}
              help={t("files.missingFilesHelp")}
            >
              {files.map((file) => (
                <li key={`${file.node}.${file.port}`} className={styles.row}>
                  <span>{file.message}</span>
                  <NodeButton name={file.node ?? ""} onFocus={focus} />
                </li>
              ))}
            </Section>
          )}
        </div>
      )}
    </Dialog>
  );
}

interface PacksProps {
  readonly packs: readonly MissingPack[];
  readonly onFocus: (node: string) => void;
}

function Packs({ packs, onFocus }: PacksProps) {
  return (
    <Section
      icon={Boxes}
      title={t("files.missingPacks")}
      help={
        <ol>
          <li>{t("files.packHelpAsk")}</li>
          <li>
            {t("files.packHelpInstall")} <code>nodegraph pack add …</code>
          </li>
          <li>{t("files.packHelpAgain")}</li>
        </ol>
      }
    >
      {packs.map(({ pack, versions, types, places }) => (
        <li key={pack} className={styles.row}>
          <span>
            <strong>{pack || t("files.noPack")}</strong> {versions && <Badge>{versions}</Badge>}
            {types.length > 0 && <span className={styles.faint}>{types.join(", ")}</span>}
          </span>
          <InstallPack names={pack ? [pack] : []} types={types} />
          <PlaceButton places={places} onFocus={onFocus} />
        </li>
      ))}
    </Section>
  );
}

/** Has the server look at its packs and models anew. */
function Again() {
  const [isBusy, setIsBusy] = useState(false);
  const look = async () => {
    setIsBusy(true);
    try {
      const { node_types: count } = await api.POST("/system/refresh");
      const { load, loadModels } = useCatalogue.getState();
      await Promise.all([load(), loadModels()]);
      notify({ kind: "success", title: t("files.looked", { count }), key: "looked" });
    } catch (fault) {
      notifyFault(fault, { title: t("files.lookFailed") });
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <Button icon={RefreshCw} busy={isBusy} onClick={() => void look()}>
      {t("files.look")}
    </Button>
  );
}
