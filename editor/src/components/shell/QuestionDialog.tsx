import { useId, useState } from "react";
import { Button, Dialog, Field, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { type Question, useUi } from "@/store/ui";
import styles from "./QuestionDialog.module.css";

/** The question that waits for an answer, over everything else. */
export function QuestionHost() {
  const question = useUi((ui) => ui.question);
  return question ? <QuestionDialog key={question.title} question={question} /> : null;
}

function QuestionDialog({ question }: { readonly question: Question }) {
  const { title, detail, confirm, danger, others = [], text, answer } = question;
  const [typed, setTyped] = useState(text?.value ?? "");
  const [fault, setFault] = useState<string | null>(null);
  const id = useId();
  const accept = () => {
    if (!text) return answer("confirm");
    const found = text.check?.(typed.trim()) ?? null;
    if (found === null) answer(typed.trim());
    else setFault(found);
  };
  return (
    <Dialog
      title={title}
      size="s"
      onClose={() => answer(null)}
      footer={
        <>
          {/* Enter, pressed without reading, does no harm. */}
          <Button data-autofocus={danger && !text ? "" : undefined} onClick={() => answer(null)}>
            {t("shell.cancel")}
          </Button>
          {others.map((other) => (
            <Button
              key={other.id}
              variant={other.danger ? "danger" : "secondary"}
              onClick={() => answer(other.id)}
            >
              {other.label}
            </Button>
          ))}
          <Button
            variant={danger ? "danger" : "primary"}
            data-autofocus={danger || text ? undefined : ""}
            onClick={accept}
          >
            {confirm}
          </Button>
        </>
      }
    >
      {detail && <p className={styles.detail}>{detail}</p>}
      {text && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            accept();
          }}
        >
          <Field label={text.label} id={id} error={fault}>
            <TextField
              id={id}
              value={typed}
              data-autofocus=""
              invalid={fault !== null}
              onFocus={(event) => event.target.select()}
              onChange={(next) => {
                setTyped(next);
                setFault(null);
              }}
            />
          </Field>
        </form>
      )}
    </Dialog>
  );
}
