/** Where an element is in memory, in Keras and in PyTorch. */

import type { Tensor } from "./document";

/** How far apart elements are that are neighbours along each axis, in a row of all of them. */
export function strides(sizes: number[]): number[] {
  const found = Array<number>(sizes.length).fill(1);
  for (let at = sizes.length - 2; at >= 0; at--) found[at] = found[at + 1] * sizes[at + 1];
  return found;
}

/** One way to hold a tensor: its axes, sizes and strides, without samples. */
export interface Held { title: string; axes: string[]; sizes: number[]; strides: number[] }

/** The axes of a tensor that have elements, and how each framework holds them. A flat axis is opened into its parts. */
export function held(tensor: Tensor): { axes: string[]; sizes: number[]; ways: Held[] } {
  const [part] = tensor.parts, group = tensor.keras.axes.at(-1) ?? "";
  const letters = group.startsWith("(") ? group.slice(1, -1).split(" ") : [];
  if (tensor.parts.length === 1 && part.length === letters.length && tensor.keras.axes.length === 2) {
    const other = tensor.torch.axes.at(-1)!.replace(/[()]/g, "").split(" ");
    const sizes = other.map((it) => part[letters.indexOf(it)] ?? 1);
    return {
      axes: letters, sizes: part, ways: [
        { title: `Keras, one axis ${group}`, axes: letters, sizes: part, strides: strides(part) },
        { title: `PyTorch, one axis (${other.join(" ")})`, axes: other, sizes, strides: strides(sizes) },
      ],
    };
  }
  const axes = tensor.keras.axes.slice(1), sizes = tensor.keras.sizes.slice(1).map((it) => it ?? 1);
  const others = tensor.torch.axes.slice(1), otherSizes = tensor.torch.sizes.slice(1).map((it) => it ?? 1);
  const ways: Held[] = [
    { title: `Keras, n ${axes.join(" ")}`, axes, sizes, strides: strides(sizes) },
    { title: `PyTorch, n ${others.join(" ")}`, axes: others, sizes: otherSizes, strides: strides(otherSizes) },
  ];
  if (others.join() !== axes.join() && (axes.length === 3 || axes.length === 4)) {
    const own = strides(sizes), format = axes.length === 3 ? "channels_last" : "channels_last_3d";
    ways.push({ title: `PyTorch in torch.${format}: the same shape, Keras's strides`, axes: others, sizes: otherSizes, strides: others.map((it) => own[axes.indexOf(it)]) });
  }
  return { axes, sizes, ways };
}

/** Indices in `axes` order -> place in memory. */
export function place(way: Held, axes: string[], indices: number[]): number {
  return way.axes.reduce((sum, axis, at) => sum + indices[axes.indexOf(axis)] * way.strides[at], 0);
}

/** Place in memory -> indices in `axes` order. */
export function indices(way: Held, axes: string[], place: number): number[] {
  const found = Array<number>(axes.length).fill(0);
  const order = way.axes.map((axis, at) => [axis, way.strides[at], way.sizes[at]] as const)
    .sort((a, b) => b[1] - a[1] || a[2] - b[2]);
  let rest = place;
  for (const [axis, stride] of order) { found[axes.indexOf(axis)] = Math.floor(rest / stride); rest %= stride; }
  return found;
}
