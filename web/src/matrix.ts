/** A layer as a matrix, on a small input: one entry for each product that it makes.
 *
 * Channels last, A = Σ S[k] ⊗ … ⊗ C[k]: what tap k reads along each axis, and its channels. Channels first the
 * channels stand on the other side of the product, which is P A Pᵀ. A Dense layer has one tap, and S = I along
 * the axes that it is repeated over; of a grouped convolution one group is drawn, the others are its like.
 */

import type { Layer, Op } from "./document";
import { products, sliding, type Sliding } from "./sliding";
import { network } from "./state";

export interface Entry { out: number; from: number; channel: number; of: number; value: number; tap: number[] }
export interface Matrix {
  axes: string[]; inputs: number[]; outputs: number[]; channels: [number, number]; entries: Entry[]; largest: number;
  kind: Sliding["kind"]; groups: number;
}

const CHANNELS = 2, MOST = 1600;

/** How a layer mixes channels at each tap: `value(place of the tap, output channel, input channel)`, null for no entry.
 *
 * `shape`: of the corner of the kernel, its taps and the numbers of one; null where all taps are alike.
 */
interface Mix { channels: [number, number]; shape: number[] | null; largest: number; groups: number; value: (start: number, channel: number, of: number) => number | null }

/** A layer that does the same at each step of an axis. */
const SAME: Sliding = { kind: "window", k: 1, s: 1, d: 1, before: 0, after: 0, axis: null };

/** What an op does with its channels, from a corner of its kernel; null where it is no matrix, or not so simple a one. */
function mix(op: Op, layer: Layer | undefined, rank: number): Mix | null {
  const kernels = layer?.weights.filter((it) => it.sample && it.keras_side?.axes.length === rank + 2) ?? [];
  if (/^AveragePooling/.test(op.kind)) {
    return { channels: [CHANNELS, CHANNELS], shape: null, largest: 1, groups: 1, value: (_, channel, of) => (channel === of ? 1 : null) };
  }
  if (kernels.length !== 1) return null;
  const { sample, keras_side, largest } = kernels[0], { shape, values } = sample!, groups = Number(layer?.options.groups ?? 1) || 1;
  const [a, b] = shape.slice(-2), each = Math.min(b, keras_side!.sizes.at(-1)! / groups);
  const common = { shape: shape.slice(0, -2).concat(a * b), largest: largest || 1, groups };
  switch (keras_side!.axes.slice(-2).join("")) {
    case "io": {
      const most = rank ? CHANNELS : Math.max(a, b);
      return { ...common, channels: [Math.min(most, each), Math.min(most, a)], value: (start, channel, of) => values[start + of * b + channel] };
    }
    case "oi": return { ...common, channels: [Math.min(CHANNELS, a), Math.min(CHANNELS, b)], value: (start, channel, of) => values[start + channel * b + of] };
    case "im": {
      const count = Math.min(CHANNELS, a), many = keras_side!.sizes.at(-1)!;
      if (many > b) return null;
      return { ...common, channels: [count * many, count], value: (start, channel, of) => (Math.floor(channel / many) === of ? values[start + of * b + (channel % many)] : null) };
    }
    default: return null;
  }
}

/** A Dense layer behind a Flatten: the rows of its kernel are pixels and channels, which PyTorch has in another order. */
function flat(op: Op, layer: Layer | undefined): Matrix | null {
  const kernel = layer?.weights.find((it) => it.sample && it.keras_side?.axes.length === 2 && it.keras_side.axes[0].startsWith("(") && it.sample.shape.length === 1 + it.keras_side.axes[0].split(" ").length);
  if (!kernel || op.kind !== "Dense") return null;
  const letters = kernel.keras_side!.axes[0].replace(/[()]/g, "").split(" "), { shape, values } = kernel.sample!;
  const inputs = shape.slice(0, -2).map((it) => Math.min(it, letters.length > 2 ? 2 : 4)), many = Math.min(CHANNELS, shape.at(-2)!), units = shape.at(-1)!;
  const entries: Entry[] = [];
  for (let from = 0; from < inputs.reduce((a, b) => a * b, 1); from++) {
    let rest = from;
    const index = [...inputs].reverse().map((size) => { const at = rest % size; rest = Math.floor(rest / size); return at; }).reverse();
    for (let of = 0; of < many; of++) for (let channel = 0; channel < units; channel++) {
      const place = [...index, of, channel].reduce((sum, it, axis) => sum * shape[axis] + it, 0);
      entries.push({ out: 0, from, channel, of, value: values[place], tap: [] });
    }
  }
  return { axes: letters.slice(0, -1), inputs, outputs: [], channels: [units, many], entries, largest: kernel.largest || 1, groups: 1, kind: "window" };
}

/** The matrix of an op on as small an input as shows its ends; null where it is none, or too large to be seen. */
export function matrix(op: Op, layer: Layer | undefined): Matrix | null {
  const behind = flat(op, layer);
  if (behind) return behind;
  const slides = sliding(op), axes = slides.length ? slides : repeated(op), dense = !slides.length;
  const mixed = axes && mix(op, layer, slides.length);
  if (!axes || !mixed || axes.some(({ reading }) => reading.k > 5 || reading.d > 2)) return null;
  const { channels, shape } = mixed, inputs = axes.map((it) => small(it.reading, it.n, axes.length));
  if (shape && slides.some(({ reading }, at) => shape[at] !== reading.k)) return null;
  const parts = axes.map((it, at) => products(it.reading, inputs[at])), outputs = parts.map((it) => it.outputs);
  if (outputs.some((it) => it < 1)) return null;
  let found: { out: number; from: number; tap: number[] }[] = [{ out: 0, from: 0, tap: [] }];
  parts.forEach(({ taps }, axis) => {
    const inside = taps.filter(([, from, out]) => from >= 0 && from < inputs[axis] && out >= 0 && out < outputs[axis]);
    found = found.flatMap((it) => inside.map(([tap, from, out]) => ({ out: it.out * outputs[axis] + out, from: it.from * inputs[axis] + from, tap: [...it.tap, tap] })));
  });
  if (found.length * channels[0] * channels[1] > MOST) return null;
  const read = new Map<number, number>();
  for (const it of found) read.set(it.out, (read.get(it.out) ?? 0) + 1);
  const entries = found.flatMap((it) => {
    const start = shape && !dense ? it.tap.reduce((sum, tap, axis) => sum * shape[axis] + tap, 0) * shape[shape.length - 1] : 0;
    return Array.from({ length: channels[0] * channels[1] }, (_, pair): Entry[] => {
      const channel = pair % channels[0], of = Math.floor(pair / channels[0]), value = mixed.value(start, channel, of);
      return value === null ? [] : [{ ...it, channel, of, value: shape ? value : value / read.get(it.out)! }];
    }).flat();
  });
  return { axes: axes.map((it) => it.axis), inputs, outputs, channels, entries, largest: mixed.largest, groups: mixed.groups, kind: axes[0]?.reading.kind ?? "window" };
}

/** The axes that a Dense layer is repeated over; null for another layer, or where it sums over several. */
function repeated(op: Op): { axis: string; reading: Sliding; n: number }[] | null {
  const read = op.reads[0], from = read && network.value.tensors.get(read.tensor);
  if (!from || !/^(Dense|EinsumDense)$/.test(op.kind)) return null;
  const inner = read.axes.slice(1, -1);
  if (read.axes.length < 2 || read.axes.at(-1)!.kind !== "whole" || inner.some((it) => it.kind !== "point") || inner.length > 2) return null;
  return inner.map((_, at) => ({ axis: from.keras.axes[at + 1], reading: SAME, n: from.keras.sizes[at + 1] ?? 1 }));
}

/** A few steps with the padding of the whole. */
function small(reading: Sliding, n: number, rank: number): number {
  if (rank > 2 && reading.s === 1) return Math.min(n, reading.kind === "transposed" ? 2 : 3);
  const least = reading.kind === "transposed" ? (rank > 2 ? 2 : rank > 1 ? 3 : 4) : reading.k === 1 ? 3 : rank > 2 ? 3 : rank > 1 ? 4 : 7;
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
