import { Dialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useCallback, useId } from "react";
import { t } from "@/i18n";
import { IconButton } from "../Button";
import { cx } from "../cx";
import { focusBefore } from "../left";
import styles from "./Dialog.module.css";
import { keepFocus } from "./keepFocus";
import { useFocus } from "./useFocus";

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly size?: "s" | "m" | "l" | "full";
  /** Buttons at the lower end, the most likely one last. */
  readonly footer?: ReactNode;
  /** Beside the title. */
  readonly actions?: ReactNode;
  /** False: the content reaches the edges. */
  readonly padded?: boolean;
  /** False: only its buttons close it, not a click beside it. */
  readonly dismissable?: boolean;
  /** Keys pressed anywhere in it. */
  readonly onKeyDown?: (event: KeyboardEvent) => void;
  /** The title is said, not shown. */
  readonly bare?: boolean;
  readonly className?: string | undefined;
}

export function DialogPopup(props: DialogProps) {
  const { title, onClose, children, size = "m", footer, actions, className } = props;
  const { padded = true, dismissable = true, bare = false } = props;
  const id = useId();
  const focus = useFocus(startOf, focusBefore);
  const hold = useCallback(
    (popup: HTMLElement | null) => {
      if (popup === null) return;
      const release = keepFocus(popup); // before it takes the focus
      const uncover = coverGraph();
      const giveBack = focus(popup);
      return () => {
        release();
        uncover();
        giveBack?.();
      };
    },
    [focus],
  );
  const close = (isOpen: boolean, { event }: { readonly event: Event }) => {
    if (!isOpen && !event.defaultPrevented && isOnTop(id) && !isNotice(event)) onClose();
  };
  return (
    <Dialog.Root open disablePointerDismissal={!dismissable} onOpenChange={close}>
      <Dialog.Portal>
        <Dialog.Backdrop className={styles.backdrop} />
        <Dialog.Viewport className={styles.viewport}>
          <Dialog.Popup
            ref={hold}
            data-modal={id}
            initialFocus={false}
            finalFocus={false}
            className={cx(styles.dialog, styles[size], className)}
            onKeyDown={props.onKeyDown}
          >
            <div className={bare ? styles.hidden : styles.header}>
              <Dialog.Title className={styles.title}>{title}</Dialog.Title>
              {actions}
              {!bare && <IconButton icon={X} label={t("ui.close")} onClick={onClose} />}
            </div>
            <div data-body="" className={cx(styles.body, padded && styles.padded)}>
              {children}
            </div>
            {footer && <div className={styles.footer}>{footer}</div>}
          </Dialog.Popup>
        </Dialog.Viewport>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/**
 * Take the graph from screen readers and the search of the browser, too: the kit leaves what says
 * by itself that it changes, and each card does. Returns what ends this.
 */
function coverGraph(): () => void {
  const covered = document.querySelectorAll("main:not([inert])");
  for (const main of covered) main.toggleAttribute("inert", true);
  return () => {
    for (const main of covered) main.toggleAttribute("inert", false);
  };
}

/** Of dialogs that know nothing of each other, Escape closes the one that opened last. */
function isOnTop(id: string): boolean {
  const open = [...document.querySelectorAll<HTMLElement>("[data-modal]")];
  return open.at(-1)?.dataset.modal === id;
}

/** Notices lie above a dialog: a press on one isn't beside the dialog. */
function isNotice({ target }: Event): boolean {
  return target instanceof Element && target.closest("[aria-live]") !== null;
}

/** What is there to be done first: not the cross that closes it. */
function startOf(dialog: HTMLElement): HTMLElement {
  const asked = dialog.querySelector<HTMLElement>("[data-autofocus]");
  const first = dialog.querySelector<HTMLElement>(`[data-body] :is(${FOCUSABLE}), footer button`);
  return asked ?? first ?? dialog;
}

/** A chosen tab is asked for by its role: the kit lets it take the focus a moment later. */
const FOCUSABLE =
  "[role=tab][aria-selected=true], button:not(:disabled):not([tabindex='-1']), input:not(:disabled):not([hidden]), select, textarea, a[href], [tabindex='0']";
