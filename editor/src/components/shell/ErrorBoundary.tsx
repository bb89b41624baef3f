import { CircleAlert } from "lucide-react";
import { Component, type ErrorInfo, type ReactNode } from "react";
import { Button } from "@/components/ui";
import { t } from "@/i18n";
import { useConnection } from "@/store/connection";
import { copyText } from "./copyText";
import styles from "./ErrorBoundary.module.css";
import { faultReport } from "./faultReport";
import { forgetFailures, PartFault } from "./lazyPart";

interface Props {
  readonly children: ReactNode;
  /** What failed, for the report: "panel queue". */
  readonly area: string;
  /** A change of this tries again, such as another document. */
  readonly resetKey?: unknown;
  /** The whole page rather than a part of it. */
  readonly whole?: boolean;
  /** What the message is put into, such as a dialog. */
  readonly frame?: (fault: ReactNode) => ReactNode;
}

interface State {
  readonly fault: unknown;
  readonly stack: string;
  readonly copied: boolean;
  readonly resetKey: unknown;
}

const FINE = { fault: null, stack: "", copied: false };

/** Shows a way on where a part of the page failed, and leaves the rest alone. */
export class ErrorBoundary extends Component<Props, State> {
  override state: State = { ...FINE, resetKey: this.props.resetKey };

  static getDerivedStateFromError(fault: unknown): Partial<State> {
    return { fault: fault ?? new Error("nothing was thrown") };
  }

  static getDerivedStateFromProps(props: Props, state: State): Partial<State> | null {
    if (props.resetKey === state.resetKey) return null;
    return { ...FINE, resetKey: props.resetKey };
  }

  private stopWaiting = (): void => undefined;

  override componentDidCatch(fault: unknown, info: ErrorInfo): void {
    this.setState({ stack: info.componentStack ?? "" });
    // Whatever is shown next is fetched anew: this part after a click, or another one.
    forgetFailures();
    if (fault instanceof PartFault) this.waitForServer();
  }

  override componentWillUnmount(): void {
    this.stopWaiting();
  }

  /** Try again by itself once the server is back. */
  private waitForServer(): void {
    this.stopWaiting();
    this.stopWaiting = useConnection.subscribe((now, before) => {
      if (now.state === "open" && before.state !== "open") this.again();
    });
  }

  readonly again = (): void => {
    this.stopWaiting();
    this.setState(FINE);
  };

  readonly copy = async (): Promise<void> => {
    const { fault, stack } = this.state;
    this.setState({ copied: await copyText(faultReport(fault, this.props.area, stack)) });
  };

  override render(): ReactNode {
    if (this.state.fault === null) return this.props.children;
    const { whole = false, frame = (fault) => fault } = this.props;
    return frame(this.message(whole));
  }

  private message(whole: boolean): ReactNode {
    const isAway = this.state.fault instanceof PartFault;
    const detail = t(isAway ? "shell.fault.awayDetail" : "shell.fault.detail");
    return (
      <div role="alert" className={whole ? styles.whole : styles.part}>
        <CircleAlert aria-hidden size={whole ? 30 : 22} className={styles.icon} />
        <h2 className={styles.title}>{t(titleOf(whole, isAway))}</h2>
        <p className={styles.text}>{detail}</p>
        <div className={styles.actions}>
          <Button onClick={this.copy}>
            {t(this.state.copied ? "shell.fault.copied" : "shell.fault.copy")}
          </Button>
          <Button onClick={this.again}>{t("shell.fault.again")}</Button>
          <Button variant="primary" onClick={() => location.reload()}>
            {t("shell.fault.reload")}
          </Button>
        </div>
      </div>
    );
  }
}

function titleOf(whole: boolean, isAway: boolean): string {
  if (isAway) return "shell.fault.away";
  return whole ? "shell.fault.whole" : "shell.fault.part";
}
