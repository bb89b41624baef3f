import { Boxes, CircleCheck, Download, FileWarning, Puzzle, RefreshCw } from "lucide-react";
import { useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { refreshPacks } from "@/api/client";
import { Badge, Button, Dialog, EmptyState } from "@/components/ui";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { notify, notifyFault } from "@/store/notices";
import { usePlan } from "@/store/plan";
import styles from "./MissingDialog.module.css";
import {
  type MissingModel,
  type MissingPack,
  missingFiles,
  missingModels,
  missingPacks,
  type NodePlace,
  placeholders,
} from "./missing";
import { ModelHelp, NodeButton, Section, showNode } from "./Section";

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
          {models.length > 0 && <Models models={models} onFocus={focus} />}
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
            {t("files.packHelpInstall")} <code>pip install …</code>
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
          <PlaceButton places={places} onFocus={onFocus} />
        </li>
      ))}
    </Section>
  );
}

interface ModelsProps {
  readonly models: readonly MissingModel[];
  readonly onFocus: (node: string) => void;
}

function Models({ models, onFocus }: ModelsProps) {
  const folders = useCatalogue((catalogue) => catalogue.modelFolders);
  const known = useCatalogue((catalogue) => catalogue.models);
  return (
    <Section
      icon={Download}
      title={t("files.missingModels")}
      help={<ModelHelp folders={folders} />}
    >
      {models.map(({ model, places }) => (
        <li key={model} className={styles.row}>
          <span>
            <strong>{model}</strong>
            {known && known.length > 0 && (
              <span className={styles.faint}>
                {t("files.modelsThere", {
                  names: known
                    .map(({ name }) => name)
                    .slice(0, 6)
                    .join(", "),
                })}
              </span>
            )}
          </span>
          <a
            href={`https://huggingface.co/models?search=${encodeURIComponent(lastPart(model))}`}
            target="_blank"
            rel="noopener noreferrer"
          >
            {t("files.searchModel")}
          </a>
          <PlaceButton places={places} onFocus={onFocus} />
        </li>
      ))}
    </Section>
  );
}

/** The name without folders and ending, as people search for it. */
function lastPart(model: string): string {
  return (model.split(/[\\/]/).at(-1) ?? model).replace(/\.(safetensors|ckpt)$/i, "");
}

interface PlaceButtonProps {
  readonly places: readonly NodePlace[];
  readonly onFocus: (node: string) => void;
}

/** Shows the first node that needs it; one within a block has no one name in a run. */
function PlaceButton({ places, onFocus }: PlaceButtonProps) {
  const [first] = places;
  return <NodeButton name={first?.scope === null ? first.node : ""} onFocus={onFocus} />;
}

/** Has the server look at its packs and models anew. */
function Again() {
  const [isBusy, setIsBusy] = useState(false);
  const look = async () => {
    setIsBusy(true);
    try {
      const { node_types: count } = await refreshPacks();
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
