// For admins: find a patient by the number in DICOM, see the pseudonym's studies, erase everything about the patient.
import { useSignal } from "@preact/signals";
import { api, body, Problem } from "../../api/client";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";
import { filterHash, NO_FILTER } from "../worklist/study-list";

export function Patients() {
  const number = useSignal("");
  const issuer = useSignal("");
  const pseudonym = useSignal<string | null>(null);
  const notFound = useSignal(false);
  const problem = useSignal<unknown>(null);
  const erasing = useSignal(false);
  const find = async (event: Event) => {
    event.preventDefault();
    pseudonym.value = null;
    notFound.value = false;
    problem.value = null;
    try {
      const query = { patient_id: number.value.trim(), issuer: issuer.value.trim() };
      pseudonym.value = (await body(api.POST("/api/patients/find", { body: query }))).patient ?? null;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) notFound.value = true;
      else problem.value = error;
    }
  };
  const erase = async () => {
    const patient = pseudonym.value as string;
    const counts = await body(api.DELETE("/api/patients/{patient}", { params: { path: { patient } } }));
    pseudonym.value = null;
    number.value = "";
    showToast(t("account.erased", { studies: counts.studies, images: counts.images, predictions: counts.predictions }));
    if (counts.exports_unreached.length > 0)
      showToast(t("work.unreached", { count: counts.exports_unreached.length }), true);
  };
  return (
    <section aria-labelledby="account-patients" class="sheet">
      <h2 id="account-patients">{t("account.patients")}</h2>
      <p class="soft">{t("account.patients-what")}</p>
      <form class="inline" onSubmit={find}>
        <label class="field">
          <span>{t("account.patient-id")}</span>
          <input
            required
            maxLength={256}
            autocomplete="off"
            spellcheck={false}
            value={number.value}
            onInput={(event) => {
              number.value = event.currentTarget.value;
            }}
          />
        </label>
        <label class="field">
          <span>{t("account.issuer")}</span>
          <input
            maxLength={256}
            autocomplete="off"
            spellcheck={false}
            value={issuer.value}
            onInput={(event) => {
              issuer.value = event.currentTarget.value;
            }}
          />
        </label>
        <button type="submit">{t("account.find")}</button>
      </form>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div role="status">
        {notFound.value && <p>{t("account.nobody")}</p>}
        {pseudonym.value && (
          <p class="found">
            <span>
              {t("account.found")} <code>{pseudonym.value}</code>
            </span>
            <a href={filterHash({ ...NO_FILTER, patient: pseudonym.value })}>{t("account.studies")}</a>
            <button
              type="button"
              class="danger"
              onClick={() => {
                erasing.value = true;
              }}
            >
              {t("account.erase")}
            </button>
          </p>
        )}
      </div>
      {erasing.value && (
        <ConfirmDialog
          title={t("account.erase-title")}
          confirmLabel={t("work.erase")}
          onConfirm={erase}
          onClose={() => {
            erasing.value = false;
          }}
        >
          <p>{t("account.erase-what")}</p>
          <p class="soft">{t("work.erase-stays")}</p>
        </ConfirmDialog>
      )}
    </section>
  );
}
