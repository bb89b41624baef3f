import { Suspense } from "react";
import { Dialog } from "@/components/ui";
import { t } from "@/i18n";
import { useUi } from "@/store/ui";
import { ErrorBoundary } from "./ErrorBoundary";
import { DIALOGS } from "./registry";

/** The open dialog, fetched when it is first needed. */
export function DialogHost() {
  const opened = useUi((ui) => ui.dialog);
  const { closeDialog } = useUi.getState();
  const Component = opened ? DIALOGS[opened.name] : undefined;
  if (!opened || !Component) return null;
  return (
    <ErrorBoundary
      key={opened.name}
      area={`dialog ${opened.name}`}
      frame={(fault) => (
        <Dialog title={t("shell.fault.title")} size="s" padded={false} onClose={closeDialog}>
          {fault}
        </Dialog>
      )}
    >
      <Suspense fallback={null}>
        <Component {...opened.props} onClose={closeDialog} />
      </Suspense>
    </ErrorBoundary>
  );
}
