import { Component, type ReactNode } from "react";
import { Button } from "./Button";
import { Notice } from "./Notice";

interface BoundaryProps {
  /** What does not work when something inside fails, such as “The editor”. */
  readonly what: string;
  readonly children: ReactNode;
}

/** Keeps a defect, or a file that could not be loaded, from taking the rest of the page down. */
export class Boundary extends Component<BoundaryProps, { readonly message: string }> {
  override state = { message: "" };

  static getDerivedStateFromError(error: unknown) {
    return { message: error instanceof Error ? error.message : String(error) };
  }

  override render() {
    const { message } = this.state;
    if (!message) return this.props.children;
    return (
      <Notice
        tone="danger"
        testId="error"
        title={`${this.props.what} could not be shown`}
        action={
          <Button size="small" onClick={() => window.location.reload()}>
            Reload the page
          </Button>
        }
      >
        <p>{message}</p>
      </Notice>
    );
  }
}
