/** What is known of a model beside what people note: its source, sizes, digests and copies. */
import { Copy } from "lucide-react";
import type { ReactNode } from "react";
import type { ModelEntry, ModelRecordEntry } from "@/api/schema";
import { settingsText } from "@/commands/suits";
import { copyText } from "@/components/shell/copyText";
import { Button, IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { bytes, moment } from "@/i18n/format";
import { familyName, modelKind, type Suited, type Suits } from "@/model/models";
import { useModels } from "@/store/models";
import styles from "./Detail.module.css";

interface FactsProps {
  readonly model: ModelEntry;
  readonly record: ModelRecordEntry | null;
}

export function Facts({ model, record }: FactsProps) {
  const now = new Date();
  const time = (seconds: number | null) => (seconds === null ? null : moment(seconds, now));
  const suits = model.suits === null ? "" : suitsText(model.suits);
  return (
    <dl className={styles.facts}>
      <Fact name="kind">{t(`models.kind.${modelKind(model)}`)}</Fact>
      <Fact name="family">{model.family === null ? null : familyName(model.family)}</Fact>
      <Fact name="base">{model.base_model}</Fact>
      <Fact name="file">{model.name}</Fact>
      <Fact name="size">{bytes(model.bytes)}</Fact>
      <Fact name="suits">{suits}</Fact>
      <Fact name="license">{model.license ?? record?.license}</Fact>
      <Fact name="author">{record?.author}</Fact>
      <Fact name="source">
        <Source source={model.source ?? record?.source ?? null} page={record?.page ?? null} />
      </Fact>
      <Fact name="added">{time(model.added)}</Fact>
      <Fact name="used">{time(model.used) ?? t("models.neverUsed")}</Fact>
    </dl>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  if (children === null || children === undefined || children === "") return null;
  return (
    <>
      <dt>{t(`models.fact.${name}`)}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Source({
  source,
  page,
}: {
  readonly source: string | null;
  readonly page: string | null;
}) {
  if (page !== null && /^https?:/.test(page)) {
    return (
      <a href={page} target="_blank" rel="noopener noreferrer">
        {source ?? page}
      </a>
    );
  }
  return source ?? t("models.sourceUnknown");
}

function suitsText(suits: Suits): string {
  const known = Object.entries(suits).flatMap(([what, value]) =>
    value === null ? [] : [{ what: what as Suited, value: value as number | string }],
  );
  return settingsText(known);
}

interface HashesProps {
  readonly model: ModelEntry;
  readonly models: readonly ModelEntry[];
}

export function Hashes({ model, models }: HashesProps) {
  const hashes = [
    ["SHA-256", model.sha256],
    ["AutoV2", model.autov2],
    ["AutoV3", model.autov3],
  ] as const;
  const known = hashes.filter(([, hash]) => hash !== null);
  return (
    <>
      {known.length > 0 && (
        <details className={styles.section}>
          <summary>{t("models.hashes")}</summary>
          <dl className={styles.facts}>
            {known.map(([name, hash]) => (
              <div key={name} className={styles.hash}>
                <dt>{name}</dt>
                <dd>
                  <code>{hash}</code>
                  <IconButton
                    icon={Copy}
                    size="s"
                    label={t("models.copyHash", { name })}
                    onClick={() => void copyText(hash ?? "")}
                  />
                </dd>
              </div>
            ))}
          </dl>
        </details>
      )}
      {model.duplicates.length > 0 && (
        <section className={styles.section}>
          <h4>{t("models.duplicates")}</h4>
          <ul className={styles.plain}>
            {model.duplicates.map((name) => (
              <li key={name}>
                {models.some((each) => each.name === name) ? (
                  <Button size="s" variant="ghost" onClick={() => useModels.getState().show(name)}>
                    {name}
                  </Button>
                ) : (
                  name
                )}
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
