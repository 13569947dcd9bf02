/** A layer that slides as a matrix, on a small input: one entry for each product that it makes.
 *
 * Channels last, A = Σ S[k] ⊗ … ⊗ C[k]: what tap k reads along each axis, and its channels. Channels first the
 * channels stand on the other side of the product, which is P A Pᵀ.
 */

import type { Layer, Op, Weight } from "./document";
import { products, sliding, type Sliding } from "./sliding";

export interface Entry { out: number; from: number; channel: number; of: number; value: number; tap: number[] }
export interface Matrix {
  axes: string[]; inputs: number[]; outputs: number[]; channels: [number, number]; entries: Entry[]; largest: number;
  kind: Sliding["kind"];
}

const CHANNELS = 2, MOST = 1600;

/** The kernel of a layer that slides, with axes `… i o` or `… o i`; null where channels do not mix so. */
export function kernel(layer: Layer | undefined, rank: number): Weight | null {
  const groups = layer?.options.groups;
  if (!layer || (groups !== undefined && groups !== null && groups !== 1)) return null;
  const found = layer.weights.filter((it) => it.sample && it.keras_side?.axes.length === rank + 2);
  if (found.length !== 1) return null;
  const last = found[0].keras_side!.axes.slice(-2).join("");
  return last === "io" || last === "oi" ? found[0] : null;
}

/** The matrix of an op on as small an input as shows its ends; null where it is none, or too large to be seen. */
export function matrix(op: Op, layer: Layer | undefined): Matrix | null {
  const axes = sliding(op), weight = kernel(layer, axes.length);
  if (!axes.length || axes.length > 2 || !weight || axes.some(({ reading }) => reading.k > 5 || reading.d > 2)) return null;
  const { sample, keras_side, largest } = weight, names = keras_side!.axes, isOut = names.at(-1) === "o";
  if (axes.some(({ reading }, at) => sample!.shape[at] !== reading.k)) return null;
  const [a, b] = sample!.shape.slice(-2), inputs = axes.map((it) => small(it.reading, it.n, axes.length));
  const channels: [number, number] = [Math.min(CHANNELS, isOut ? b : a), Math.min(CHANNELS, isOut ? a : b)];
  const parts = axes.map((it, at) => products(it.reading, inputs[at])), outputs = parts.map((it) => it.outputs);
  if (outputs.some((it) => it < 1)) return null;
  let found: { out: number; from: number; tap: number[] }[] = [{ out: 0, from: 0, tap: [] }];
  parts.forEach(({ taps }, axis) => {
    const inside = taps.filter(([, from, out]) => from >= 0 && from < inputs[axis] && out >= 0 && out < outputs[axis]);
    found = found.flatMap((it) => inside.map(([tap, from, out]) => ({ out: it.out * outputs[axis] + out, from: it.from * inputs[axis] + from, tap: [...it.tap, tap] })));
  });
  if (found.length * channels[0] * channels[1] > MOST) return null;
  const entries = found.flatMap((it) => {
    const start = it.tap.reduce((sum, tap, axis) => sum * sample!.shape[axis] + tap, 0) * a * b;
    return Array.from({ length: channels[0] * channels[1] }, (_, pair): Entry => {
      const channel = pair % channels[0], of = Math.floor(pair / channels[0]);
      return { ...it, channel, of, value: sample!.values[start + (isOut ? of * b + channel : channel * b + of)] };
    });
  });
  return { axes: axes.map((it) => it.axis), inputs, outputs, channels, entries, largest: largest || 1, kind: axes[0].reading.kind };
}

/** A few steps with the padding of the whole. */
function small(reading: Sliding, n: number, rank: number): number {
  const least = reading.kind === "transposed" ? (rank > 1 ? 3 : 4) : rank > 1 ? 4 : 7;
  if (reading.kind === "transposed" || reading.s === 1) return Math.min(n, least);
  const fits = [0, 1, 2, 3].map((it) => least + it).find((it) => (n - it) % reading.s === 0);
  return Math.min(n, fits ?? least);
}

/** Row and column of an entry: channels last at 0, first at 1, on their way between. */
export function position({ inputs, outputs, channels }: Matrix, it: Entry, way: number): [number, number] {
  const places = (sizes: number[], at: number, count: number, channel: number) => {
    const many = sizes.reduce((a, b) => a * b, 1);
    return (at * count + channel) * (1 - way) + (channel * many + at) * way;
  };
  return [places(outputs, it.out, channels[0], it.channel), places(inputs, it.from, channels[1], it.of)];
}
