import type { ReactNode } from "react";
import type { Licence } from "../gen/tabrl/exporter/v1/manifest_pb";
import {
  controllerFacts,
  environmentName,
  type Fact,
  measurementWords,
  originFacts,
  parityWords,
  promptOf,
  titleOf,
} from "./facts";
import styles from "./ModelCard.module.css";
import type { SharedPolicy } from "./sharedPolicy";

/** What there is to know of a policy: what was asked for, where it comes from, how it was measured, who owns what. */
export function ModelCard({ shared }: { readonly shared: SharedPolicy }) {
  const { policy, manifest } = shared;
  const title = titleOf(shared);
  const prompt = promptOf(shared);
  const parity = parityWords(policy.parity);
  const claimed = parityWords(policy.imported?.claimedParity);
  return (
    <article className={styles.card} data-testid="card">
      <header className={styles.head}>
        <p className={styles.eyebrow}>{environmentName(policy.environmentId)}</p>
        <h1>{title}</h1>
        {prompt && prompt !== title && <blockquote className={styles.prompt}>{prompt}</blockquote>}
      </header>
      <Section title="Where it comes from">
        <Facts facts={originFacts(shared)} />
      </Section>
      {policy.measurements.length > 0 && (
        <Section title="How well it does">
          {policy.measurements.slice(0, 3).map((measured) => (
            <p key={`${measured.seed} ${measured.check} ${measured.measureTime?.seconds}`}>
              {measurementWords(measured)}
            </p>
          ))}
        </Section>
      )}
      <Section title="What runs here">
        <Facts facts={controllerFacts(shared)} />
        {parity && <p data-testid="parity">{parity}</p>}
        {!parity && claimed && (
          <p data-testid="parity">
            Who made the policy says, and it was not checked where this page was made: {claimed}
          </p>
        )}
      </Section>
      <Section title="Licences">
        {manifest.licences.length > 0 ? (
          <ul className={styles.licences}>
            {manifest.licences.map((licence) => (
              <li key={licence.covers}>
                <LicenceLine licence={licence} />
              </li>
            ))}
          </ul>
        ) : (
          <p>
            Nothing is on record about who owns the robot and the environment: ask who made this page before you use
            them.
          </p>
        )}
      </Section>
      <footer className={styles.foot}>
        <Mark />
        <p>
          Made with TabRL. MuJoCo and ONNX Runtime move the robot on your own device; this page asks no server for
          anything but its own files, each checked against its SHA-256.{" "}
          <a href="./third-party-licences.txt">Licences of the software</a>
        </p>
      </footer>
    </article>
  );
}

function Section({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section className={styles.section}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl className={styles.facts}>
      {facts.map(({ name, value, whole, code }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className={code ? styles.code : undefined} title={whole}>
            {value}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function LicenceLine({ licence }: { readonly licence: Licence }) {
  const name = (
    <>
      <span>{licence.covers}</span>
      <span className={styles.spdx}>{licence.spdxId === "LicenseRef-unknown" ? "not known" : licence.spdxId}</span>
    </>
  );
  if (!licence.text) return <p className={styles.licence}>{name}</p>;
  return (
    <details>
      <summary className={styles.licence}>{name}</summary>
      <pre className={styles.text}>{licence.text}</pre>
    </details>
  );
}

function Mark() {
  return (
    <svg width="26" height="26" viewBox="0 0 26 26" aria-hidden="true">
      <rect width="26" height="26" rx="7" fill="var(--primary)" />
      <g stroke="var(--on-primary)" strokeLinecap="round" fill="none">
        <path d="M7 18.5h12M13 18l-3.4-8.6" strokeWidth="2" />
        <path d="M13.6 7.6a8 8 0 0 1 4.2 3.2" strokeWidth="1.6" opacity=".7" />
      </g>
      <circle cx="9.3" cy="8.2" r="2.2" fill="var(--on-primary)" />
    </svg>
  );
}
