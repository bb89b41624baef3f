import {
  CircleAlert,
  CircleCheck,
  Download,
  FileWarning,
  Info,
  Puzzle,
  Shapes,
} from "lucide-react";
import type { ReactNode } from "react";
import type { NeededModel, UntranslatedNode } from "@/api/schema";
import { Badge, Button, Dialog } from "@/components/ui";
import { t } from "@/i18n";
import { problemWords } from "@/i18n/format";
import { labelOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { mayManageModels, useConnection } from "@/store/connection";
import { useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";
import type { ToldTranslation } from "./importing";
import styles from "./MissingDialog.module.css";
import { ModelHelp, NodeButton, Section, showNode } from "./Section";

interface Props {
  /** Of each file, in the order in which they were opened. */
  readonly told: readonly ToldTranslation[];
  readonly onClose: () => void;
}

/** Rows of one kind that are shown. */
const MOST = 100;

/** What came of translating workflows of other tools. */
export default function TranslatedDialog({ told, onClose }: Props) {
  const { length: count } = told;
  return (
    <Dialog
      title={t("files.translatedTitle")}
      size="m"
      onClose={onClose}
      footer={
        <Button variant="primary" onClick={onClose}>
          {t("files.translatedDone", { count })}
        </Button>
      }
    >
      <div className={styles.files}>
        {told.map((each) => (
          <section key={each.document} className={styles.sections} aria-label={each.name}>
            {count > 1 && <h3 className={styles.file}>{each.name}</h3>}
            <Report told={each} onClose={onClose} />
          </section>
        ))}
      </div>
    </Dialog>
  );
}

interface ReportProps {
  readonly told: ToldTranslation;
  readonly onClose: () => void;
}

/** What came of one, in the order in which it matters. */
function Report({ told: { document, report }, onClose }: ReportProps) {
  const { nodes: count, untranslated, files, families, problems, differences } = report;
  const done = count - untranslated.length;
  const focus = (node: string) => {
    onClose();
    useDocuments.getState().activate(document);
    // A dialog that closes gives the focus back to where it was.
    requestAnimationFrame(() => showNode(node));
  };
  const folders = useCatalogue((catalogue) => catalogue.modelFolders);
  const allowed = useConnection(mayManageModels);
  const getAll = () => {
    useDocuments.getState().activate(document);
    useUi.getState().openDialog("missing");
  };
  return (
    <>
      <p className={styles.summary}>
        {done === count && <CircleCheck aria-hidden size={16} className={styles.whole} />}
        {t(done === count ? "files.translatedWhole" : "files.translatedPart", { done, count })}
      </p>
      <List
        icon={Puzzle}
        title={t("files.untranslated")}
        help={<p>{t("files.untranslatedHelp")}</p>}
        items={untranslated}
      >
        {(each) => <Untranslated key={each.node} found={each} onFocus={focus} />}
      </List>
      <List
        icon={Download}
        title={t("files.neededModels")}
        help={<ModelHelp folders={folders} />}
        head={
          allowed && (
            <Button size="s" icon={Download} onClick={getAll}>
              {t("models.get")}
            </Button>
          )
        }
        items={report.models}
      >
        {(each) => <Model key={`${each.folder}/${each.name}`} model={each} />}
      </List>
      <List
        icon={FileWarning}
        title={t("files.neededFiles")}
        help={<p>{t("files.missingFilesHelp")}</p>}
        items={files}
      >
        {(file) => <Row key={file}>{file}</Row>}
      </List>
      <List icon={Shapes} title={t("files.unknownFamilies")} items={families}>
        {(family) => <Row key={family}>{family}</Row>}
      </List>
      <List icon={CircleAlert} title={t("files.otherProblems")} items={problems}>
        {(problem, at) => (
          <li key={String(at)} className={styles.row}>
            <span>{problemWords(problem)}</span>
            <NodeButton name={plainName(problem.node ?? "")} onFocus={focus} />
          </li>
        )}
      </List>
      <List icon={Info} title={t("files.differences")} items={differences}>
        {({ node, message }) => (
          <li key={`${node} ${message}`} className={styles.row}>
            <span>{message}</span>
            <NodeButton name={plainName(node)} onFocus={focus} />
          </li>
        )}
      </List>
    </>
  );
}

interface ListProps<T> {
  readonly icon: typeof Puzzle;
  readonly title: string;
  readonly help?: ReactNode;
  readonly head?: ReactNode;
  readonly items: readonly T[];
  readonly children: (item: T, at: number) => ReactNode;
}

function List<T>({ icon, title, help, head, items, children }: ListProps<T>) {
  if (items.length === 0) return null;
  return (
    <Section icon={icon} title={title} help={help} head={head}>
      {items.slice(0, MOST).map(children)}
      {items.length > MOST && <Row>{t("files.moreOf", { count: items.length - MOST })}</Row>}
    </Section>
  );
}

function Row({ children }: { readonly children: ReactNode }) {
  return (
    <li className={styles.row}>
      <span>{children}</span>
    </li>
  );
}

interface UntranslatedProps {
  readonly found: UntranslatedNode;
  readonly onFocus: (node: string) => void;
}

function Untranslated({ found, onFocus }: UntranslatedProps) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const { node, type, pack, reason, command } = found;
  const standIns = found.stand_ins.map((name) => {
    const spec = types?.byName.get(name);
    return spec ? labelOf(spec) : name;
  });
  return (
    <li className={styles.row}>
      <span>
        <strong>{type}</strong> {pack && <Badge>{pack}</Badge>}
        {reason && <span className={styles.faint}>{reason}</span>}
        {standIns.length > 0 && (
          <span className={styles.faint}>
            {t("files.standIns", { names: standIns.join(", ") })}
          </span>
        )}
        {command && <code className={styles.command}>{command}</code>}
      </span>
      <NodeButton name={plainName(node)} onFocus={onFocus} />
    </li>
  );
}

function Model({ model: { name, folder, url } }: { readonly model: NeededModel }) {
  return (
    <li className={styles.row}>
      <span>
        <strong>{name}</strong>
        {folder && <span className={styles.faint}>{t("files.modelGoes", { folder })}</span>}
      </span>
      {/^https:\/\//.test(url) && (
        <a href={url} target="_blank" rel="noopener noreferrer" title={url}>
          {t("files.getModel")}
        </a>
      )}
    </li>
  );
}

/** A node's name in a run; "" for one within a block, which has several. */
function plainName(node: string): string {
  return node.includes("/") ? "" : node;
}
