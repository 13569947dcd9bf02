/** What the reader has chosen. The chosen tensor stands in the address, so that back works. */

import { computed, effect, signal } from "@preact/signals";
import type { Document } from "./document";
import { Network } from "./network";

export const network = signal<Network>(null as unknown as Network);
export const chosen = signal("");
export const open = signal<ReadonlySet<string>>(new Set());
export const hovered = signal<string | null>(null);
export const asTable = signal(false);
export const theme = signal<"light" | "dark" | "">("");
/** Indices of the element that the sliders show, by tensor. */
export const elements = signal<ReadonlyMap<string, number[]>>(new Map());

export const picture = computed(() => network.value.picture(open.value));
export const tensor = computed(() => network.value.tensors.get(chosen.value)!);
export const op = computed(() => network.value.op(chosen.value));
export const layer = computed(() => network.value.layer(chosen.value));

export function start(document: Document): void {
  network.value = new Network(document);
  chosen.value = fromAddress() ?? first(network.value);
  window.addEventListener("hashchange", () => { chosen.value = fromAddress() ?? first(network.value); });
  effect(() => {
    if (theme.value) window.document.documentElement.dataset.theme = theme.value;
  });
}

export function choose(id: string): void {
  if (!network.value.tensors.has(id) || id === chosen.value) return;
  chosen.value = id;
  const address = `#${encodeURIComponent(id)}`;
  try { location.hash = address; } catch { /* a page inside srcdoc may have no address */ }
}

function fromAddress(): string | null {
  try {
    const id = decodeURIComponent(location.hash.slice(1));
    return network.value.tensors.has(id) ? id : null;
  } catch { return null; }
}

/** What is worth seeing first: a transposed convolution, else a convolution in the middle, else what has weights. */
function first(net: Network): string {
  const ops = net.document.ops;
  const sliding = ops.filter((it) => it.reads.some((read) => read.axes.some((axis) => axis.kind === "window")));
  const found = ops.findLast((it) => /Transpose$/.test(it.kind) && it.reads.some((read) => read.axes.some((axis) => axis.kind === "transposed")))
    ?? sliding[Math.floor(sliding.length / 2)] ?? ops.find((it) => net.layers.get(it.layer)?.weights.length) ?? ops[0];
  return found?.outputs[0] ?? net.document.inputs[0];
}

export function toggle(path: string): void {
  const next = new Set(open.value);
  if (!next.delete(path)) next.add(path);
  else for (const it of next) if (it.startsWith(`${path}.`)) next.delete(it);
  open.value = next;
}

/** The indices of a tensor's element; at first unequal ones, so that no order of axes looks like another. */
export function element(id: string, sizes: number[]): number[] {
  return elements.value.get(id) ?? sizes.map((size, at) => Math.floor(size * [1 / 3, 2 / 3, 1 / 5, 1 / 2, 3 / 7][at % 5]));
}

export function move(id: string, indices: number[]): void {
  elements.value = new Map(elements.value).set(id, indices);
}
