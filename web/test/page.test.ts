import { describe, expect, it } from "vitest";
import type { Document, Layer, Op, Reading, Tensor } from "../src/document";
import { read as behind } from "../src/field";
import { covered, tokens } from "../src/code";
import { fitted, layout, places } from "../src/layout";
import { matrix, position } from "../src/matrix";
import { held, indices, place, strides } from "../src/memory";
import { Network, wholeCall } from "../src/network";
import { network } from "../src/state";
import { products } from "../src/sliding";

function tensor(id: string, sizes: number[], op: string | null = id, module = "", code = ""): Tensor {
  const axes = sizes.length === 3 ? ["n", "h", "w", "c"] : sizes.length === 2 ? ["n", "t", "c"] : ["n", "c"];
  const first = sizes.length === 3 ? ["n", "c", "h", "w"] : axes;
  const turned = first.map((axis) => [null, ...sizes][axes.indexOf(axis)]);
  return { id, op, keras: { axes, sizes: [null, ...sizes] }, torch: { axes: first, sizes: turned }, dtype: "float32", bytes: 0, parts: [], module, code, span: null, sees: [] };
}

function op(id: string, inputs: string[], axes: Reading[] = [], kind = "Conv2D"): Op {
  return { id, layer: id, kind, inputs, outputs: [id], reads: inputs.map((it) => ({ tensor: it, axes })), multiplies: null, card: [] };
}

function made(tensors: Tensor[], ops: Op[], layers: Layer[] = []): Network {
  const inputs = tensors.filter((it) => it.op === null).map((it) => it.id);
  const blocks = [...new Set(tensors.map((it) => it.module))].map((path) => ({ path, class: path || "Net", times: 1, line: 1, end_line: 2, parent: path ? "" : null }));
  return new Network({ tensors, ops, layers, inputs, outputs: [tensors.at(-1)!.id], blocks } as unknown as Document);
}

const unet = () => made(
  [tensor("x", [64, 64, 3], null), tensor("a", [64, 64, 8]), tensor("b", [32, 32, 8]), tensor("c", [32, 32, 16]), tensor("d", [16, 16, 16]), tensor("e", [32, 32, 16]), tensor("f", [32, 32, 32]), tensor("g", [64, 64, 8]), tensor("h", [64, 64, 16])],
  [op("a", ["x"]), op("b", ["a"]), op("c", ["b"]), op("d", ["c"]), op("e", ["d"]), op("f", ["c", "e"]), op("g", ["f"]), op("h", ["a", "g"])],
);

describe("layout", () => {
  it("makes a U of a U-Net", () => {
    const net = unet(), at = places(net.picture(new Set()), net.inputs);
    expect([..."xabcdefgh"].map((it) => at.get(`tensor:${it}`)!.row)).toEqual([0, 0, 1, 1, 2, 1, 1, 0, 0]);
    const columns = [..."xabcdefgh"].map((it) => at.get(`tensor:${it}`)!.column);
    expect(columns).toEqual([0, 1, 1, 2, 2, 3, 4, 4, 5]);
  });
  it("makes a staircase of what only falls, and fits the width", () => {
    const net = made([tensor("x", [64, 64, 3], null), tensor("a", [32, 32, 8]), tensor("b", [16, 16, 8])], [op("a", ["x"]), op("b", ["a"])]);
    const found = layout(net.picture(new Set()), net.inputs, 800, false);
    expect(["x", "a", "b"].map((it) => found.places.get(`tensor:${it}`)!.column)).toEqual([0, 1, 2]);
    for (const box of found.boxes.values()) expect(box.x + box.w + box.dx).toBeLessThanOrEqual(800);
    expect(found.shape).toBe("a staircase of 3 levels");
  });
  it("gives no two boxes one place", () => {
    for (const net of [unet()]) {
      const all = [...places(net.picture(new Set()), net.inputs).values()].map((it) => `${it.row},${it.column},${it.lane}`);
      expect(new Set(all).size).toBe(all.length);
    }
  });
  it("shortens labels in the middle", () => {
    expect(fitted("global_average_pooling", 80)).toHaveLength(11);
    expect(fitted("abc", 10)).toBe("");
  });
});

describe("network", () => {
  it("lets a closed block stand for what is in it, and what is made by calling it", () => {
    const net = made([tensor("x", [8, 8, 3], null), tensor("a", [8, 8, 4], "a", "block"), tensor("b", [8, 8, 5], "b", "", "self.block(x)")], [op("a", ["x"]), op("b", ["a"])]);
    expect(net.picture(new Set()).nodes.map((it) => it.id)).toEqual(["tensor:x", "block:block"]);
    expect(net.picture(new Set(["block"])).nodes.map((it) => it.id)).toEqual(["tensor:x", "tensor:a", "tensor:b"]);
  });
  it("draws one box for a run that keeps its shape, softmax included, and not for what mixes with a kernel", () => {
    const reads: Reading[] = [{ axis: 0, kind: "point" }, { axis: null, kind: "whole" }];
    const tensors = [tensor("x", [10], null), tensor("a", [10]), tensor("b", [10]), tensor("c", [10])];
    const kernel = { id: "a", options: {}, weights: [{ keras_side: { axes: ["i", "o"], sizes: [10, 10] } }] } as unknown as Layer;
    const net = made(tensors, [op("a", ["x"], reads, "Dense"), op("b", ["a"], reads, "softmax"), op("c", ["b"], [{ axis: 0, kind: "point" }, { axis: 1, kind: "point" }], "Dropout")], [kernel]);
    expect(net.picture(new Set()).nodes.map((it) => it.members.map((member) => member.id).join(""))).toEqual(["x", "abc"]);
  });
  it("knows a whole call from a part of an expression", () => {
    expect(wholeCall("self.blocks(x)")).toBe("blocks");
    expect(wholeCall("self.conv5(x).mean((2, 3))")).toBe("");
  });
});

describe("memory", () => {
  it("finds the same element by every way", () => {
    const { axes, ways } = held(tensor("x", [5, 7, 3])), at = [2, 4, 1];
    expect(ways.map((it) => place(it, axes, at))).toEqual([2 * 21 + 4 * 3 + 1, 35 + 2 * 7 + 4, 55]);
    for (const way of ways) for (let it = 0; it < 105; it++) expect(place(way, axes, indices(way, axes, it))).toBe(it);
  });
  it("opens a flat axis into its parts", () => {
    const flat = { ...tensor("x", [12]), keras: { axes: ["n", "(h w c)"], sizes: [null, 12] }, torch: { axes: ["n", "(c h w)"], sizes: [null, 12] }, parts: [[2, 3, 2]] };
    const { axes, sizes, ways } = held(flat);
    expect([axes, sizes]).toEqual([["h", "w", "c"], [2, 3, 2]]);
    expect(ways.map((it) => place(it, axes, [1, 2, 1]))).toEqual([11, 11]);
    expect(ways.map((it) => place(it, axes, [1, 0, 1]))).toEqual([7, 9]);
  });
  it("has strides of a contiguous array", () => { expect(strides([2, 3, 4])).toEqual([12, 4, 1]); });
});

describe("windows", () => {
  const same: Reading = { axis: 1, kind: "window", k: 3, s: 2, d: 1, before: 0, after: 1 };
  const up: Reading = { axis: 1, kind: "transposed", k: 3, s: 2, d: 1, before: 0, after: 1 };
  it("reads what the products read", () => {
    for (const [reading, n] of [[same, 8], [up, 5]] as const) {
      const { taps, outputs } = products(reading as never, n);
      for (let out = 0; out < outputs; out++) {
        const inside = taps.filter(([, from, to]) => to === out && from >= 0 && from < n).map(([, from]) => from);
        expect(behind(reading, n, [out, out])).toEqual([Math.min(...inside), Math.max(...inside)]);
      }
    }
  });
  it("sees nothing behind nothing but padding", () => {
    expect(behind({ axis: 1, kind: "window", k: 1, s: 1, d: 1, before: 2, after: 2 }, 4, [0, 0])).toBeNull();
    expect(behind({ axis: 1, kind: "whole" }, 4, null)).toEqual([0, 3]);
  });
});

describe("matrix", () => {
  const axis = (at: number): Reading => ({ axis: at, kind: "window", k: 3, s: 1, d: 1, before: 1, after: 1 });
  const sample = { shape: [3, 3, 2, 2], values: Array.from({ length: 36 }, (_, it) => it + 1) };
  const layer = { id: "y", options: {}, weights: [{ keras: "k", keras_side: { axes: ["h", "w", "i", "o"], sizes: [3, 3, 2, 2] }, sample, largest: 36 }] } as unknown as Layer;
  const net = made([tensor("x", [9, 9, 2], null), tensor("y", [9, 9, 2])], [op("y", ["x"], [{ axis: 0, kind: "point" }, axis(1), axis(2), { axis: null, kind: "whole" }])], [layer]);
  network.value = net;
  const found = matrix(net.document.ops[0], layer)!;
  const kernel = (h: number, w: number, i: number, o: number) => sample.values[((h * 3 + w) * 2 + i) * 2 + o];

  it("multiplies as the convolution does, channels last", () => {
    const [H, W] = found.inputs, x = Array.from({ length: H * W * 2 }, (_, it) => Math.sin(it)), y = Array(H * W * 2).fill(0);
    for (const it of found.entries) { const [row, column] = position(found, it, 0); y[row] += it.value * x[column]; }
    for (let h = 0; h < H; h++) for (let w = 0; w < W; w++) for (let o = 0; o < 2; o++) {
      let sum = 0;
      for (let a = -1; a <= 1; a++) for (let b = -1; b <= 1; b++) for (let i = 0; i < 2; i++) {
        if (h + a >= 0 && h + a < H && w + b >= 0 && w + b < W) sum += kernel(a + 1, b + 1, i, o) * x[((h + a) * W + w + b) * 2 + i];
      }
      expect(y[(h * W + w) * 2 + o]).toBeCloseTo(sum, 10);
    }
  });
  it("is P A Pᵀ channels first", () => {
    const [H, W] = found.inputs, P = (at: number) => (at % 2) * H * W + Math.floor(at / 2);
    for (const it of found.entries) expect(position(found, it, 1)).toEqual(position(found, it, 0).map(P));
  });
});

describe("other matrices", () => {
  const axis = (at: number): Reading => ({ axis: at, kind: "window", k: 2, s: 2, d: 1, before: 0, after: 1 });
  const reads: Reading[] = [{ axis: 0, kind: "point" }, axis(1), axis(2), { axis: 3, kind: "point" }];
  const ofKind = (kind: string, layer?: Layer) => {
    const net = made([tensor("x", [5, 5, 2], null), tensor("y", [3, 3, 2])], [op("y", ["x"], reads, kind)]);
    network.value = net;
    return matrix(net.document.ops[0], layer);
  };
  it("averages what is really read: rows sum to one", () => {
    const found = ofKind("AveragePooling2D")!, rows = new Map<number, number>();
    for (const it of found.entries) { const [row] = position(found, it, 0); rows.set(row, (rows.get(row) ?? 0) + it.value); }
    expect(found.inputs).toEqual([5, 5]);
    expect(rows.size).toBe(18);
    for (const sum of rows.values()) expect(sum).toBeCloseTo(1, 12);
  });
  it("keeps channels apart where the layer does", () => {
    const layer = { id: "y", options: {}, weights: [{ keras: "k", keras_side: { axes: ["h", "w", "i", "m"], sizes: [2, 2, 2, 2] }, sample: { shape: [2, 2, 2, 2], values: Array.from({ length: 16 }, (_, it) => it) }, largest: 15 }] } as unknown as Layer;
    const found = ofKind("DepthwiseConv2D", layer)!;
    expect(found.channels).toEqual([4, 2]);
    for (const it of found.entries) expect([Math.floor(it.channel / 2), it.value]).toEqual([it.of, (it.tap[0] * 2 + it.tap[1]) * 4 + it.of * 2 + (it.channel % 2)]);
  });
  const kernel = (axes: string[], sizes: number[], options = {}) => ({
    id: "y", options, weights: [{ keras: "k", keras_side: { axes, sizes }, sample: { shape: sizes, values: Array.from({ length: sizes.reduce((a, b) => a * b) }, (_, it) => it + 1) }, largest: 99 }],
  }) as unknown as Layer;
  const dense = (sizes: number[]) => {
    const reads: Reading[] = [{ axis: 0, kind: "point" }, ...sizes.slice(1).map((_, at): Reading => ({ axis: at + 1, kind: "point" })), { axis: null, kind: "whole" }];
    network.value = made([tensor("x", [...sizes.slice(1), 3], null), tensor("y", [...sizes.slice(1), 4])], [op("y", ["x"], reads, "Dense")]);
    return matrix(network.value.document.ops[0], kernel(["i", "o"], [3, 4]))!;
  };
  it("turns the kernel of a Dense layer", () => {
    const found = dense([0]), rows = new Map(found.entries.map((it) => [position(found, it, 0).join(), it.value]));
    expect([found.axes, found.channels, found.entries.length]).toEqual([[], [4, 3], 12]);
    for (let o = 0; o < 4; o++) for (let i = 0; i < 3; i++) expect(rows.get(`${o},${i}`)).toBe(i * 4 + o + 1);
  });
  it("repeats a Dense layer over steps: I ⊗ C, and C ⊗ I channels first", () => {
    const found = dense([0, 7]);
    expect([found.axes, found.inputs, found.outputs]).toEqual([["t"], [3], [3]]);
    for (const it of found.entries) {
      expect(it.out).toBe(it.from);
      expect(position(found, it, 0)).toEqual([it.out * found.channels[0] + it.channel, it.from * found.channels[1] + it.of]);
      expect(position(found, it, 1)).toEqual([it.channel * 3 + it.out, it.of * 3 + it.from]);
      expect(it.value).toBe(it.of * 4 + it.channel + 1);
    }
  });
  it("sorts the columns of a Dense layer behind a Flatten", () => {
    const layer = { id: "y", options: {}, weights: [{ keras: "k", keras_side: { axes: ["(h w c)", "o"], sizes: [75, 4] }, sample: { shape: [4, 4, 3, 4], values: Array.from({ length: 192 }, (_, it) => it) }, largest: 192 }] } as unknown as Layer;
    network.value = made([tensor("x", [75], null), tensor("y", [4])], [op("y", ["x"], [{ axis: 0, kind: "point" }, { axis: null, kind: "whole" }], "Dense")]);
    const found = matrix(network.value.document.ops[0], layer)!;
    expect([found.inputs, found.outputs, found.channels, found.entries.length]).toEqual([[2, 2], [], [4, 2], 32]);
    for (const it of found.entries) {
      expect(it.value).toBe(((Math.floor(it.from / 2) * 4 + (it.from % 2)) * 3 + it.of) * 4 + it.channel);
      expect(position(found, it, 0)).toEqual([it.channel, it.from * 2 + it.of]);
      expect(position(found, it, 1)).toEqual([it.channel, it.of * 4 + it.from]);
    }
  });
  it("draws one group of several", () => {
    const found = ofKind("Conv2D", kernel(["h", "w", "i", "o"], [2, 2, 1, 4], { groups: 2 }))!;
    expect([found.groups, found.channels]).toEqual([2, [2, 1]]);
    for (const it of found.entries) expect(it.value).toBe((it.tap[0] * 2 + it.tap[1]) * 4 + it.channel + 1);
  });
  it("draws three axes of space", () => {
    const over = (at: number): Reading => ({ axis: at, kind: "window", k: 3, s: 1, d: 1, before: 1, after: 1 });
    const deep = (id: string, from: string | null): Tensor => ({ ...tensor(id, [6, 6, 2], from), keras: { axes: ["n", "d", "h", "w", "c"], sizes: [null, 6, 6, 6, 2] } });
    network.value = made([deep("x", null), deep("y", "y")], [op("y", ["x"], [{ axis: 0, kind: "point" }, over(1), over(2), over(3), { axis: null, kind: "whole" }], "Conv3D")]);
    const found = matrix(network.value.document.ops[0], kernel(["d", "h", "w", "i", "o"], [3, 3, 3, 2, 2]))!;
    expect([found.axes, found.inputs]).toEqual([["d", "h", "w"], [3, 3, 3]]);
    expect(found.entries.length).toBe(7 ** 3 * 4);
    for (const it of found.entries) expect(it.value).toBe((((it.tap[0] * 3 + it.tap[1]) * 3 + it.tap[2]) * 2 + it.of) * 2 + it.channel + 1);
  });
  it("is none for what is none", () => { expect(ofKind("MaxPooling2D")).toBeNull(); });
});

describe("code", () => {
  it("keeps every character, and knows what is what", () => {
    const text = 'class A:\n    """é <b>\n    two"""\n    x = F.relu(self.a(1e-3))  # end\n';
    const lines = tokens(text);
    expect(lines.map((it) => it.map((token) => token.text).join("")).join("\n")).toBe(text);
    expect(lines[3].filter((it) => it.kind).map((it) => [it.kind, it.text])).toEqual([["self", "self"], ["number", "1e-3"], ["comment", "# end"]]);
  });
  it("counts columns in bytes", () => {
    expect(covered({ line: 1, column: 6, end_line: 1, end_column: 7 }, 1, '"é" + x')).toEqual([5, 6]);
  });
});
