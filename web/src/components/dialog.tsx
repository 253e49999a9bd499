// A modal dialog, based on the browser's own: it keeps the focus inside, closes with Escape and restores the focus.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../i18n";
import { ProblemNote } from "./problem";

interface Props {
  title: string;
  /** Called when the reader closes the dialog; the parent must then remove it. */
  onClose: () => void;
  /** The question is urgent: screen readers announce it at once. */
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
  /** The label of the button that confirms. */
  confirmLabel: string;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
  /** Whether the form is complete. */
  ready?: boolean;
  children: ComponentChildren;
}

/** A dialog that confirms an action that can't be undone. If the action fails, it stays open and shows the reason. */
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
