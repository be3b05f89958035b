import { useState } from "react";
import { Link } from "../app/Link";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { RegisterForm } from "../registry/RegisterForm";
import { Button } from "../ui/Button";
import { TagIcon } from "../ui/icons";
import styles from "./TakeAway.module.css";

/** Gives the policy a name, so that it is found again among many. */
export function Keep({ policy }: { readonly policy: Policy }) {
  // The policy that the person had before them when they asked; training may bring newer ones while they type.
  const [naming, setNaming] = useState<Policy>();
  return (
    <section className={styles.takeAway} aria-label="Keep it under a name">
      <h4 className={styles.heading}>Keep it under a name</h4>
      <div className={styles.row}>
        <Button
          size="small"
          icon={<TagIcon />}
          aria-expanded={naming !== undefined}
          onClick={() => setNaming(naming ? undefined : policy)}
          data-testid="register-open"
        >
          Register as…
        </Button>
        <Link to={{ view: "policies" }} className={styles.link}>
          All policies with names
        </Link>
      </div>
      {naming && <RegisterForm policy={naming} />}
    </section>
  );
}
