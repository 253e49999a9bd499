// Access tokens for programs: created with a name, shown once, revoked for good.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { showToast } from "../../components/toast";
import { formatDateTime, t } from "../../i18n";

type Token = components["schemas"]["TokenOut"];

/** Days for which a key can live. */
const LIFETIMES = [7, 30, 90, 365];

export function Tokens() {
  const tokens = useSignal<Token[] | null>(null);
  const newToken = useSignal<Token | null>(null);
  const label = useSignal("");
  const days = useSignal(90);
  const problem = useSignal<unknown>(null);
  const revoking = useSignal<Token | null>(null);
  const attempt = async (act: () => Promise<void>) => {
    problem.value = null;
    try {
      await act();
    } catch (error) {
      problem.value = error;
    }
  };
  const list = () =>
    attempt(async () => {
      tokens.value = await body(api.GET("/api/me/tokens"));
    });
  useEffect(() => void list(), []);
  const make = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      newToken.value = await body(
        api.POST("/api/me/tokens", { body: { label: label.value.trim(), days: days.value } }),
      );
      label.value = "";
      await list();
    });
  };
  const revoke = async (token: Token) => {
    await body(api.DELETE("/api/me/tokens/{token}", { params: { path: { token: token.id } } }));
    if (newToken.value?.id === token.id) newToken.value = null;
    showToast(t("account.revoked", { label: token.label }));
    await list();
  };
  return (
    <section aria-labelledby="account-tokens" class="sheet">
      <h2 id="account-tokens">{t("account.tokens")}</h2>
      <p class="soft">{t("account.tokens-what")}</p>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div role="status">{newToken.value?.token && <NewToken token={newToken.value} />}</div>
      <form class="inline" onSubmit={make}>
        <label class="field">
          <span>{t("account.token-label")}</span>
          <input
            required
            maxLength={64}
            autocomplete="off"
            value={label.value}
            onInput={(event) => {
              label.value = event.currentTarget.value;
            }}
          />
        </label>
        <label class="field">
          <span>{t("account.token-days")}</span>
          <select
            value={days.value}
            onChange={(event) => {
              days.value = Number(event.currentTarget.value);
            }}
          >
            {LIFETIMES.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <button type="submit">{t("account.token-make")}</button>
      </form>
      {tokens.value?.length === 0 && <p class="soft">{t("account.tokens-none")}</p>}
      <ul class="tokens">
        {tokens.value?.map((token) => (
          <li key={token.id}>
            <span>
              {token.label}{" "}
              <span class="soft small">{t("account.token-made", { at: formatDateTime(token.created) })}</span>
            </span>
            <button
              type="button"
              aria-label={t("account.revoke-of", { label: token.label })}
              onClick={() => {
                revoking.value = token;
              }}
            >
              {t("account.revoke")}
            </button>
          </li>
        ))}
      </ul>
      {revoking.value && (
        <ConfirmDialog
          title={t("account.revoke-of", { label: revoking.value.label })}
          confirmLabel={t("account.revoke")}
          onConfirm={() => revoke(revoking.value as Token)}
          onClose={() => {
            revoking.value = null;
          }}
        >
          <p>{t("account.revoke-what")}</p>
        </ConfirmDialog>
      )}
    </section>
  );
}

function NewToken({ token }: { token: Token }) {
  const copy = async () => {
    await navigator.clipboard.writeText(token.token ?? "");
    showToast(t("account.copied"));
  };
  return (
    <div class="note">
      <p>{t("account.token-once", { label: token.label })}</p>
      <p class="token">
        <code>{token.token}</code>
        {globalThis.navigator?.clipboard && (
          <button type="button" onClick={() => void copy().catch(() => showToast(t("account.copy-failed"), true))}>
            {t("account.copy")}
          </button>
        )}
      </p>
    </div>
  );
}
