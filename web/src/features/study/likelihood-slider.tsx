// A slider that starts without a value: a position that nobody chose must not become a likelihood.
import { useId } from "preact/hooks";
import { t } from "../../i18n";

const MIDDLE = 50;
const STEP = 5;

interface Props {
  label: string;
  /** 0..1, or null: not set. */
  value: number | null;
  onChange: (value: number | null) => void;
}

export function LikelihoodSlider({ label, value, onChange }: Props) {
  const id = useId();
  const text = value === null ? t("read.unset") : t("read.of-100", { n: Math.round(value * 100) });
  const set = (event: { currentTarget: HTMLInputElement }) => onChange(event.currentTarget.valueAsNumber / 100);
  return (
    <div class="likelihood" data-set={value !== null}>
      <label for={id}>{label}</label>
      <output for={id}>{text}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={100}
        step={STEP}
        value={value === null ? MIDDLE : Math.round(value * 100)}
        aria-valuetext={text}
        onInput={set}
        // A click on the exact middle fires no input event, but it is a choice.
        onClick={set}
        onKeyDown={(event) => {
          if (event.key === "Enter" || event.key === " ") set(event);
        }}
      />
      <button
        type="button"
        class="bare"
        disabled={value === null}
        aria-label={t("read.clear-of", { label })}
        onClick={() => onChange(null)}
      >
        {t("read.clear")}
      </button>
    </div>
  );
}
