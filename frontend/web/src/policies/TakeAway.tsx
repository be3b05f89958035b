import { useState } from "react";
import { useSession } from "../app/session";
import { ExportFormat, type Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { artifactUrl } from "../rpc/artifacts";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom } from "../rpc/failure";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./TakeAway.module.css";

/** As long as the gateway waits: packing films the robot, another form is compared with the float32 one, and others may be before it. */
const PACKING_DEADLINE_MS = 300_000;

/** A file at the gateway, and what to call it. */
interface NamedFile {
  readonly path: string;
  readonly fileName: string;
}

/** What was made for the person. */
interface Made {
  readonly files: readonly NamedFile[];
  readonly remark: string;
}

interface Form {
  readonly id: string;
  readonly label: string;
  readonly hint: string;
  readonly make: (clients: Clients, policy: Policy) => Promise<Made>;
}

const MAIN: readonly Form[] = [
  {
    id: "bundle",
    label: "Share file",
    hint: "One .tabrl file with robot, policy, model card and video; another TabRL imports it, `tabrl play` plays it",
    make: async ({ sharing }, { policyId }) => {
      const made = await sharing.createBundle({ policyId }, { timeoutMs: PACKING_DEADLINE_MS });
      return { files: [{ path: made.downloadPath, fileName: made.fileName }], remark: made.leftOut.join(" ") };
    },
  },
  {
    id: "page",
    label: "Web page",
    hint: "A folder that any web host can serve: the robot plays in the visitor's browser, with no server behind it",
    make: async ({ sharing }, { policyId }) => {
      const made = await sharing.createSharePage({ policyId }, { timeoutMs: PACKING_DEADLINE_MS });
      return { files: [{ path: made.downloadPath, fileName: made.fileName }], remark: "" };
    },
  },
  exported(
    "controller",
    "Controller (ONNX)",
    "The graph that drives the robot here, and the manifest that says how to play it",
    ExportFormat.CONTROLLER_FP32,
    ".onnx",
  ),
];

const OTHERS: readonly Form[] = [
  exported(
    "fp16",
    "16-bit weights",
    "The controller and its manifest, about half as large where the network is large",
    ExportFormat.CONTROLLER_FP16,
    "-fp16.onnx",
  ),
  exported(
    "int8",
    "8-bit weights",
    "The controller and its manifest, about a third as large where the network is large",
    ExportFormat.CONTROLLER_INT8,
    "-int8.onnx",
  ),
  exported(
    "network",
    "Network alone",
    "Observation to action, for a control loop of your own",
    ExportFormat.POLICY_ONNX,
    "-policy.onnx",
  ),
  exported(
    "weights",
    "Weights",
    "Arrays as .npz with a JSON that says how to put them together",
    ExportFormat.WEIGHTS,
    "-weights.zip",
  ),
  {
    id: "manifest",
    label: "Manifest",
    hint: "What the controller reads and writes, how often it decides, and whose licences it is under, as JSON",
    make: async (_, { policyId, environmentId, manifest }) => {
      if (!manifest) throw new Error("This policy came without a manifest.");
      const fileName = `${environmentId}-${policyId}.manifest.json`;
      return { files: [{ path: artifactUrl(manifest), fileName }], remark: "" };
    },
  },
];

function exported(id: string, label: string, hint: string, format: ExportFormat, ending: string): Form {
  return {
    id,
    label,
    hint,
    make: async ({ exporter }, policy) => {
      const { policyId, environmentId } = policy;
      const made = await exporter.exportPolicy({ policyId, format }, { timeoutMs: PACKING_DEADLINE_MS });
      const fileName = `${environmentId}-${policyId}${ending}`;
      // Of the float32 controller the policy has the manifest.
      const manifest = format === ExportFormat.CONTROLLER_FP32 ? policy.manifest : made.export?.manifest;
      const beside = manifest && {
        path: artifactUrl(manifest),
        fileName: fileName.replace(/\.onnx$/, ".manifest.json"),
      };
      return { files: [{ path: made.downloadPath, fileName }, ...(beside ? [beside] : [])], remark: "" };
    },
  };
}

/** The policy as files: to share, to publish, or to build on. */
export function TakeAway({ policy }: { readonly policy: Policy }) {
  const { clients } = useSession();
  const [busy, setBusy] = useState("");
  const [failed, setFailed] = useState<{ readonly form: Form; readonly failure: Failure }>();
  const [remark, setRemark] = useState("");

  async function take(form: Form): Promise<void> {
    setBusy(form.id);
    setFailed(undefined);
    setRemark("");
    try {
      const made = await form.make(clients, policy);
      made.files.forEach(save);
      setRemark(made.remark);
    } catch (thrown) {
      setFailed({ form, failure: failureFrom(thrown) });
    } finally {
      setBusy("");
    }
  }

  const button = (form: Form) => (
    <Button
      key={form.id}
      size="small"
      title={form.hint}
      busy={busy === form.id}
      disabled={busy !== ""}
      onClick={() => void take(form)}
      data-testid={`take-${form.id}`}
    >
      {busy === form.id ? "Packing…" : form.label}
    </Button>
  );

  return (
    <section className={styles.takeAway} aria-label="Take it with you">
      <h4 className={styles.heading}>Take it with you</h4>
      <div className={styles.row}>{MAIN.map(button)}</div>
      <details className={styles.others}>
        <summary>Other forms</summary>
        <div className={styles.row}>{OTHERS.map(button)}</div>
      </details>
      {remark && <p className={styles.note}>{remark}</p>}
      {failed && <FailureNotice failure={failed.failure} onRetry={() => void take(failed.form)} />}
    </section>
  );
}

/** Files are named by digest at the gateway; a person wants a name. */
function save({ path, fileName }: NamedFile): void {
  const link = document.createElement("a");
  link.href = path;
  link.download = fileName;
  link.click();
}
