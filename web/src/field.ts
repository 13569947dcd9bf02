/** What one element of a tensor sees of the network's inputs: one sweep back, an interval for each axis. */

import type { Reading } from "./document";
import type { Network } from "./network";

export type Interval = [number, number];

/** Input steps that the output steps `from..to` read along an axis of `n` steps; null: none but padding. */
export function read(reading: Reading, n: number, out: Interval | null): Interval | null {
  if (reading.kind === "whole") return [0, n - 1];
  if (out === null) return null;
  const [from, to] = out;
  const cut = (first: number, last: number): Interval | null => {
    const low = Math.max(0, first), high = Math.min(n - 1, last);
    return low > high ? null : [low, high];
  };
  switch (reading.kind) {
    case "point": return cut(from, to);
    case "part": return cut(from - reading.before, to - reading.before);
    case "past": return reading.backwards ? cut(from, n - 1) : cut(0, to);
    case "digit": {
      const { stride, size } = reading, low = Math.floor(from / stride), high = Math.floor(to / stride);
      return high - low >= size - 1 || high % size < low % size ? [0, n - 1] : cut(low % size, high % size);
    }
    case "table": {
      const spans = reading.spans.slice(from, to + 1).filter(([a, b]) => a <= b);
      return spans.length ? cut(Math.min(...spans.map((it) => it[0])), Math.max(...spans.map((it) => it[1]))) : null;
    }
    case "window": {
      const { k, s, d, before } = reading, reach = (k - 1) * d + 1;
      let low = from * s - before, high = to * s - before + reach - 1;
      if (low < 0) low += Math.ceil(-low / d) * d;
      if (high > n - 1) high -= Math.ceil((high - n + 1) / d) * d;
      return from === to ? cut(low, high) : cut(from * s - before, to * s - before + reach - 1);
    }
    case "transposed": {
      const { k, s, d, before } = reading, full = (k - 1) * d + 1;
      return cut(Math.ceil((from + before - full + 1) / s), Math.floor((to + before) / s));
    }
  }
}

/** For each input of the network that the element reaches, an interval along each axis, samples left out. */
export function field(net: Network, tensor: string, element: Interval[]): Map<string, Interval[]> {
  const known = new Map<string, (Interval | null)[]>([[tensor, element]]);
  const ops = net.document.ops, last = ops.findIndex((it) => it.outputs.includes(tensor));
  let step: Interval | null = null; // of a layer that is repeated over steps: between unfold and fold each is a sample
  for (let at = last; at >= 0; at--) {
    const op = ops[at], given = op.outputs.find((it) => known.has(it)), main = net.tensors.get(op.outputs[0])!.keras.sizes;
    if (given === undefined) continue;
    // what is read is said of the steps of the first output; of scores, of states what all of them see
    const isLike = net.tensors.get(given)!.keras.sizes.join() === main.join();
    const own = isLike ? known.get(given)! : main.slice(1).map((size): Interval => [0, (size ?? 1) - 1]);
    if (op.kind === "unfold") step = own[0];
    for (const { tensor: name, axes } of op.reads) {
      const sizes = net.tensors.get(name)!.keras.sizes;
      const found = axes.slice(1).map((reading, axis): Interval | null => {
        const n = sizes[axis + 1] ?? 1;
        if (op.kind === "fold" && axis === 0 && step) return step;
        if (reading.kind === "table" && reading.axis === null) return read(reading, n, [0, 0]);
        if (reading.axis === null || reading.axis === 0) return [0, n - 1];
        return read(reading, n, own[reading.axis - 1] ?? null);
      });
      const before = known.get(name);
      known.set(name, before ? found.map((it, axis) => union(it, before[axis] ?? null)) : found);
    }
  }
  return new Map([...known].filter(([name]) => net.inputs.has(name)).map(([name, axes]) => [name, axes.map((it) => it ?? [0, -1])]));
}

function union(a: Interval | null, b: Interval | null): Interval | null {
  return !a ? b : !b ? a : [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}
