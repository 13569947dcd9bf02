/** Axes: one letter and one colour each, everywhere. */

import type { ComponentChildren } from "preact";
import type { Side } from "./document";

const KNOWN = new Set(["n", "t", "d", "h", "w", "c", "i", "o"]);

/** The class that colours an axis; of a group `(h w c)` none. */
export function colour(axis: string): string {
  const letter = axis.toLowerCase();
  return KNOWN.has(letter) ? `ax-${letter}` : axis.length > 2 ? "" : "ax-other";
}

export function Axis({ name, children }: { name: string; children?: ComponentChildren }) {
  if (name.startsWith("(")) {
    return <span class="group">({name.slice(1, -1).split(" ").map((it, at) => <>{at > 0 && " "}<Axis name={it} /></>)})</span>;
  }
  return <span class={`ax ${colour(name)}`}>{children ?? name}</span>;
}

/** A pattern of axes, `h w i o -> o i h w`. */
export function Pattern({ text }: { text: string }) {
  const parts = text.split(/(\([^)]*\)|\s+)/).filter((it) => it !== "" && it !== undefined);
  return <span class="mono">{parts.map((it) => (/^\s+$/.test(it) ? " " : it === "->" ? " → " : /^\(|^[a-z]$/.test(it) ? <Axis name={it} /> : it))}</span>;
}

/** Both shapes, Keras above PyTorch, and a line from each axis to where it went. */
export function Turned({ keras, torch }: { keras: Side; torch: Side }) {
  const wide = 70, left = 86, width = left + wide * keras.axes.length, height = 118;
  const x = (at: number) => left + wide * at + wide / 2;
  const text = (side: Side) => side.axes.map((it, at) => `${it} ${side.sizes[at] ?? "n"}`).join(", ");
  const key = (axis: string) => axis.replace(/[() ]/g, "").split("").sort().join("");
  const used = new Set<number>();
  const target = keras.axes.map((axis) => {
    const found = torch.axes.findIndex((it, at) => !used.has(at) && key(it) === key(axis));
    used.add(found);
    return found;
  });
  return (
    <svg class="turned" viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img"
      aria-label={`Keras: ${text(keras)}. PyTorch: ${text(torch)}.`}>
      <text class="who" x="0" y="24">Keras</text>
      <text class="who" x="0" y={height - 11}>PyTorch</text>
      {target.map((to, at) => to >= 0 && (
        <path class={`braid ${colour(keras.axes[at])}`} d={`M${x(at)},40 C${x(at)},64 ${x(to)},54 ${x(to)},78`} />
      ))}
      {[keras, torch].map((side, row) => side.axes.map((axis, at) => (
        <g class={colour(axis) || "ax-other"} transform={`translate(${x(at)},${row ? height - 26 : 12})`}>
          <text class="letter" y="0">{axis}</text>
          <text class="size" y="19">{side.sizes[at] ?? "n"}</text>
        </g>
      )))}
    </svg>
  );
}
