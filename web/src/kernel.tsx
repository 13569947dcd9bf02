/** A weight as both sides hold it: the same numbers, tiled by their outer two axes. */

import { useState } from "preact/hooks";
import { Axis, Pattern, colour } from "./axes";
import { calm } from "./code";
import type { Weight } from "./document";

const Q = 17, GAP = 6, MOST = 4;

/** For each axis of PyTorch's the number of Keras's; null where axes are grouped anew, or parts change places (gates). */
export function turn(weight: Weight): number[] | null {
  if (weight.steps.some((it) => "take" in it || "reshape" in it)) return null;
  const left = weight.keras_side?.axes ?? [], right = weight.torch_side.axes;
  if (left.length !== right.length || new Set(left).size !== left.length) return null;
  const found = right.map((it) => left.indexOf(it));
  return found.includes(-1) ? null : found;
}

export function Kernel({ weight }: { weight: Weight }) {
  const sample = weight.sample, order = turn(weight), side = weight.keras_side!;
  const [at, setAt] = useState<number[]>(() => sample?.shape.map((size, it) => Math.min(size - 1, [0, 1, 2, 3, 1][it])) ?? []);
  const [way, setWay] = useState(0);
  if (!sample || !order || sample.shape.length < 2 || sample.shape.length > 5) return <Pairs weight={weight} />;
  const turnIt = () => {
    const goal = way ? 0 : 1, start = performance.now(), from = way;
    if (calm()) { setWay(goal); return; }
    const step = (now: number) => {
      const share = Math.min(1, (now - start) / 1100), eased = share * share * (3 - 2 * share);
      setWay(from + (goal - from) * eased);
      if (share < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  };
  const largest = weight.largest || 1, count = sample.shape.length;
  const value = (index: number[]) => sample.values[index.reduce((sum, it, axis) => sum * sample.shape[axis] + it, 0)];
  const step = (axis: number, by: number) => setAt(at.map((it, other) => (other === axis ? (it + by + sample.shape[axis]) % sample.shape[axis] : it)));
  const keys = (event: KeyboardEvent, axes: number[]) => {
    const inner = axes.slice(-2), by = { ArrowLeft: [1, -1], ArrowRight: [1, 1], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    step(event.shiftKey && axes.length > 2 ? axes.slice(-4, -2)[by[0] - (axes.length > 3 ? 0 : by[0])] ?? axes[0] : inner[by[0]], by[1]);
  };
  const index = (numbers: number[], axes: string[]) => numbers.map((it, number) => <>{number > 0 && ", "}<span class={colour(axes[number])}>{it}</span></>);
  return (
    <>
      <div class="tilings">
        {[{ who: "Keras", side, axes: side.axes.map((_, it) => it) }, { who: "PyTorch", side: weight.torch_side, axes: order }].map((it) => (
          <div class="tiling">
            <div class="who">{it.who} <span class="mono">{it.side.axes.map((axis, number) => <>{number > 0 && " × "}<Axis name={axis}>{axis.length > 2 ? axis : `${axis} ${it.side.sizes[number]}`}</Axis></>)}</span></div>
            <Tiles axes={it.axes} toward={order} way={it.who === "Keras" ? way : 0} names={side.axes} sizes={sample.shape} at={at} value={value} largest={largest} pick={setAt} onKeyDown={(event) => keys(event, it.axes)} who={it.who} />
          </div>
        ))}
      </div>
      {order.some((it, at) => it !== at) && <button type="button" class="turn" aria-pressed={way > 0.5} onClick={turnIt}>{way > 0.5 ? "Back to Keras" : "Turn it"}</button>}
      <p class="found mono" aria-live="polite">
        {name(weight.keras, "/")}[{index(at, side.axes)}] is {name(weight.torch, ".")}[{index(order.map((it) => at[it]), weight.torch_side.axes)}] = <b>{shownNumber(value(at))}</b>
      </p>
      <p class="note">The same numbers, tiled by their outer {count > 3 ? "two axes" : count > 2 ? "axis" : "axes"}
        {sample.shape.some((size, it) => size < (side.sizes[it] ?? 0)) && ", a corner of all"}. Orange is above zero, blue below; point at a cell, or use the arrow keys.</p>
    </>
  );
}

/** Where each element stands when the numbers are tiled by the outer two of the last four axes, and how large all is. */
function tiled(axes: number[], sizes: number[]): { x: (index: number[]) => number; y: (index: number[]) => number; width: number; height: number } {
  const [a, b, c, d] = [...Array<number>(Math.max(0, 4 - axes.length)).fill(-1), ...axes].slice(-4);
  const size = (axis: number) => (axis < 0 ? 1 : sizes[axis]), at = (index: number[], axis: number) => (axis < 0 ? 0 : index[axis]);
  const wide = size(d) * Q + GAP, tall = size(c) * Q + GAP;
  return {
    x: (index) => at(index, b) * wide + at(index, d) * Q + 2, y: (index) => at(index, a) * tall + at(index, c) * Q + 2,
    width: size(b) * wide, height: size(a) * tall,
  };
}

/** All indices of a shape; of more than four axes those before the last four stay. */
function every(sizes: number[], axes: number[], at: number[]): number[][] {
  const moved = new Set(axes.slice(-4));
  return sizes.reduce<number[][]>((all, size, axis) => all.flatMap((it) => (moved.has(axis) ? Array.from({ length: size }, (_, step) => [...it, step]) : [[...it, at[axis]]])), [[]]);
}

function Tiles({ axes, toward, way, names, sizes, at, value, largest, pick, onKeyDown, who }: {
  axes: number[]; toward: number[]; way: number; names: string[]; sizes: number[]; at: number[]; value: (index: number[]) => number; largest: number;
  pick: (index: number[]) => void; onKeyDown: (event: KeyboardEvent) => void; who: string;
}) {
  const from = tiled(axes, sizes), to = tiled(toward, sizes), between = (a: number, b: number) => a + (b - a) * way;
  const width = way ? Math.max(from.width, to.width) : from.width, height = way ? Math.max(from.height, to.height) : from.height;
  const inner = axes.slice(-2).map((it) => names[it]).join(" by ");
  return (
    <svg class="tiles" tabindex={0} role="img" viewBox={`0 0 ${width} ${height}`} width={width} height={height} onKeyDown={onKeyDown}
      aria-label={`${who}: tiles of ${inner}; arrow keys move`}>
      {every(sizes, axes, at).map((index) => {
        const number = value(index), share = Math.round(Math.min(1, Math.abs(number) / largest) * 100), on = index.every((it, axis) => it === at[axis]);
        return <rect class={`weight${on ? " on" : ""}${number < 0 ? " below" : ""}`} style={{ "--share": `${share}%` }}
          x={between(from.x(index), to.x(index))} y={between(from.y(index), to.y(index))} width={Q - 2} height={Q - 2} rx="2" onPointerEnter={() => pick(index)} onClick={() => pick(index)} />;
      })}
    </svg>
  );
}

/** Elements of a weight that were read from both files. */
export function Pairs({ weight }: { weight: Weight }) {
  const left = weight.keras_side?.axes ?? [], right = weight.torch_side.axes;
  const index = (numbers: number[], axes: string[]) => numbers.map((it, at) => <>{at > 0 && ", "}<span class={colour(axes[at] ?? "")}>{it}</span></>);
  return (
    <ul class="pairs mono">
      {weight.pairs.map((it) => <li>{name(weight.keras, "/")}[{index(it.keras, left)}] is {name(weight.torch, ".")}[{index(it.torch, right)}]{it.value !== null && <> = <b>{shownNumber(it.value)}</b></>}</li>)}
    </ul>
  );
}

/** What a weight is called in its layer: the last part of its path. */
const name = (path: string | null, between: string) => path?.split(between).at(-1) ?? "";

export const shownNumber = (it: number) => (it < 0 ? "−" : "+") + Math.abs(it).toFixed(4);

/** All weights of a layer: what Keras calls them, what PyTorch does, how they are turned. */
export function Weights({ weights }: { weights: Weight[] }) {
  const shown = weights.find((it) => it.sample && it.keras_side && it.keras_side.axes.length > 1) ?? null;
  const [picked, pick] = useState<string | null>(null);
  const now = weights.find((it) => it.torch === picked) ?? shown;
  const known = weights.filter((it) => it.keras);
  return (
    <>
      {now && <><h4><span class="mono">{now.keras}</span> → <span class="mono">{now.torch}</span> <Pattern text={now.pattern.split(" (after")[0]} /></h4><Kernel key={now.torch} weight={now} /></>}
      {(known.length > 1 || !now) && (
        <table class="weights">
          <thead><tr><th>Keras</th><th>PyTorch</th><th>shape</th></tr></thead>
          <tbody>{known.slice(0, MOST * 6).map((it) => (
            <tr>
              <td>{it.sample ? <button type="button" class="link" aria-pressed={it === now} onClick={() => pick(it.torch)}>{it.keras}</button> : it.keras}</td>
              <td>{it.torch}</td>
              <td>{it.torch_side.sizes.join(" × ") || "one number"}</td>
            </tr>
          ))}</tbody>
        </table>
      )}
    </>
  );
}
