/** One axis of a layer that slides, in full: which steps of its input each step of its output is made of. */

import { useState } from "preact/hooks";
import { Axis, colour } from "./axes";
import type { Op, Reading } from "./document";
import { network } from "./state";

export type Sliding = Extract<Reading, { kind: "window" | "transposed" }>;

/** The axes along which an op slides, with their letters. */
export function sliding(op: Op | undefined): { axis: string; reading: Sliding; n: number; length: number }[] {
  const read = op?.reads[0];
  if (!read) return [];
  const from = network.value.tensors.get(read.tensor)!, to = network.value.tensors.get(op!.outputs[0])!;
  return read.axes.flatMap((reading, at) => {
    const slides = reading.kind === "window" || reading.kind === "transposed";
    if (!slides || reading.axis === null || from.keras.sizes[at] === null) return [];
    return [{ axis: from.keras.axes[at], reading, n: from.keras.sizes[at]!, length: to.keras.sizes[reading.axis] ?? 1 }];
  });
}

/** `tap`, `input`, `output` of each product along an axis; input -1 or beyond is padding, output out of range is cut. */
export function products(reading: Sliding, n: number): { taps: [number, number, number][]; outputs: number; first: number; last: number } {
  const { k, s, d, before, after } = reading, reach = (k - 1) * d + 1, taps: [number, number, number][] = [];
  if (reading.kind === "window") {
    const outputs = Math.max(0, Math.floor((n + before + after - reach) / s) + 1);
    for (let out = 0; out < outputs; out++) for (let tap = 0; tap < k; tap++) taps.push([tap, out * s + tap * d - before, out]);
    return { taps, outputs, first: -before, last: n - 1 + after };
  }
  const full = (n - 1) * s + reach;
  for (let at = 0; at < n; at++) for (let tap = 0; tap < k; tap++) taps.push([tap, at, at * s + tap * d - before]);
  return { taps, outputs: full - before - after, first: -before, last: full - 1 - before };
}

/** A short input with the same padding at its ends as the long one, where there is one. */
export function short(reading: Sliding, n: number): number {
  const reach = (reading.k - 1) * reading.d + 1;
  if (reading.kind === "transposed") return Math.min(n, 5);
  const least = Math.max(5, reach - reading.before - reading.after + 2 * reading.s);
  for (let it = Math.min(n, least); it <= Math.min(n, least + reading.s); it++) {
    if ((n - it) % reading.s === 0) return it;
  }
  return Math.min(n, least);
}

export function OneAxis({ op }: { op: Op }) {
  const all = sliding(op), [picked, pick] = useState(all.at(-1)?.axis ?? ""), [hover, setHover] = useState<number | null>(null);
  const { axis, reading, n } = all.find((it) => it.axis === picked) ?? all[all.length - 1];
  const few = short(reading, n), { taps, outputs, first, last } = products(reading, few);
  const scatter = reading.kind === "transposed";
  const topFirst = scatter ? 0 : first, topLast = scatter ? few - 1 : last, bottomFirst = scatter ? first : 0, bottomLast = scatter ? last : outputs - 1;
  const q = 30, gap = 74, cell = 26;
  const { s, d, k } = reading, middle = (k - 1) * d / 2;
  const X = scatter ? (at: number) => (at * s + middle - reading.before - bottomFirst) * q : (at: number) => (at - topFirst) * q;
  const Y = scatter ? (at: number) => (at - bottomFirst) * q : (at: number) => (at * s + middle - reading.before - topFirst) * q;
  const width = Math.max(X(topLast), Y(bottomLast)) + q, height = gap + 2 * cell;
  const pad = (at: number) => at < 0 || at >= few, cut = (at: number) => at < 0 || at >= outputs;
  const on = (tap: [number, number, number]) => hover === null || tap[2] === hover;
  return (
    <div class={`sliding ${colour(axis)}`}>
      {all.length > 1 && (
        <div class="tabs" role="group" aria-label="Axis">
          {all.map((it) => <button type="button" class={`tab ${colour(it.axis)}`} aria-pressed={it.axis === axis} onClick={() => pick(it.axis)}>{it.axis}</button>)}
        </div>
      )}
      <div class="scroll">
        <svg viewBox={`-2 -2 ${width + 4} ${height + 4}`} width={width + 4} height={height + 4} role="img"
          aria-label={scatter ? `Along ${axis}: each input is laid down ${k} times, ${s} further each time` : `Along ${axis}: each output reads ${k} inputs, ${s} further each time`}>
          {taps.map((it) => {
            const off = scatter ? cut(it[2]) : pad(it[1]);
            return <line class={`tap${off ? " off" : ""}${on(it) ? "" : " dim"}`} style={{ "--tap": `${30 + 70 * (it[0] + 1) / k}%` }} x1={X(it[1]) + cell / 2} y1={cell} x2={Y(it[2]) + cell / 2} y2={gap + cell} />;
          })}
          {range(topFirst, topLast).map((it) => <Cell x={X(it)} y={0} off={pad(it)} text={pad(it) ? "0" : `x${sub(it)}`} />)}
          {range(bottomFirst, bottomLast).map((it) => <Cell x={Y(it)} y={gap + cell} off={cut(it)} out text={cut(it) ? "cut" : `y${sub(it)}`} onEnter={() => setHover(cut(it) ? null : it)} onLeave={() => setHover(null)} />)}
        </svg>
      </div>
      <p class="note">
        {scatter
          ? <>Every input is stamped with all {k} taps, {s} {s === 1 ? "step" : "steps"} after the last stamp; where stamps meet they add up.{reading.before + reading.after > 0 && " What hangs over is cut."}{reading.before + reading.after < 0 && " What is missing is filled with zeros."}</>
          : <>Every output gathers {k === 1 ? "one input" : `${k} inputs`}{d > 1 && `, ${d} apart`}{s > 1 && `, and the next one begins ${s} further`}.{reading.before + reading.after > 0 && " Dashed cells are padding."}</>}
        {few < n && <> Drawn for {few} of {n}, <Axis name={axis} />.</>}
      </p>
    </div>
  );
}

function Cell({ x, y, off, out, text, onEnter, onLeave }: { x: number; y: number; off: boolean; out?: boolean; text: string; onEnter?: () => void; onLeave?: () => void }) {
  return (
    <g class={`step${off ? " off" : ""}${out ? " out" : ""}`} onPointerEnter={onEnter} onPointerLeave={onLeave}>
      <rect x={x} y={y} width="26" height="26" rx="4" />
      <text x={x + 13} y={y + 17}>{text}</text>
    </g>
  );
}

const range = (first: number, last: number) => Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
const sub = (it: number) => String(it).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]);
