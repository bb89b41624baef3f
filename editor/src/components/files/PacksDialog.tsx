/** The installed packs, with what can be done to each, and those of the index. */
import { Boxes, PackagePlus, RefreshCw, Trash2, Undo2 } from "lucide-react";
import { useEffect, useState } from "react";
import type { AvailablePack, PackEntry } from "@/api/schema";
import {
  Badge,
  Button,
  Dialog,
  EmptyState,
  IconButton,
  SearchField,
  Spinner,
  Toggle,
} from "@/components/ui";
import { useAnswer, useDebounced } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { faultText } from "@/store/notices";
import { offersFor, runningChange, stepOf, usePacks } from "@/store/packs";
import { confirm } from "@/store/ui";
import styles from "./PacksDialog.module.css";

interface Props {
  readonly onClose: () => void;
}

export default function PacksDialog({ onClose }: Props) {
  const items = usePacks((packs) => packs.items);
  const hasIndex = usePacks((packs) => packs.hasIndex);
  const [words, setWords] = useState("");
  const settled = useDebounced(words, PAUSE);
  const { data, fault } = useAnswer({ ...offersFor(settled), enabled: hasIndex });
  const offers = data?.items ?? null;
  const unread = usePacks((packs) => packs.problem);
  const problem = unread ?? (fault === null ? (data?.problem ?? null) : faultText(fault));
  // A failure is shown in the row of its pack; above where no row is there for it.
  const failed = usePacks(({ change, items: here }) => {
    const isListed = [...(here ?? []), ...(offers ?? [])].some(({ name }) => name === change?.name);
    return change?.state === "failed" && !isListed ? change : null;
  });
  useEffect(() => void usePacks.getState().load(), []);
  return (
    <Dialog title={t("packs.title")} size="m" onClose={onClose}>
      {problem !== null && (
        <p className={styles.fault} role="alert">
          {problem}
        </p>
      )}
      {failed !== null && failed.error !== null && (
        <p className={styles.fault} role="alert">
          {t("packs.failedWhy", { name: failed.name, error: failed.error })}
        </p>
      )}
      <h3 className={styles.heading}>{t("packs.here")}</h3>
      {items === null ? (
        <Spinner label={t("packs.loading")} />
      ) : items.length === 0 ? (
        <EmptyState icon={Boxes} title={t("packs.none")} />
      ) : (
        <ul className={styles.list} aria-label={t("packs.here")}>
          {items.map((pack) => (
            <Installed key={pack.name} pack={pack} />
          ))}
        </ul>
      )}
      <h3 className={styles.heading}>{t("packs.more")}</h3>
      {hasIndex ? (
        <Offers words={words} offers={offers} hasFailed={fault !== null} onSearch={setWords} />
      ) : (
        <p className={styles.faint}>{t("packs.noIndex")}</p>
      )}
    </Dialog>
  );
}

function Installed({ pack }: { readonly pack: PackEntry }) {
  const busy = usePacks(({ change }) => change?.state === "running");
  const running = usePacks((packs) => runningChange(packs, pack.name));
  const { act } = usePacks.getState();
  const { name } = pack;
  const remove = async () => {
    const sure = await confirm({
      title: t("packs.removeAsk", { name }),
      detail: t("packs.removeDetail"),
      confirm: t("packs.remove"),
      danger: true,
    });
    if (sure) await act(name, "remove");
  };
  return (
    <li className={styles.row}>
      <div className={styles.names}>
        <span className={styles.line}>
          <strong>{name}</strong> {pack.version}
          {pack.kind === "comfyui" && <Badge>ComfyUI</Badge>}
          {!pack.trusted && <Badge tone="info">{t("packs.untrusted")}</Badge>}
          {running !== null && <Spinner size={14} label={stepOf(running)} />}
        </span>
        <span className={styles.faint}>
          {[t("packs.types", { count: pack.node_types }), pack.summary].filter(Boolean).join(" · ")}
        </span>
        {pack.problems.map((each) => (
          <span key={each} className={styles.bad}>
            {each}
          </span>
        ))}
        <Failure name={name} />
      </div>
      <div className={styles.actions}>
        <Toggle
          checked={pack.enabled}
          disabled={busy}
          label={t("packs.enabled", { name })}
          onChange={(enabled) => void act(name, enabled ? "enable" : "disable")}
        />
        {pack.newer !== null && (
          <Button
            size="s"
            icon={RefreshCw}
            disabled={busy}
            onClick={() => void act(name, "update")}
          >
            {t("packs.update", { version: pack.newer })}
          </Button>
        )}
        {pack.earlier.length > 0 && (
          <IconButton
            size="s"
            icon={Undo2}
            disabled={busy}
            label={t("packs.rollback", { name, version: pack.earlier[0] })}
            onClick={() => void act(name, "rollback")}
          />
        )}
        <IconButton
          size="s"
          icon={Trash2}
          disabled={busy}
          label={t("packs.removeNamed", { name })}
          onClick={() => void remove()}
        />
      </div>
    </li>
  );
}

/** Why the last change of a pack failed. */
function Failure({ name }: { readonly name: string }) {
  const error = usePacks(({ change }) =>
    change?.name === name && change.state === "failed" ? change.error : null,
  );
  if (error === null) return null;
  return (
    <span className={styles.bad} role="alert">
      {error}
    </span>
  );
}

const PAUSE = 250;

interface OffersProps {
  readonly words: string;
  /** Null until they are read. */
  readonly offers: readonly AvailablePack[] | null;
  readonly hasFailed: boolean;
  readonly onSearch: (words: string) => void;
}

function Offers({ words, offers, hasFailed, onSearch }: OffersProps) {
  return (
    <>
      <div className={styles.search}>
        <SearchField value={words} onChange={onSearch} label={t("packs.search")} />
      </div>
      {offers === null ? (
        hasFailed || <Spinner label={t("packs.loading")} />
      ) : (
        <ul className={styles.list} aria-label={t("packs.more")}>
          {offers.map((offer) => (
            <Offer key={offer.name} offer={offer} />
          ))}
          {offers.length === 0 && <li className={styles.row}>{t("packs.nothing")}</li>}
        </ul>
      )}
    </>
  );
}

function Offer({ offer }: { readonly offer: AvailablePack }) {
  const { name, version, summary, license, requires } = offer;
  const change = usePacks((packs) => (packs.change?.name === name ? packs.change : null));
  const busy = usePacks((packs) => packs.change?.state === "running");
  const running = usePacks((packs) => runningChange(packs, name));
  const here = usePacks(({ items }) => items?.find((each) => each.name === name)?.version);
  const isHere = here !== undefined;
  const costs = change?.state === "stopped" && !isHere ? change.costs : [];
  return (
    <li className={styles.row}>
      <div className={styles.names}>
        <span className={styles.line}>
          <strong>{name}</strong> {version} {offer.kind === "comfyui" && <Badge>ComfyUI</Badge>}
        </span>
        <span className={styles.faint}>{[summary, license].filter(Boolean).join(" · ")}</span>
        {requires.length > 0 && (
          <span className={styles.faint}>
            {t("packs.requires", { names: requires.join(", ") })}
          </span>
        )}
        {costs.map((cost) => (
          <span key={cost} className={styles.bad}>
            {cost}
          </span>
        ))}
        {!isHere && <Failure name={name} />}
      </div>
      {isHere ? (
        <Badge tone="good">
          {here === version ? t("packs.isHere") : `${here} ${t("packs.isHere")}`}
        </Badge>
      ) : (
        <Button
          size="s"
          icon={PackagePlus}
          busy={running !== null}
          disabled={busy}
          aria-label={
            running === null
              ? t(costs.length > 0 ? "packs.installAnyway" : "packs.installNamed", { name })
              : undefined
          }
          onClick={() => void usePacks.getState().install(name, costs.length > 0)}
        >
          {running === null
            ? t(costs.length > 0 ? "packs.anyway" : "packs.install")
            : stepOf(running)}
        </Button>
      )}
    </li>
  );
}
