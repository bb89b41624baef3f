import { Lock } from "lucide-react";
import { Badge, tip } from "@/components/ui";
import { t } from "@/i18n";

interface Props {
  readonly license: string | null;
  readonly page: string | null;
}

/** The license of something that can be got, with the page that says it. */
export function License({ license, page }: Props) {
  const words = license ?? t("models.licenseUnknown");
  if (page === null || !/^https?:/.test(page)) return <span>{words}</span>;
  return (
    <a href={page} target="_blank" rel="noopener noreferrer">
      {words}
    </a>
  );
}

/** Its site asks for an accepted license and a token. */
export function Gated() {
  return (
    <span {...tip(t("models.gatedHint"))}>
      <Badge tone="warn">
        <Lock aria-hidden size={10} /> {t("models.gated")}
      </Badge>
    </span>
  );
}
