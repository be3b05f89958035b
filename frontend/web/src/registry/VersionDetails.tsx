import { Link } from "../app/Link";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { PolicyVersion } from "../gen/tabrl/exporter/v1/registry_pb";
import { Parity } from "../policies/Parity";
import { TakeAway } from "../policies/TakeAway";
import { Button } from "../ui/Button";
import { DeleteIcon } from "../ui/icons";
import { Measure } from "./Measure";
import { Origin } from "./Origin";
import { Robust } from "./Robust";
import { versionKey } from "./slots";
import { useDeletePolicy } from "./useDeletePolicy";
import styles from "./VersionDetails.module.css";

interface VersionDetailsProps {
  readonly name: string;
  readonly version: PolicyVersion;
  readonly policy: Policy;
  readonly neighbour: PolicyVersion | undefined;
}

/** All of a version: origin, measurements, files, and how to be rid of it. */
export function VersionDetails({ name, version: { number }, policy, neighbour }: VersionDetailsProps) {
  const { deletions, registry } = useSession();
  const deletePolicy = useDeletePolicy();
  const { policyId } = policy;
  const key = versionKey(name, number);
  const other = neighbour?.policy;

  const deleteVersion = () =>
    deletions.offer(key, `Version ${number} of ${name} deleted`, () => registry.deleteVersion(name, number));
  const deleteBoth = () =>
    deletions.offer(key, `Version ${number} of ${name} and its policy deleted`, async () => {
      await registry.deleteVersion(name, number);
      await deletePolicy(policy);
    });

  return (
    <div className={styles.details} data-testid="version-details">
      <div className={styles.part}>
        <section className={styles.part} aria-label="Where it comes from">
          <h4>Where it comes from</h4>
          <Origin policy={policy} />
        </section>
        <TakeAway policy={policy} />
      </div>
      <section className={styles.part} aria-label="How well it does">
        <h4>How well it does</h4>
        <Measure name={name} policy={policy} />
        <Robust policy={policy} />
        <Parity policy={policy} />
      </section>
      <footer className={styles.foot}>
        {other && (
          <Link
            to={{ view: "compare", compared: `${policyId},${other.policyId}` }}
            className={styles.link}
            data-testid="compare-neighbour"
          >
            Watch it beside version {neighbour.number}
          </Link>
        )}
        <span className={styles.deletes}>
          <Button
            size="small"
            variant="quiet"
            icon={<DeleteIcon />}
            title="Takes the version off this name; its policy stays"
            onClick={deleteVersion}
            data-testid="delete-version"
          >
            Delete this version
          </Button>
          <Button
            size="small"
            variant="quiet"
            title="Deletes the version and the policy that it names"
            onClick={deleteBoth}
            data-testid="delete-both"
          >
            Delete the policy too
          </Button>
        </span>
      </footer>
    </div>
  );
}
