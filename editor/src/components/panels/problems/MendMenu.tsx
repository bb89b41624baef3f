/** What mends the problems of a node, as a menu beside its card. */
import { Wrench } from "lucide-react";
import { ContextMenu } from "@/components/ui";
import { t } from "@/i18n";
import { useMendMenu } from "./mending";

export function MendMenu() {
  const opened = useMendMenu((state) => state.opened);
  if (opened === null) return null;
  return (
    <ContextMenu
      at={opened.at}
      items={opened.mends.map(({ label, run }) => ({ label, icon: Wrench, run }))}
      label={t("panels.command.mend")}
      onClose={() => useMendMenu.setState({ opened: null })}
    />
  );
}
