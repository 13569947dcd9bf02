/** Where the boxes of the picture stand: its own layout, one pass over the nodes.
 *
 * A row is a resolution: how often space was halved. A column is how far along the network is: one further than
 * what it reads where the row is the same; a change of level keeps the column, which makes a U of a U-Net. Where
 * rows never rise again, a change of level moves on too: a staircase. Parallel branches stand in lanes of a row.
 */

import { channels, space, type Node, type Picture } from "./network";

export interface Box { x: number; y: number; w: number; h: number; dx: number; dy: number; labelWidth: number }
export interface Place { row: number; column: number; lane: number }
export interface Edge { from: string; to: string; path: string; skip: boolean }
export interface Level { label: number[]; axes: string[]; x: number; y: number; along: number }
export interface Layout {
  width: number; height: number; boxes: Map<string, Box>; places: Map<string, Place>; edges: Edge[]; levels: Level[];
  turned: boolean; shape: string; small: boolean;
}

const mean = (sizes: number[]) => Math.exp(sizes.reduce((sum, it) => sum + Math.log(it || 1), 0) / sizes.length);

/** The rows of nodes: how often space was halved since the largest input of as many axes. */
export function rows({ nodes, by }: Picture, inputs: Set<string>): Map<string, number> {
  const base = new Map<number, number>();
  for (const { shown } of nodes) {
    const sizes = space(shown);
    if (sizes.length && inputs.has(shown.id)) base.set(sizes.length, Math.max(base.get(sizes.length) ?? 0, mean(sizes)));
  }
  const found = new Map<string, number>();
  for (const node of nodes) {
    const sizes = space(node.shown), from = node.feeds.filter((it) => found.has(it) && by.has(it));
    const known = base.get(sizes.length);
    if (sizes.length && known) found.set(node.id, Math.round(Math.log2(known / mean(sizes))));
    else found.set(node.id, from.length ? Math.max(...from.map((it) => found.get(it)!)) : 0);
  }
  const least = Math.min(0, ...found.values());
  for (const [id, row] of found) found.set(id, row - least);
  return found;
}

/** Whether what the network ends in is larger than its smallest: an encoder with a decoder. */
function ends({ nodes }: Picture, row: Map<string, number>): boolean {
  const deepest = Math.max(0, ...row.values()), read = new Set(nodes.flatMap((it) => it.feeds));
  return nodes.some((it) => !read.has(it.id) && it.feeds.length > 0 && row.get(it.id)! < deepest);
}

/** Row, column and lane of each node. */
export function places(picture: Picture, inputs: Set<string>): Map<string, Place> {
  const row = rows(picture, inputs);
  const rises = ends(picture, row);
  const found = new Map<string, Place>(), taken = new Map<string, string>(), depth = new Map<string, number>();
  for (const node of picture.nodes) {
    const mine = row.get(node.id)!, from = node.feeds.filter((it) => found.has(it));
    const far = Math.max(0, ...from.map((it) => depth.get(it)! + 1));
    let column = Math.max(0, ...from.map((it) => {
      const at = found.get(it)!;
      return at.column + (at.row === mine || !rises ? 1 : 0);
    }));
    let lane = 0;
    const key = () => `${mine},${column},${lane}`;
    while (taken.has(key())) {
      if (depth.get(taken.get(key())!)! < far) { column++; lane = 0; } else lane++;
    }
    taken.set(key(), node.id);
    depth.set(node.id, far);
    found.set(node.id, { row: mine, column, lane });
  }
  return found;
}

/** What a picture shows at a glance: said in its heading. */
export function described(picture: Picture, at: Map<string, Place>): string {
  const levels = new Set([...at.values()].map((it) => it.row)).size;
  const rows = new Map([...at].map(([id, it]) => [id, it.row])), rises = ends(picture, rows), falls = Math.max(...rows.values()) > 0;
  let skips = 0;
  for (const node of picture.nodes) for (const from of node.feeds) {
    const a = at.get(from), b = at.get(node.id)!;
    if (a && a.row === b.row && b.column - a.column > 1) skips++;
  }
  if (rises && skips >= 2) return `a U of ${levels} levels`;
  if (falls && !rises && levels > 2) return `a staircase of ${levels} levels`;
  return "";
}

/** Front of a node at scale 1, and how deep it goes. */
function form(node: Node, largest: number): { w: number; h: number; d: number } {
  const sizes = space(node.shown), deep = channels(node.shown);
  const side = (it: number) => Math.sqrt(it / largest);
  if (sizes.length >= 2) {
    const [h, w] = sizes.slice(-2), more = sizes.length > 2 ? Math.sqrt(sizes[0] / largest) * 0.35 : 0;
    return { h: side(h), w: side(w), d: 0.022 * Math.sqrt(deep) + more };
  }
  if (sizes.length === 1) return { h: side(sizes[0]) * 0.8, w: Math.min(0.9, 0.045 * Math.sqrt(deep)), d: 0.02 };
  return { h: Math.min(0.62, 0.05 * Math.sqrt(deep)), w: 0.07, d: 0.025 };
}

/** Of a character of a label, of a label below a box, of the sizes at the left, and of a picture at most. */
const CHARACTER = 6.9, LABEL = 29, LEFT = 62, TALL = 560;

/** The layout in `room` pixels; turned, rows become columns and it is read downwards. */
export function layout(picture: Picture, inputs: Set<string>, room: number, turned: boolean): Layout {
  const at = places(picture, inputs), nodes = picture.nodes;
  const rowsUsed = [...new Set([...at.values()].map((it) => it.row))].sort((a, b) => a - b);
  const rowAt = new Map(rowsUsed.map((it, index) => [it, index]));
  const lanes = rowsUsed.map((row) => 1 + Math.max(...nodes.filter((it) => at.get(it.id)!.row === row).map((it) => at.get(it.id)!.lane)));
  const laneStart = lanes.map((_, index) => lanes.slice(0, index).reduce((a, b) => a + b, 0));
  const across = (it: Place) => laneStart[rowAt.get(it.row)!] + it.lane;
  const largest = Math.max(1, ...nodes.flatMap((it) => space(it.shown)));
  const forms = new Map(nodes.map((it) => [it.id, form(it, largest)]));
  const U = (it: Place) => (turned ? across(it) : it.column), V = (it: Place) => (turned ? it.column : across(it));
  const us = 1 + Math.max(...nodes.map((it) => U(at.get(it.id)!))), vs = 1 + Math.max(...nodes.map((it) => V(at.get(it.id)!)));

  const dense = us > 26 && !turned;

  const measure = (scale: number) => {
    const left = Array(us).fill(0), right = Array(us).fill(0);
    for (const node of nodes) {
      const u = U(at.get(node.id)!), { w, d } = forms.get(node.id)!;
      const half = Math.max(2.5, w * scale / 2);
      left[u] = Math.max(left[u], half);
      right[u] = Math.max(right[u], half + Math.max(2, d * scale * 0.7));
    }
    const gap = dense ? 9 : us > 14 ? 18 : turned ? 16 : 30;
    return { left, right, gap, width: (turned ? 34 : LEFT) + left.reduce((a, b) => a + b) + right.reduce((a, b) => a + b) + gap * us };
  };
  const stacked = (scale: number) => {
    const found = Array(vs).fill(0);
    for (const node of nodes) {
      const { h, d } = forms.get(node.id)!, v = V(at.get(node.id)!);
      found[v] = Math.max(found[v], Math.max(4, h * scale) + Math.max(2, d * scale * 0.4));
    }
    return found.reduce((a, b) => a + b, 0) + vs * (dense ? 18 : 49);
  };
  const fits = (scale: number) => measure(scale).width <= room && (turned || stacked(scale) <= Math.max(TALL, vs * 36));
  let low = 4, high = turned ? 96 : 118;
  if (!fits(high)) for (let it = 0; it < 14; it++) {
    const middle = (low + high) / 2;
    if (fits(middle)) low = middle; else high = middle;
  } else low = high;
  const scale = low, { left, right, gap, width } = measure(scale);
  const spare = us > 1 ? Math.min(turned ? 60 : 90, Math.max(0, (room - width) / us)) : 0;

  const centre: number[] = [];
  let x = (turned ? 34 : LEFT) + (turned ? 0 : gap / 2);
  for (let u = 0; u < us; u++) { x += left[u]; centre.push(x); x += right[u] + gap + spare; }
  const total = Math.min(Math.max(x - gap / 2, 200), Math.max(room, x));
  // a label has room up to the next box beside it, not up to the next column: in a staircase nothing stands there
  const beside = new Map<number, number[]>();
  for (const it of at.values()) beside.set(V(it), [...(beside.get(V(it)) ?? []), U(it)]);
  const pitch = (place: Place) => {
    const u = U(place), all = beside.get(V(place))!, next = Math.min(us, ...all.filter((it) => it > u));
    if (next < us) return centre[next] - left[next] - (centre[u] - left[u]) - 6;
    const before = Math.max(-1, ...all.filter((it) => it < u)); // the last may reach back to the left
    return total - (before < 0 ? 0 : centre[before] + right[before]) - 12;
  };

  const tall = Array(vs).fill(0);
  for (const node of nodes) {
    const { h, d } = forms.get(node.id)!, v = V(at.get(node.id)!);
    tall[v] = Math.max(tall[v], Math.max(4, h * scale) + Math.max(2, d * scale * 0.4));
  }
  const hasLabels = !dense;
  const under = hasLabels ? LABEL : 6, between = turned ? 16 : dense ? 12 : 20, base: number[] = [];
  let y = turned ? 22 : 26;
  for (let v = 0; v < vs; v++) { y += tall[v]; base.push(y); y += under + between; }
  const height = y - (turned ? 16 : 14);

  const boxes = new Map<string, Box>();
  for (const node of nodes) {
    const place = at.get(node.id)!, { w, h, d } = forms.get(node.id)!, u = U(place);
    const wide = Math.max(5, w * scale), high = Math.max(4, h * scale), deep = Math.max(3, d * scale);
    boxes.set(node.id, {
      x: centre[u] - wide / 2, y: base[V(place)] - high, w: wide, h: high, dx: deep * 0.7, dy: deep * 0.4,
      labelWidth: Math.min(pitch(place), 190),
    });
  }
  const levels = rowsUsed.flatMap((row, index): Level[] => {
    const node = nodes.find((it) => at.get(it.id)!.row === row && space(it.shown).length);
    if (!node) return [];
    const axes = node.shown.keras.axes.filter((_, it) => it > 0 && space(node.shown).length && node.shown.keras.axes[it] !== "c");
    return [{ label: space(node.shown), axes, x: turned ? centre[laneStart[index]] : 4, y: turned ? 12 : base[laneStart[index]], along: 0 }];
  });
  if (turned) for (let it = 1, last = 0; it < levels.length; it++) {
    const wide = (levels[it].label.join("×").length + levels[last].label.join("×").length) / 2 * CHARACTER + 4;
    if (levels[it].x - levels[last].x < wide) levels[it] = { ...levels[it], label: [] };
    else last = it;
  }
  const edges: Edge[] = [];
  for (const node of nodes) for (const from of node.feeds) {
    const a = at.get(from), b = at.get(node.id)!;
    if (!a) continue;
    const skip = a.row === b.row && b.column - a.column > 1;
    edges.push({ from, to: node.id, skip, path: route(boxes.get(from)!, boxes.get(node.id)!, a, b, turned, under, skip) });
  }
  return { width: total, height, boxes, places: at, edges, levels, turned, shape: described(picture, at), small: !hasLabels };
}

const n = (it: number) => it.toFixed(1);

/** The way of an arrow: along a row, over what is between, down to a smaller level or up to a larger one. */
function route(p: Box, q: Box, a: Place, b: Place, turned: boolean, under: number, skip: boolean): string {
  const pr = p.x + p.w + p.dx, tip = 4, px = p.x + p.w / 2, qx = q.x + q.w / 2, qt = q.y - q.dy - tip;
  const pb = p.y + p.h + under - 3;
  if (!turned) {
    if (a.row === b.row && a.lane === b.lane) {
      const y = skip ? Math.max(p.y, q.y) + Math.min(p.h, q.h) * 0.22 : Math.max(p.y + p.h, q.y + q.h) - Math.min(p.h, q.h) / 2;
      if (!skip || b.column - a.column < 3 || q.x - pr > 260) return `M${n(pr)},${n(y)} H${n(q.x - tip)}`;
      const over = Math.min(p.y - p.dy, q.y - q.dy) - 13;
      return `M${n(px + p.dx)},${n(p.y - p.dy - 2)} C${n(px + p.dx + 4)},${n(over)} ${n(px + p.dx + 10)},${n(over)} ${n(px + p.dx + 22)},${n(over)} H${n(qx - 14)} Q${n(qx + 2)},${n(over)} ${n(qx + 4)},${n(qt)}`;
    }
    if (a.row === b.row) {
      const y = p.y + p.h / 2, z = q.y + q.h / 2, half = (pr + q.x) / 2;
      return `M${n(pr)},${n(y)} C${n(half)},${n(y)} ${n(half)},${n(z)} ${n(q.x - tip)},${n(z)}`;
    }
    if (b.row > a.row) {
      if (b.column === a.column) return `M${n(px)},${n(pb)} C${n(px)},${n(pb + 8)} ${n(qx)},${n(qt - 10)} ${n(qx)},${n(qt)}`;
      const y = p.y + p.h / 2, r = Math.min(10, Math.abs(qx - pr) / 2);
      return `M${n(pr)},${n(y)} H${n(qx - r)} Q${n(qx)},${n(y)} ${n(qx)},${n(y + r)} V${n(qt)}`;
    }
    if (b.column > a.column) {
      const y = p.y + p.h / 2, r = Math.min(10, Math.abs(qx - pr) / 2);
      return `M${n(pr)},${n(y)} H${n(qx - r)} Q${n(qx)},${n(y)} ${n(qx)},${n(y - r)} V${n(q.y + q.h + under + 2)}`;
    }
    const top = p.y - p.dy - 2, bottom = q.y + q.h + under + 2;
    return `M${n(px)},${n(top)} C${n(px)},${n(top - 12)} ${n(qx)},${n(bottom + 14)} ${n(qx)},${n(bottom)}`;
  }
  if (a.row === b.row && a.lane === b.lane) {
    if (!skip) return `M${n(px)},${n(pb)} L${n(qx)},${n(qt)}`;
    const x = Math.min(p.x, q.x) - 11;
    return `M${n(p.x - 2)},${n(p.y + p.h * 0.7)} C${n(x)},${n(p.y + p.h * 0.7)} ${n(x)},${n(p.y + p.h + 8)} ${n(x)},${n(p.y + p.h + 24)} V${n(q.y - 18)} Q${n(x)},${n(q.y + q.h * 0.3)} ${n(q.x - tip)},${n(q.y + q.h * 0.3)}`;
  }
  if (b.column === a.column) {
    const y = Math.max(p.y + p.h, q.y + q.h) - Math.min(p.h, q.h) / 2;
    return q.x > p.x ? `M${n(pr)},${n(y)} H${n(q.x - tip)}` : `M${n(p.x - 2)},${n(y)} H${n(q.x + q.w + q.dx + tip)}`;
  }
  return `M${n(px)},${n(pb)} C${n(px)},${n(pb + 14)} ${n(qx)},${n(qt - 16)} ${n(qx)},${n(qt)}`;
}

/** Where a label begins that would not end in the picture: further to the left. */
export const begins = (x: number, label: string, width: number) => Math.max(2, Math.min(x, width - label.length * CHARACTER));

/** A label in so many pixels, shortened in the middle; empty where nothing could be read. */
export function fitted(text: string, width: number): string {
  const most = Math.floor(width / CHARACTER);
  if (text.length <= most) return text;
  if (most < 5) return "";
  const head = Math.ceil((most - 1) * 0.6);
  return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
}
