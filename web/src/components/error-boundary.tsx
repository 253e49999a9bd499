// Shows an error in place of a page that fails. The navigation and the disclaimer stay.
import { Component, type ComponentChildren } from "preact";
import { Problem } from "../api/client";
import { t } from "../i18n";
import { ProblemNote } from "./problem";

interface Props {
  /** The page's address; the error is cleared when it changes. */
  page: string;
  children: ComponentChildren;
}

export class ErrorBoundary extends Component<Props, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  override componentDidCatch(error: unknown): void {
    console.error(error); // for debugging; the page shows the message
    this.setState({ error });
  }

  override componentDidUpdate(previous: Props): void {
    if (previous.page !== this.props.page && this.state.error !== null) this.setState({ error: null });
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    const { error } = this.state;
    if (error instanceof Problem) return <ErrorPage error={error} again={() => this.setState({ error: null })} />;
    // The browser requests a missing chunk of the app once only (the server is away, or has a newer app): reload.
    return <ErrorPage error={error} again={() => location.reload()} word={t("frame.reload")} />;
  }
}

function ErrorPage(props: { error: unknown; again: () => void; word?: string }) {
  return (
    <>
      <h1>{t("frame.failed")}</h1>
      <ProblemNote {...props} />
    </>
  );
}
