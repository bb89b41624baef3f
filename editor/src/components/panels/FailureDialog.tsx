/** All that a job tells of a node that failed: what it was given, and where in its code it failed. */
import { useState } from "react";
import { getJob } from "@/api/client";
import type { Finding, JobDetail } from "@/api/schema";
import { copyText } from "@/components/shell/copyText";
import { Button, Dialog, Spinner } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { sentences } from "@/i18n/format";
import { useUi } from "@/store/ui";
import styles from "./FailureDialog.module.css";
import { MendButtons } from "./problems/MendButtons";

interface Props {
  readonly job: string;
  /** The problem that it is told of; what mends it is offered, too. */
  readonly finding?: Finding;
  readonly onClose: () => void;
}

export default function FailureDialog({ job, finding, onClose }: Props) {
  const [isCopied, setCopied] = useState(false);
  const { data, fault } = useAnswer({ queryKey: ["failure", job], queryFn: () => getJob(job) });
  const failure = data && failureOf(data);
  return (
    <Dialog
      title={t("panels.failure.title")}
      size="l"
      onClose={onClose}
      footer={
        failure && (
          <>
            {finding && <MendButtons finding={finding} onMend={onClose} />}
            {finding && (
              <Button
                onClick={() =>
                  useUi.getState().openDialog("problemHelp", { finding, isOfRun: true })
                }
              >
                {t("problemhelp.learnMore")}
              </Button>
            )}
            <Button onClick={async () => setCopied(await copyText(textOf(failure)))}>
              {t(isCopied ? "shell.fault.copied" : "panels.failure.copy")}
            </Button>
          </>
        )
      }
    >
      {!failure && !fault && <Spinner label={t("panels.failure.loading")} />}
      {fault && <p role="alert">{fault.message}</p>}
      {failure && <Told failure={failure} />}
    </Dialog>
  );
}

function Told({ failure }: { readonly failure: Failure }) {
  const { node, message, hint, inputs, trace } = failure;
  return (
    <div className={styles.failure}>
      <p>
        {node !== "" && <code>{node}</code>} {sentences(message, hint)}
      </p>
      {inputs.length > 0 && (
        <section>
          <h3>{t("panels.failure.inputs")}</h3>
          <dl className={styles.inputs}>
            {inputs.map(([port, value]) => (
              <div key={port}>
                <dt>{port}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
      <section>
        <h3>{t("panels.failure.trace")}</h3>
        {trace === "" ? (
          <p className={styles.none}>{t("panels.failure.noTrace")}</p>
        ) : (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keyboard
          <pre className={styles.trace} tabIndex={0}>
            {trace}
          </pre>
        )}
      </section>
    </div>
  );
}

interface Failure {
  readonly node: string;
  readonly message: string;
  readonly hint: string;
  readonly inputs: readonly (readonly [port: string, value: string])[];
  readonly trace: string;
}

/** What the first node that failed tells; a job has no more of the others than their messages. */
function failureOf({ error }: JobDetail): Failure {
  const found = error ?? {};
  const text = (name: string) => {
    const value = found[name];
    return typeof value === "string" ? value : "";
  };
  const { inputs } = found;
  const given = typeof inputs === "object" && inputs !== null ? Object.entries(inputs) : [];
  return {
    node: text("node"),
    message: text("message"),
    hint: text("hint"),
    inputs: given.map(([port, value]) => [port, String(value)] as const),
    trace: text("trace").trimEnd(),
  };
}

/** All of it, to be handed on. */
function textOf({ node, message, hint, inputs, trace }: Failure): string {
  const head = [node, message].filter(Boolean).join(": ");
  const given = inputs.map(([port, value]) => `${port} = ${value}`).join("\n");
  return [head, hint, given, trace].filter(Boolean).join("\n\n");
}
