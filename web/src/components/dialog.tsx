// A modal dialog: the browser's own, which keeps the focus inside, closes with Escape and gives the focus back.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../i18n";
import { ProblemNote } from "./problem";

interface Props {
  title: string;
  /** Called when the reader closes it; whoever shows a dialog stops showing it then. */
  onClose: () => void;
  /** What is asked needs an answer soon: read out at once. */
  urgent?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, urgent, children }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box}
      class="dialog"
      role={urgent ? "alertdialog" : undefined}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={heading}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  /** Word of the button that does it. */
  confirmLabel: string;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
  /** Whether what is filled in is enough. */
  ready?: boolean;
  children: ComponentChildren;
}

/** A dialog that asks before something that can't be undone; it stays open, and says why, where that fails. */
export function ConfirmDialog({ title, confirmLabel, onConfirm, onClose, ready = true, children }: ConfirmProps) {
  const busy = useSignal(false);
  const problem = useSignal<unknown>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    problem.value = null;
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {problem.value !== null && <ProblemNote error={problem.value} />}
        <div class="actions">
          <button type="button" onClick={onClose}>
            {t("frame.cancel")}
          </button>
          <button type="submit" class="danger" disabled={busy.value || !ready}>
            {confirmLabel}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
