import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatCount } from "../format/format";
import { useTheme } from "../player/useTheme";

export interface LineSeries {
  readonly label: string;
  /** A CSS colour; custom properties are resolved. */
  readonly color: string;
  readonly width: number;
  readonly dashed?: boolean;
  readonly filled?: boolean;
  readonly values: readonly (number | null)[];
}

export interface LineChartProps {
  readonly steps: readonly number[];
  readonly series: readonly LineSeries[];
  readonly height: number;
  readonly format: (value: number) => string;
  /** Steps at the right edge, at least. */
  readonly untilSteps: number;
  /** Without axes, and from zero up. */
  readonly bare?: boolean;
  /** Told the index under the pointer, null when it leaves. */
  readonly onHover: (index: number | null) => void;
}

/** Lines over environment steps. The chart is drawn anew only when its series change; new points are appended in place. */
export function LineChart({ steps, series, height, format, untilSteps, bare = false, onHover }: LineChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const theme = useTheme();
  const data = [steps, ...series.map(({ values }) => values)] as uPlot.AlignedData;
  const newest = useRef(data);
  newest.current = data;
  const look = JSON.stringify([series.map(({ values: _, ...rest }) => rest), height, bare, untilSteps, theme]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `look` stands for everything that shapes the chart
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const options = chartOptions(element, { series, height, format, untilSteps, bare, onHover });
    const created = new uPlot(options, newest.current, element);
    chart.current = created;
    const observer = new ResizeObserver(() => created.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      created.destroy();
    };
  }, [look]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: data is built of these two
  useEffect(() => chart.current?.setData(data), [steps, series]);

  return <div ref={box} style={{ height, minWidth: 0 }} aria-hidden="true" />;
}

type Look = Pick<LineChartProps, "series" | "height" | "format" | "untilSteps" | "onHover"> & {
  readonly bare: boolean;
};

function chartOptions(
  element: HTMLElement,
  { series, height, format, untilSteps, bare, onHover }: Look,
): uPlot.Options {
  const style = getComputedStyle(element);
  const resolve = (color: string) => style.getPropertyValue(/^var\((.+)\)$/.exec(color)?.[1] ?? "").trim() || color;
  const line = resolve("var(--line)");
  const axis: uPlot.Axis = {
    show: !bare,
    stroke: resolve("var(--ink-faint)"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
    gap: 6,
  };
  return {
    width: element.clientWidth,
    height,
    // Before there are values nothing stands at the left, and the first number below would be cut.
    padding: bare ? [4, 0, 4, 0] : [8, 16, 0, (_, _side, withAxes) => (withAxes[3] ? 0 : 8)],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: false, range: (_, _low, high) => [0, Math.max(high ?? 0, untilSteps)] },
      ...(bare
        ? { y: { range: (_: uPlot, _low: number, high: number) => [0, (high || 1) * 1.15] as uPlot.Range.MinMax } }
        : {}),
    },
    axes: [
      { ...axis, size: bare ? 0 : 24, grid: { show: false }, values: (_, ticks) => ticks.map(formatCount) },
      { ...axis, size: bare ? 0 : 40, values: (_, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...series.map(({ label, color, width, dashed, filled }) => ({
        label,
        stroke: resolve(color),
        width,
        points: { show: false },
        ...(dashed ? { dash: [4, 4] } : {}),
        ...(filled ? { fill: `color-mix(in srgb, ${resolve(color)} 14%, transparent)` } : {}),
      })),
    ],
    hooks: { setCursor: [({ cursor }) => onHover(cursor.idx ?? null)] },
  };
}
