// For admins: find a patient by the number in DICOM, see the pseudonym's studies, erase everything about the patient.
import { useSignal } from "@preact/signals";
import { api, body, Problem } from "../../api/client";
import { Confirm } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { say } from "../../components/toast";
import { t } from "../../i18n";
import { hashOf, NONE } from "../worklist/study-list";

export function Patients() {
  const number = useSignal("");
  const issuer = useSignal("");
  const found = useSignal<string | null>(null);
  const nobody = useSignal(false);
  const problem = useSignal<unknown>(null);
  const erasing = useSignal(false);
  const find = async (event: Event) => {
    event.preventDefault();
    found.value = null;
    nobody.value = false;
    problem.value = null;
    try {
      const sent = { patient_id: number.value.trim(), issuer: issuer.value.trim() };
      found.value = (await body(api.POST("/api/patients/find", { body: sent }))).patient ?? null;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) nobody.value = true;
      else problem.value = error;
    }
  };
  const erase = async () => {
    const patient = found.value as string;
    const gone = await body(api.DELETE("/api/patients/{patient}", { params: { path: { patient } } }));
    found.value = null;
    number.value = "";
    say(t("account.erased", { studies: gone.studies, images: gone.images, predictions: gone.predictions }));
    if (gone.exports_unreached.length > 0) say(t("work.unreached", { count: gone.exports_unreached.length }), true);
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
        {nobody.value && <p>{t("account.nobody")}</p>}
        {found.value && (
          <p class="found">
            <span>
              {t("account.found")} <code>{found.value}</code>
            </span>
            <a href={hashOf({ ...NONE, patient: found.value })}>{t("account.studies")}</a>
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
        <Confirm
          title={t("account.erase-title")}
          doIt={t("work.erase")}
          act={erase}
          onClose={() => {
            erasing.value = false;
          }}
        >
          <p>{t("account.erase-what")}</p>
          <p class="soft">{t("work.erase-stays")}</p>
        </Confirm>
      )}
    </section>
  );
}
