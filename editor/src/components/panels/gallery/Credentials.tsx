/** Content Credentials of a file: who signed it, what that says, and whether it was changed since. */
import { BadgeCheck, ShieldAlert, ShieldOff } from "lucide-react";
import { api } from "@/api/client";
import { signedAddress } from "@/api/files";
import type { ArtifactEntry, FileCredentials } from "@/api/schema";
import { Spinner } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { fullMoment } from "@/i18n/format";
import { question } from "@/store/queries";
import styles from "./Credentials.module.css";

interface Props {
  readonly artifact: ArtifactEntry;
}

export function Credentials({ artifact }: Props) {
  const { data, fault } = useAnswer(
    question(["credentials", artifact.digest], () =>
      api.GET("/artifacts/{digest}/credentials", {
        params: { path: { digest: artifact.digest } },
      }),
    ),
  );
  if (fault !== null) return <p className={styles.note}>{fault.message}</p>;
  if (data === undefined) return <Spinner label={t("credentials.checking")} />;
  return (
    <div className={styles.credentials}>
      <State found={data} />
      {data.state !== "absent" && <Claims found={data} />}
      {data.watermark !== null && (
        <p className={styles.note}>
          {t("credentials.watermark", { number: data.watermark.toString(16).padStart(8, "0") })}
        </p>
      )}
      {data.can_sign ? (
        <a className={styles.link} href={signedAddress(artifact.digest)} download={artifact.name}>
          {t("credentials.download")}
        </a>
      ) : (
        <p className={styles.note}>{t("credentials.noCertificate")}</p>
      )}
    </div>
  );
}

function State({ found }: { readonly found: FileCredentials }) {
  const { state, signer } = found;
  const isChanged = state === "tampered" || state === "damaged";
  const Icon = isChanged ? ShieldAlert : state === "absent" ? ShieldOff : BadgeCheck;
  return (
    <p className={styles.state} data-state={isChanged ? "changed" : state}>
      <Icon aria-hidden size={16} />
      <span>
        {signer !== "" && <strong>{t("credentials.signedBy", { name: signer })}</strong>}
        {t(`credentials.state.${state}`)}
      </span>
    </p>
  );
}

/** What the signer says; nothing of it was checked but that it was said. */
function Claims({ found }: { readonly found: FileCredentials }) {
  const moment = Date.parse(found.signed_at);
  return (
    <dl>
      {!Number.isNaN(moment) && (
        <Claim name={t(`credentials.${clockOf(found)}`)} value={fullMoment(moment / 1000)} />
      )}
      {found.is_ai && (
        <Claim
          name={t("credentials.madeBy")}
          value={t(found.ingredients.length > 0 ? "credentials.aiWithInputs" : "credentials.ai")}
        />
      )}
      {found.generator !== "" && <Claim name={t("credentials.program")} value={found.generator} />}
      {TRAINING.has(found.training) && (
        <Claim
          name={t("credentials.training")}
          value={t(`credentials.training.${found.training}`)}
        />
      )}
      {found.ingredients.map((item) => (
        <Claim
          key={`${item.relationship}/${item.title}`}
          name={t("credentials.input")}
          value={item.title}
          note={inputNote(item)}
        />
      ))}
      {found.manifest_matches === false && (
        <Claim name={t("credentials.workflow")} value={t("credentials.otherWorkflow")} />
      )}
    </dl>
  );
}

/** Key of what says who vouches for the time. */
function clockOf({ has_time_stamp, time_authority }: FileCredentials) {
  if (has_time_stamp) return "stampedAt";
  return time_authority === "" ? "signedAt" : "untrustedStampAt";
}

const TRAINING: ReadonlySet<string> = new Set(["allowed", "notAllowed", "constrained"]);

function inputNote(item: FileCredentials["ingredients"][number]): string {
  if (item.state === "tampered") return t("credentials.inputChanged");
  return item.signer === "" ? "" : t("credentials.signedBy", { name: item.signer });
}

interface ClaimProps {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
}

function Claim({ name, value, note = "" }: ClaimProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value}
        {note !== "" && <small>{note}</small>}
      </dd>
    </div>
  );
}
