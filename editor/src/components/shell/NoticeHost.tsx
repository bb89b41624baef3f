import { Toasts } from "@/components/ui";
import { dismissNotice, pauseNotice, resumeNotice, useNotices } from "@/store/notices";
import { useUi } from "@/store/ui";
import { useIsSmall } from "./useMedia";

export function NoticeHost() {
  const items = useNotices((notices) => notices.items);
  const small = useIsSmall();
  // Above the lower panel: what mends a problem stands there, where they would lie on it.
  const lift = useUi(({ view, panel }) =>
    view === "generate" || panel.bottom === null ? 0 : panel.bottomSize,
  );
  return (
    <Toasts
      items={items}
      lift={small ? 0 : lift}
      onDismiss={(id) => dismissNotice(Number(id))}
      onHold={(id, held) => (held ? pauseNotice(Number(id)) : resumeNotice(Number(id)))}
    />
  );
}
