/** A network as it is looked at: which tensors are drawn, which blocks stand for theirs, what feeds what. */

import type { Block, Document, Layer, Op, Tensor } from "./document";

/** A box of the picture: a tensor, or a closed block that stands for all tensors inside. */
export interface Node {
  id: string;
  label: string;
  /** The block that it stands for; null for a tensor. */
  block: Block | null;
  /** The tensor whose shape is drawn: the last one. */
  shown: Tensor;
  /** All tensors that it stands for, in the order in which they are made. */
  members: Tensor[];
  /** Nodes that it reads. */
  feeds: string[];
}

export interface Picture { nodes: Node[]; by: Map<string, Node>; of: Map<string, string> }

/** The document with what is asked of it often. */
export class Network {
  readonly tensors = new Map<string, Tensor>();
  readonly ops = new Map<string, Op>();
  readonly layers = new Map<string, Layer>();
  readonly readers = new Map<string, Op[]>();
  readonly blocks = new Map<string, Block>();
  readonly order = new Map<string, number>();
  readonly homes = new Map<string, string>();
  readonly inputs: Set<string>;
  readonly outputs: Set<string>;

  constructor(readonly document: Document) {
    document.tensors.forEach((it, at) => { this.tensors.set(it.id, it); this.order.set(it.id, at); });
    for (const it of document.layers) this.layers.set(it.id, it);
    for (const op of document.ops) {
      for (const it of op.outputs) this.ops.set(it, op);
      for (const it of new Set(op.inputs)) this.readers.set(it, [...(this.readers.get(it) ?? []), op]);
    }
    this.inputs = new Set(document.inputs);
    this.outputs = new Set(document.outputs);
    for (const it of document.blocks) if (it.path) this.blocks.set(it.path, it);
    this.groupRows();
    for (const it of document.tensors) this.homes.set(it.id, this.home(it));
  }

  /** Blocks that stand in a row, `conv2.0`, `conv2.1`, are items of one block `conv2`. */
  private groupRows(): void {
    const rows = new Map<string, Block[]>();
    for (const it of this.blocks.values()) {
      const row = it.path.replace(/\.\d+$/, "");
      if (row !== it.path) rows.set(row, [...(rows.get(row) ?? []), it]);
    }
    for (const [path, items] of rows) {
      if (this.blocks.has(path) || items.length < 2) continue;
      const parent = items[0].parent;
      this.blocks.set(path, { ...items[0], path, parent, times: items.length });
      for (const it of items) this.blocks.set(it.path, { ...it, parent: path });
    }
  }

  op(tensor: string): Op | undefined { return this.ops.get(tensor); }

  layer(tensor: string): Layer | undefined {
    const op = this.ops.get(tensor);
    return op && this.layers.get(op.layer);
  }

  /** The module that a tensor is made in. What a block gives stands in model.py where it is called: `self.block(x)`. */
  private home(tensor: Tensor): string {
    const called = wholeCall(tensor.code);
    if (!called) return tensor.module;
    const path = tensor.module ? `${tensor.module}.${called}` : called;
    const inner = (this.ops.get(tensor.id)?.inputs ?? []).map((it) => this.homes.get(it) ?? "");
    return inner.find((it) => it === path || it.startsWith(`${path}.`)) ?? tensor.module;
  }

  /** The blocks that a tensor is in, the outermost first. */
  around(tensor: string): Block[] {
    const found: Block[] = [];
    let path: string | null = this.homes.get(tensor) ?? null;
    while (path && !this.blocks.has(path)) path = path.includes(".") ? path.slice(0, path.lastIndexOf(".")) : null;
    while (path) {
      const block: Block | undefined = this.blocks.get(path);
      if (!block) break;
      found.unshift(block);
      path = block.parent;
    }
    return found;
  }

  /** Whether an op leaves the shape and mixes with no kernel: BatchNormalization, ReLU, Dropout, softmax. */
  private isQuiet(op: Op): boolean {
    const stays = op.reads.every((it) => it.axes.every((axis, at) => (axis.kind === "point" && axis.axis === at) || axis.kind === "whole"));
    const kernels = this.layers.get(op.layer)?.weights.some((it) => (it.keras_side?.axes.length ?? 0) > 1);
    return op.inputs.length === 1 && op.outputs.length === 1 && op.reads.length > 0 && stays && !kernels &&
      same(this.tensors.get(op.inputs[0])!, this.tensors.get(op.outputs[0])!);
  }

  /** What is drawn while these blocks are open. */
  picture(open: ReadonlySet<string>): Picture {
    const of = new Map<string, string>();
    const by = new Map<string, Node>();
    for (const tensor of this.document.tensors) {
      const closed = this.around(tensor.id).find((it) => !open.has(it.path));
      const op = this.ops.get(tensor.id);
      let id = closed ? `block:${closed.path}` : `tensor:${tensor.id}`;
      if (!closed && op && this.isQuiet(op)) {
        const before = op.inputs[0], host = of.get(before);
        const known = host ? by.get(host) : undefined;
        const inside = known && (known.block ? known.members.at(-1)!.id === before : true);
        const level = known?.block ? known.block.parent ?? "" : this.homes.get(known?.shown.id ?? "");
        if (known && inside && !this.inputs.has(before) && this.readers.get(before)!.length === 1 &&
            level === this.homes.get(tensor.id)) id = known.id;
      }
      const node = by.get(id);
      if (node) node.members.push(tensor);
      else by.set(id, { id, label: this.label(tensor, closed ?? null), block: closed ?? null, shown: tensor, members: [tensor], feeds: [] });
      of.set(tensor.id, id);
    }
    for (const node of by.values()) {
      const inside = new Set(node.members.map((it) => it.id));
      const left = node.members.filter((it) =>
        this.outputs.has(it.id) || (this.readers.get(it.id) ?? []).some((op) => op.outputs.some((to) => !inside.has(to))));
      node.shown = left.at(-1) ?? node.members.at(-1)!;
      const feeds = new Set<string>();
      for (const it of node.members) for (const from of this.ops.get(it.id)?.inputs ?? []) feeds.add(of.get(from)!);
      feeds.delete(node.id);
      node.feeds = [...feeds];
    }
    return { nodes: sorted([...by.values()], by), by, of };
  }

  /** The tensor of a box whose card has most to say: behind the last layer with a kernel, else the one that is drawn. */
  telling(node: Node): Tensor {
    const deep = node.members.filter((it) => this.layer(it.id)?.weights.some((weight) => (weight.keras_side?.axes.length ?? 0) > 1));
    return deep.at(-1) ?? (node.block ? node.shown : node.members[0]);
  }

  private label(tensor: Tensor, block: Block | null): string {
    if (block) {
      const name = block.path.split(".").slice(-2).join(".").replace(/^.*\.(?=[^\d.]+$)/, "");
      const items = [...this.blocks.values()].filter((it) => it.parent === block.path && /\.\d+$/.test(it.path)).length;
      return items ? `${name} (${items})` : name;
    }
    return (this.ops.get(tensor.id)?.layer ?? tensor.id).replace(/\.(linear|activation)$/, "");
  }
}

/** `block` of `self.block(x)`; empty where more is written, `self.block(x).mean(1)`. */
export function wholeCall(code: string): string {
  const found = /^self\.([\w.]+)\(/.exec(code);
  if (!found) return "";
  let depth = 0;
  for (let at = found[0].length - 1; at < code.length; at++) {
    depth += code[at] === "(" ? 1 : code[at] === ")" ? -1 : 0;
    if (!depth) return at === code.length - 1 ? found[1] : "";
  }
  return "";
}

export function same(a: Tensor, b: Tensor): boolean {
  return a.keras.sizes.length === b.keras.sizes.length && a.keras.sizes.every((it, at) => it === b.keras.sizes[at]);
}

/** Nodes in an order in which each stands behind what it reads; a cycle, of a block that is called twice, is cut. */
function sorted(nodes: Node[], by: Map<string, Node>): Node[] {
  const found: Node[] = [], seen = new Set<string>();
  for (const start of nodes) {
    const stack: [Node, number][] = seen.has(start.id) ? [] : [[start, 0]];
    seen.add(start.id);
    while (stack.length) {
      const top = stack[stack.length - 1];
      const next = top[0].feeds[top[1]++];
      if (next === undefined) { found.push(top[0]); stack.pop(); continue; }
      if (!seen.has(next)) { seen.add(next); stack.push([by.get(next)!, 0]); }
    }
  }
  return found;
}

/** Sizes of the axes along which something can lie beside something else: not samples, not channels. */
export function space(tensor: Tensor): number[] {
  return tensor.keras.axes.flatMap((axis, at) => {
    const size = tensor.keras.sizes[at];
    return at === 0 || size === null || isChannel(tensor, at) ? [] : [size];
  });
}

/** Number of channels; of a vector its length. */
export function channels(tensor: Tensor): number {
  const at = tensor.keras.axes.findIndex((_, it) => isChannel(tensor, it));
  return at < 0 ? 1 : tensor.keras.sizes[at] ?? 1;
}

function isChannel(tensor: Tensor, at: number): boolean {
  const { axes } = tensor.keras, named = axes.indexOf("c");
  return at > 0 && (named > 0 ? at === named : axes.length > 1 && at === axes.length - 1 && axes[at] !== "t");
}

/** A shape as people write it: 64×64×128. */
export function written(tensor: Tensor): string {
  return tensor.keras.sizes.slice(1).map((it) => it ?? "n").join("×") || "one number";
}
