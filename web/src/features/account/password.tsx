// The user's own password. After the change all sessions and keys end, so the page asks for a login.
import { useSignal } from "@preact/signals";
import { api, endSession } from "../../api/client";
import { ProblemNote } from "../../components/problem";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";

const SHORTEST = 12;

export function Password() {
  const problem = useSignal<unknown>(null);
  const busy = useSignal(false);
  const change = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    problem.value = null;
    busy.value = true;
    try {
      const sent = { old: String(fields.get("old")), new: String(fields.get("new")) };
      await api.POST("/api/me/password", { body: sent });
      showToast(t("account.password-changed"));
      endSession();
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  return (
    <section aria-labelledby="account-password" class="sheet">
      <h2 id="account-password">{t("account.password")}</h2>
      <p class="soft">{t("account.password-what", { count: SHORTEST })}</p>
      <form class="inline" onSubmit={(event) => void change(event)}>
        <label class="field">
          <span>{t("account.password-old")}</span>
          <input type="password" name="old" required autocomplete="current-password" maxLength={256} />
        </label>
        <label class="field">
          <span>{t("account.password-new")}</span>
          <input type="password" name="new" required autocomplete="new-password" minLength={SHORTEST} maxLength={256} />
        </label>
        <button type="submit" disabled={busy.value}>
          {t("account.password-do")}
        </button>
      </form>
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </section>
  );
}
