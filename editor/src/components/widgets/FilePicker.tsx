import { type ReactNode, useEffect, useState } from "react";
import { Popover, SearchField, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import styles from "./FilePicker.module.css";
import { type FileChoice, type ResultChoice, useWidgetServices } from "./services";

interface Props {
  readonly anchor: Element;
  readonly kind: string;
  readonly value: string;
  readonly onChoose: (value: string) => void;
  readonly onClose: () => void;
}

interface Listed {
  readonly files: readonly FileChoice[];
  readonly inputs: readonly FileChoice[];
  readonly results: readonly ResultChoice[];
}

/** What workflows gave, what was brought before, and the inputs folder, with small pictures. */
export function FilePicker({ anchor, kind, value, onChoose, onClose }: Props) {
  const { listed, fault, setFault } = useListed(kind);
  const [query, setQuery] = useState("");
  const wanted = ({ name }: { readonly name: string }) =>
    name.toLowerCase().includes(query.trim().toLowerCase());
  const files = (listed?.files ?? []).filter(wanted);
  const inputs = (listed?.inputs ?? []).filter(wanted);
  const results = (listed?.results ?? []).filter(wanted);
  const isEmpty = listed !== null && countOf(listed) === 0;
  const take = (result: ResultChoice) => {
    result.take().then(onChoose, () => setFault("widgets.resultFailed"));
  };
  return (
    <Popover anchor={anchor} onClose={onClose} label={t("widgets.files")}>
      <div className={styles.picker}>
        <SearchField autoFocus value={query} onChange={setQuery} label={t("widgets.searchFiles")} />
        {fault !== null && <p role="alert">{t(fault)}</p>}
        {listed === null && fault === null && <Spinner label={t("widgets.reading")} />}
        {listed !== null && countOf({ files, inputs, results }) === 0 && (
          <p className={styles.none}>{t(isEmpty ? "widgets.noFiles" : "widgets.noMatch")}</p>
        )}
        <div className={styles.scroll}>
          <Choices heading={t("widgets.results")} isShown={results.length > 0}>
            {results.map((result) => (
              <Choice
                key={result.digest}
                {...result}
                pressed={value.startsWith(`upload:${result.digest}/`)}
                onClick={() => take(result)}
              />
            ))}
          </Choices>
          <Files
            heading={results.length + inputs.length > 0 ? t("widgets.brought") : null}
            files={files}
            value={value}
            onChoose={onChoose}
          />
          <Files heading={t("widgets.inInputs")} files={inputs} value={value} onChoose={onChoose} />
        </div>
      </div>
    </Popover>
  );
}

function countOf({ files, inputs, results }: Listed): number {
  return files.length + inputs.length + results.length;
}

/** Null until all are read. */
function useListed(kind: string) {
  const { recentFiles, inputFiles, results } = useWidgetServices();
  const [listed, setListed] = useState<Listed | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    let wanted = true;
    Promise.all([recentFiles(kind), inputFiles(kind), results(kind)]).then(
      ([files, inputs, made]) => wanted && setListed({ files, inputs, results: made }),
      () => wanted && setFault("widgets.filesFailed"),
    );
    return () => {
      wanted = false;
    };
  }, [kind, recentFiles, inputFiles, results]);
  return { listed, fault, setFault };
}

interface ChoicesProps {
  readonly heading: string | null;
  readonly isShown: boolean;
  readonly children: ReactNode;
}

function Choices({ heading, isShown, children }: ChoicesProps) {
  if (!isShown) return null;
  return (
    <section aria-label={heading ?? t("widgets.files")}>
      {heading !== null && <h2 className={styles.heading}>{heading}</h2>}
      <ul className={styles.grid}>{children}</ul>
    </section>
  );
}

interface FilesProps extends Pick<Props, "value" | "onChoose"> {
  readonly heading: string | null;
  readonly files: readonly FileChoice[];
}

function Files({ heading, files, value, onChoose }: FilesProps) {
  return (
    <Choices heading={heading} isShown={files.length > 0}>
      {files.map((file) => (
        <Choice
          key={file.value}
          {...file}
          pressed={file.value === value}
          onClick={() => onChoose(file.value)}
        />
      ))}
    </Choices>
  );
}

interface ChoiceProps extends Pick<FileChoice, "name" | "detail" | "picture"> {
  readonly pressed: boolean;
  readonly onClick: () => void;
}

function Choice({ name, detail, picture, pressed, onClick }: ChoiceProps) {
  return (
    <li>
      <button
        type="button"
        className={styles.choice}
        aria-pressed={pressed}
        title={name}
        onClick={onClick}
      >
        {picture === null ? (
          <span className={styles.blank} />
        ) : (
          <img src={picture} alt="" loading="lazy" decoding="async" />
        )}
        <span className={styles.name}>{name}</span>
        <span className={styles.detail}>{detail}</span>
      </button>
    </li>
  );
}
