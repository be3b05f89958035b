import styles from "./Allowed.module.css";

/** What reward source may contain, in brief: for who edits it for the first time. */
export function Allowed() {
  return (
    <details className={styles.allowed} data-testid="allowed">
      <summary>What is allowed here</summary>
      <ul>
        <li>
          One function <code>reward(state, action)</code> that returns its terms by name, each one number. A third
          argument <code>previous</code> is the state before the step, <code>command</code> what the robot is told.
        </li>
        <li>
          Arithmetic, comparisons, <code>if</code>, loops over tuples and <code>range</code>, functions of your own, and
          calculations of <code>jnp</code>.
        </li>
        <li>
          <code>near</code>, <code>at_least</code>, <code>at_most</code> and <code>tolerance</code> turn a quantity into
          0 to 1; <code>state</code> has the robot by its own names.
        </li>
        <li>No imports, classes, exceptions, or anything that reaches out of the reward.</li>
      </ul>
    </details>
  );
}
