// A page that fails says so in its place; the way around it, and the sentence above, stay.
import { Component, type ComponentChildren } from "preact";
import { Problem } from "../api/client";
import { t } from "../i18n";
import { ProblemNote } from "./problem";

interface Props {
  /** Another page: what failed is forgotten. */
  page: string;
  children: ComponentChildren;
}

export class ErrorBoundary extends Component<Props, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  override componentDidCatch(error: unknown): void {
    console.error(error); // for whoever looks for the cause; the page shows the words
    this.setState({ error });
  }

  override componentDidUpdate(previous: Props): void {
    if (previous.page !== this.props.page && this.state.error !== null) this.setState({ error: null });
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    const { error } = this.state;
    if (error instanceof Problem) return <ErrorPage error={error} again={() => this.setState({ error: null })} />;
    // A part of the app that did not come (the server is away, or has a newer app) is asked for once only: begin anew.
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
