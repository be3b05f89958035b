import styles from "./RadarChart.module.css";
import { radarAnchor, radarPoint, radarPolygon } from "./radar";

const RADIUS = 100;
/** How far beyond the axes their names stand. */
const BEYOND = 1.14;
const RINGS = [0.25, 0.5, 0.75, 1];

interface RadarChartProps {
  readonly axes: readonly string[];
  readonly shapes: readonly {
    readonly name: string;
    readonly color: string;
    /** One for each axis, 0 to 1; undefined where it is not known. */
    readonly shares: readonly (number | undefined)[];
  }[];
}

/** Shares on axes around a point, one polygon for each policy. The table beside it has the numbers. */
export function RadarChart({ axes, shapes }: RadarChartProps) {
  return (
    <svg
      className={styles.radar}
      viewBox="-190 -130 380 260"
      role="img"
      aria-label={`Robustness of ${shapes.map(({ name }) => name).join("; ")}. The table has the numbers.`}
      data-testid="radar"
    >
      {RINGS.map((ring) => (
        <polygon
          key={ring}
          className={styles.ring}
          points={radarPolygon(
            axes.map(() => ring),
            RADIUS,
          )}
        />
      ))}
      {axes.map((title, axis) => {
        const end = radarPoint(axis, axes.length, 1, RADIUS);
        const text = radarPoint(axis, axes.length, 1, RADIUS * BEYOND);
        return (
          <g key={title}>
            <line className={styles.axis} x2={end.x} y2={end.y} />
            <text x={text.x} y={text.y} textAnchor={radarAnchor(axis, axes.length)} dominantBaseline="middle">
              {title}
            </text>
          </g>
        );
      })}
      {shapes.map(({ name, color, shares }) => (
        <g key={name} className={styles.shape} style={{ "--lane": color } as React.CSSProperties}>
          <polygon points={radarPolygon(shares, RADIUS)} />
          {shares.map((share, axis) => {
            const { x, y } = radarPoint(axis, axes.length, share ?? 0, RADIUS);
            return share === undefined ? null : <circle key={axes[axis]} cx={x} cy={y} r="3" />;
          })}
        </g>
      ))}
    </svg>
  );
}
