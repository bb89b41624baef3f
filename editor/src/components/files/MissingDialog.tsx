import {
  Boxes,
  CircleCheck,
  Download,
  FileWarning,
  type LucideIcon,
  RefreshCw,
} from "lucide-react";
import { type ReactNode, useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { refreshPacks } from "@/api/client";
import { Badge, Button, Dialog, EmptyState } from "@/components/ui";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, useActive, useDocuments } from "@/store/documents";
import { notify, notifyFault } from "@/store/notices";
import { placeOf } from "@/store/places";
import { usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import styles from "./MissingDialog.module.css";
import {
  type MissingModel,
  type MissingPack,
  missingFiles,
  missingModels,
  missingPacks,
  type NodePlace,
} from "./missing";

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
  const isAllThere = packs.length + models.length + files.length === 0;
  return (
    <Dialog title={t("files.missingTitle")} size="m" onClose={onClose} footer={<Again />}>
      {isAllThere ? (
        <EmptyState icon={CircleCheck} title={t("files.nothingMissing")} />
      ) : (
        <div className={styles.sections}>
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

interface SectionProps {
  readonly icon: LucideIcon;
  readonly title: string;
  readonly help: ReactNode;
  readonly children: ReactNode;
}

function Section({ icon: Icon, title, help, children }: SectionProps) {
  return (
    <section className={styles.section}>
      <h3>
        <Icon aria-hidden size={16} /> {title}
      </h3>
      <ul>{children}</ul>
      <div className={styles.help}>{help}</div>
    </section>
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

function ModelHelp({ folders }: { readonly folders: readonly string[] }) {
  return (
    <>
      <p>{t("files.modelHelp")}</p>
      {folders.length > 0 && (
        <p>
          {t("files.modelFolders")}{" "}
          {folders.map((folder) => (
            <code key={folder}>{folder}</code>
          ))}
        </p>
      )}
    </>
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

interface NodeButtonProps {
  readonly name: string;
  readonly onFocus: (node: string) => void;
}

function NodeButton({ name, onFocus }: NodeButtonProps) {
  if (name === "") return null;
  return (
    <Button size="s" variant="ghost" onClick={() => onFocus(name)}>
      {t("files.showNode", { node: name })}
    </Button>
  );
}

/** Show a node by the name that it has in a run. */
function showNode(name: string): void {
  const document = activeDocument();
  const { entries, current } = document.history;
  const workflow = entries.get(current)?.value;
  const place = workflow && placeOf(workflow, useCatalogue.getState().types, name);
  if (!place) return;
  const { active } = useDocuments.getState();
  useUi
    .getState()
    .requestFocus({ document: active, path: place.path, node: place.node, port: null });
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
