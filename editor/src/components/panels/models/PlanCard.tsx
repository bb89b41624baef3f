/** What a download would bring, looked at before it starts: files, sizes and the license. */
import { Download, X } from "lucide-react";
import { useEffect, useId, useRef } from "react";
import type { DownloadOfferEntry } from "@/api/schema";
import { Badge, Button, IconButton, Select, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { bytes } from "@/i18n/format";
import { OFFER_KINDS, offerKind } from "@/model/models";
import { useDownloads } from "@/store/downloads";
import { type PlanView, useModelOffers } from "@/store/modelOffers";
import styles from "./Get.module.css";
import { Gated, License } from "./License";

export function PlanCard({ plan }: { readonly plan: PlanView }) {
  const { request, offer, problem } = plan;
  const { closePlan, look } = useModelOffers.getState();
  const card = useRef<HTMLElement>(null);
  const key = `offer:${request.source}`;
  const isStarting = useDownloads((state) => state.starting.has(key));
  const refused = useDownloads((state) => state.refused.get(key));
  useEffect(() => {
    if (request.source !== "") card.current?.scrollIntoView?.({ block: "nearest" });
  }, [request]);
  const start = async () => {
    await useDownloads.getState().start(key, request);
    if (!useDownloads.getState().refused.has(key)) closePlan();
  };
  return (
    <section ref={card} aria-label={t("models.plan")} className={styles.plan}>
      <div className={styles.cardHead}>
        <strong>{offer?.title || request.source}</strong>
        <IconButton icon={X} size="s" label={t("ui.close")} onClick={closePlan} />
      </div>
      {offer === null && problem === null && (
        <div className={styles.waiting}>
          <Spinner label={t("models.planning")} />
        </div>
      )}
      {problem !== null && (
        <p className={styles.error} role="alert">
          {problem}
        </p>
      )}
      {offer !== null && (
        <>
          <Kind kind={offer.kind} onChange={(kind) => void look({ ...request, kind })} />
          <Offer offer={offer} />
          {refused !== undefined && (
            <p className={styles.error} role="alert">
              {refused}
            </p>
          )}
          <Button
            variant="primary"
            icon={Download}
            busy={isStarting}
            className={styles.button}
            onClick={() => void start()}
          >
            {t("models.download")}
          </Button>
        </>
      )}
    </section>
  );
}

interface KindProps {
  readonly kind: string;
  readonly onChange: (kind: string) => void;
}

/** It decides on the folder; a source that doesn't say it leaves it to a guess. */
function Kind({ kind, onChange }: KindProps) {
  const id = useId();
  if (!OFFER_KINDS.includes(kind)) return null;
  return (
    <div className={styles.planLine}>
      <label htmlFor={id}>{t("models.filter.kind")}</label>
      <Select
        id={id}
        value={kind}
        onChange={onChange}
        options={OFFER_KINDS.map((value) => ({
          value,
          label: t(`models.kind.${offerKind(value)}`),
        }))}
      />
    </div>
  );
}

const MOST_FILES = 8;

function Offer({ offer }: { readonly offer: DownloadOfferEntry }) {
  const { files, name, base_model: base, page } = offer;
  const more = files.length - MOST_FILES;
  return (
    <>
      <p className={styles.meta}>
        {base !== null && <span>{base}</span>}
        <span>{offer.bytes === null ? t("models.sizeUnknown") : bytes(offer.bytes)}</span>
        <License license={offer.license} page={page} />
        {offer.is_cached && <Badge tone="good">{t("models.cached")}</Badge>}
        {offer.is_gated && <Gated />}
      </p>
      {offer.is_gated && <p className={styles.description}>{t("models.gatedHint")}</p>}
      <p className={styles.description}>{t("models.savedAs", { name })}</p>
      <ul className={styles.files}>
        {files.slice(0, MOST_FILES).map((file) => (
          <li key={file.path}>
            <span>{file.path}</span>
            <span>{file.bytes === null ? "–" : bytes(file.bytes)}</span>
          </li>
        ))}
        {more > 0 && <li>{t("models.moreFiles", { count: more })}</li>}
      </ul>
    </>
  );
}
