import { AppWindow, CloudAlert } from "lucide-react";
import { useMemo } from "react";
import type { DraftMember } from "@/api/socket";
import { tip } from "@/components/ui";
import { t } from "@/i18n";
import { pageLanguage } from "@/i18n/format";
import { useConnection } from "@/store/connection";
import { useActive, useDocuments } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { memberColor, useCompany } from "@/store/members";
import styles from "./Members.module.css";

/** Windows that are shown one by one. */
const MOST = 4;

/** Who else has the workflow open; a click goes to where they are. */
export function Members() {
  const document = useActive((active) => active.id);
  const { others, refusal } = useCompany(document);
  const own = useConnection((state) => state.caller?.name ?? "");
  return (
    <>
      {refusal !== null && (
        <span role="status" className={styles.refusal} {...tip(refusal)}>
          <CloudAlert aria-hidden size={15} />
          <span className={styles.reason}>{t("together.refused", { reason: refusal })}</span>
        </span>
      )}
      <ul className={styles.list} aria-label={t("together.others")} aria-live="polite" data-members>
        {others.slice(0, MOST).map((member) => (
          <li key={member.member}>
            <Avatar document={document} member={member} isOwn={member.name === own} />
          </li>
        ))}
        {/* Where it is narrow, all but the first are just counted. */}
        {others.length > 1 && (
          <li className={styles.more}>
            <span className={styles.few}>+{others.length - 1}</span>
            {others.length > MOST && <span className={styles.many}>+{others.length - MOST}</span>}
          </li>
        )}
      </ul>
    </>
  );
}

interface AvatarProps {
  readonly document: string;
  readonly member: DraftMember;
  readonly isOwn: boolean;
}

function Avatar({ document, member, isOwn }: AvatarProps) {
  const name = isOwn ? t("together.anotherWindow") : member.name;
  const time = useMemo(() => timeOf(member.since), [member.since]);
  const label = t(member.writes ? "together.since" : "together.sinceReading", { name, time });
  const goThere = () => {
    const [node] = member.selection.filter((item) => !item.includes("/"));
    if (node === undefined) useDocuments.getState().goTo(member.path, document);
    else focusNode({ document, path: member.path, node });
  };
  return (
    <button
      type="button"
      className={styles.avatar}
      style={{ background: memberColor(member.member) }}
      aria-label={label}
      onClick={goThere}
      {...tip(label)}
    >
      {isOwn ? (
        <AppWindow size={14} aria-hidden />
      ) : (
        [...name][0]?.toLocaleUpperCase(pageLanguage())
      )}
    </button>
  );
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString(pageLanguage(), { timeStyle: "short" });
}
