// The accounts of the server, for admins: a list, a form that adds one and a dialog that changes one.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, body, me } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge } from "../../components/badge";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";

type Account = components["schemas"]["AccountOut"];
type Role = Account["role"];

const SHORTEST = 12;
const ROLES: Role[] = ["reader", "admin"];

export function People() {
  const accounts = useSignal<Account[]>([]);
  const problem = useSignal<unknown>(null);
  const changing = useSignal<Account | null>(null);
  const list = async () => {
    try {
      accounts.value = await body(api.GET("/api/accounts"));
    } catch (error) {
      problem.value = error;
    }
  };
  useEffect(() => void list(), []);
  return (
    <section aria-labelledby="account-people" class="sheet">
      <h2 id="account-people">{t("people.title")}</h2>
      <p class="soft">{t("people.what")}</p>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void list()} />}
      <ScrollArea label={t("people.title")}>
        <table class="people">
          <thead>
            <tr>
              <th scope="col">{t("people.name")}</th>
              <th scope="col">{t("people.role")}</th>
              <th scope="col">{t("people.names")}</th>
              <th scope="col">{t("people.state")}</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {accounts.value.map((one) => (
              <AccountRow key={one.id} account={one} toChange={changing} />
            ))}
          </tbody>
        </table>
      </ScrollArea>
      <AddAccount onAdded={list} />
      {changing.value && (
        <ChangeAccount
          account={changing.value}
          onChanged={list}
          onClose={() => {
            changing.value = null;
          }}
        />
      )}
    </section>
  );
}

function AccountRow({ account, toChange }: { account: Account; toChange: Signal<Account | null> }) {
  const isOwn = account.id === me.value?.id;
  return (
    <tr>
      <th scope="row">
        {account.name} {isOwn && <span class="soft">{t("people.you")}</span>}
      </th>
      <td>{t(`people.role.${account.role}`)}</td>
      <td>{t(account.sees_names ? "people.names-yes" : "people.names-no")}</td>
      <td>{account.disabled ? <Badge tone="warn">{t("people.state.off")}</Badge> : t("people.state.on")}</td>
      <td>
        {!isOwn && (
          <button
            type="button"
            aria-label={t("people.change-of", { name: account.name })}
            onClick={() => {
              toChange.value = account;
            }}
          >
            {t("people.change")}
          </button>
        )}
      </td>
    </tr>
  );
}

function AddAccount({ onAdded }: { onAdded: () => Promise<void> }) {
  const problem = useSignal<unknown>(null);
  const busy = useSignal(false);
  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    problem.value = null;
    busy.value = true;
    try {
      const sent = {
        name: String(fields.get("name")).trim(),
        password: String(fields.get("password")),
        role: fields.get("role") as Role,
        sees_names: fields.get("names") !== null,
      };
      await body(api.POST("/api/accounts", { body: sent }));
      form.reset();
      showToast(t("people.added", { name: sent.name }));
      await onAdded();
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  return (
    <form class="inline people-add" onSubmit={(event) => void add(event)}>
      <label class="field">
        <span>{t("people.name")}</span>
        <input name="name" required maxLength={64} autocomplete="off" spellcheck={false} />
      </label>
      <PasswordField name={t("people.new-password")} required />
      <RoleField initial="reader" />
      <label class="check">
        <input type="checkbox" name="names" />
        {t("people.names-check")}
      </label>
      <button type="submit" disabled={busy.value}>
        {t("people.add")}
      </button>
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </form>
  );
}

interface ChangeProps {
  account: Account;
  onChanged: () => Promise<void>;
  onClose: () => void;
}

function ChangeAccount({ account, onChanged, onClose }: ChangeProps) {
  const content = useRef<HTMLDivElement>(null);
  const change = async () => {
    const fields = new FormData(content.current?.closest("form") ?? undefined);
    const password = String(fields.get("password"));
    const sent = {
      role: fields.get("role") as Role,
      sees_names: fields.get("names") !== null,
      disabled: fields.get("disabled") !== null,
      ...(password === "" ? {} : { password }),
    };
    // Disabling ends the sessions of an account, so only a change of it is sent.
    const { disabled, ...rest } = sent;
    const changes = disabled === account.disabled ? rest : sent;
    await body(api.PATCH("/api/accounts/{account}", { params: { path: { account: account.id } }, body: changes }));
    showToast(t("people.changed", { name: account.name }));
    await onChanged();
  };
  return (
    <ConfirmDialog
      title={t("people.change-of", { name: account.name })}
      confirmLabel={t("people.save")}
      onConfirm={change}
      onClose={onClose}
    >
      <div class="people-change" ref={content}>
        <RoleField initial={account.role} />
        <label class="check">
          <input type="checkbox" name="names" defaultChecked={account.sees_names} />
          {t("people.names-check")}
        </label>
        <label class="check">
          <input type="checkbox" name="disabled" defaultChecked={account.disabled} />
          {t("people.disabled")}
        </label>
        <PasswordField name={t("people.set-password")} />
        <p class="soft small">{t("people.set-what", { count: SHORTEST })}</p>
      </div>
    </ConfirmDialog>
  );
}

function PasswordField({ name, required = false }: { name: string; required?: boolean }) {
  return (
    <label class="field">
      <span>{name}</span>
      <input
        type="password"
        name="password"
        required={required}
        autocomplete="new-password"
        minLength={SHORTEST}
        maxLength={256}
      />
    </label>
  );
}

function RoleField({ initial }: { initial: Role }) {
  return (
    <label class="field people-role">
      <span>{t("people.role")}</span>
      <select name="role" defaultValue={initial}>
        {ROLES.map((role) => (
          <option key={role} value={role} selected={role === initial}>
            {t(`people.role.${role}`)}
          </option>
        ))}
      </select>
    </label>
  );
}
