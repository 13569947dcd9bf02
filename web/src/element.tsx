/** Where an element went: sliders for its indices, strips of memory around it, and what it sees of the input. */

import { Axis, colour } from "./axes";
import type { Tensor } from "./document";
import { field, type Interval } from "./field";
import { held, indices, place, type Held } from "./memory";
import { space } from "./network";
import { element, move, network } from "./state";

const REACH = 4;

export function Element({ tensor }: { tensor: Tensor }) {
  const { axes, sizes, ways } = held(tensor), at = element(tensor.id, sizes);
  const places = ways.map((it) => place(it, axes, at));
  return (
    <>
      <div class="sliders">
        {axes.map((axis, number) => (
          <label class={`slider ${colour(axis)}`} key={axis}>
            <b class="ax">{axis}</b>
            <input type="range" min="0" max={Math.max(0, sizes[number] - 1)} value={at[number]} disabled={sizes[number] < 2}
              aria-label={`index ${axis}`} onInput={(it) => move(tensor.id, at.map((old, other) => (other === number ? Number(it.currentTarget.value) : old)))} />
            <output>{at[number]}<small> of {sizes[number]}</small></output>
          </label>
        ))}
      </div>
      {ways.map((way, number) => <Strip key={way.title} way={way} axes={axes} at={at} place={places[number]} />)}
      <p class="note">{places[0] === places[1]
        ? ways[0].axes.join() === ways[1].axes.join() ? "The order of axes is the same on both sides: no element moves." : "This element happens to stand at the same place on both sides; its neighbours do not."
        : "The same number, at another place in memory. An address is the sum of index times stride."}</p>
    </>
  );
}

function Strip({ way, axes, at, place: middle }: { way: Held; axes: string[]; at: number[]; place: number }) {
  const total = way.sizes.reduce((a, b) => a * b, 1), cells = [];
  for (let step = -REACH; step <= REACH; step++) {
    const here = middle + step;
    if (here < 0 || here >= total) { cells.push(<span class="cell none" aria-hidden="true" />); continue; }
    const other = indices(way, axes, here), changed = axes.filter((_, it) => other[it] !== at[it]);
    cells.push(
      <span class={`cell${step ? "" : " here"} ${changed.length === 1 ? colour(changed[0]) : ""}`}>
        <i>{axes.map((axis, it) => <>{it > 0 && " "}<span class={changed.includes(axis) ? colour(axis) : ""}>{other[it]}</span></>)}</i>
        <small>{here}</small>
      </span>,
    );
  }
  const nearest = way.axes[way.strides.lastIndexOf(1)] ?? way.axes.at(-1)!;
  return (
    <figure class="strip">
      <figcaption>
        <span class="way">{way.title}</span>
        <span class="sum mono">
          {way.axes.map((axis, it) => <>{it > 0 && " + "}<span class={colour(axis)}>{at[axes.indexOf(axis)]}</span>·{way.strides[it]}</>)} = <b data-place={way.title}>{middle}</b>
        </span>
      </figcaption>
      <div class="cells" aria-label={`Memory around ${middle}; a cell shows ${axes.join(" ")}`} role="img">{cells}</div>
      <p class="beside">beside it: {beside(nearest, axes)}</p>
    </figure>
  );
}

/** What differs between neighbours in memory, in words. */
function beside(axis: string, axes: string[]): preact.ComponentChildren {
  const words: Record<string, string> = {
    c: axes.includes("w") ? "the other channels of the same pixel" : axes.length > 1 ? "the other channels of the same step" : "the next number",
    w: "the next pixel of the same row and channel", h: "the next row", t: "the next step of the same channel",
  };
  return <>{words[axis] ?? `the next along ${axis}`} (<Axis name={axis} />)</>;
}

/** The part of the input that the chosen element depends on. */
export function Field({ tensor }: { tensor: Tensor }) {
  const net = network.value, sizes = tensor.keras.sizes.slice(1).map((it) => it ?? 1), own = held(tensor);
  const flat = own.axes.length !== sizes.length, at = element(tensor.id, own.sizes);
  const index = flat ? [place(own.ways[0], own.axes, at)] : at;
  const seen = [...field(net, tensor.id, index.map((it): Interval => [it, it]))];
  const useful = seen.filter(([name]) => space(net.tensors.get(name)!).length > 0);
  if (!useful.length || net.inputs.has(tensor.id)) return null;
  return <>{useful.map(([name, spans]) => <Window key={name} input={net.tensors.get(name)!} spans={spans} />)}</>;
}

function Window({ input, spans }: { input: Tensor; spans: Interval[] }) {
  const axes = input.keras.axes.slice(1), sizes = input.keras.sizes.slice(1).map((it) => it ?? 1);
  const flat = axes.map((it, at) => [it, at] as const).filter(([it], at) => it !== "c" || axes.length === 1 || (at === 0 && axes.length === 1));
  const [y, x] = flat.length > 1 ? flat.slice(-2).map(([, at]) => at) : [null, flat[0][1]];
  const long = Math.max(sizes[x], y === null ? 1 : sizes[y]), scale = 200 / long;
  const w = sizes[x] * scale, h = y === null ? 18 : Math.max(4, sizes[y] * scale);
  const box = (at: number | null): [number, number] => (at === null ? [0, 18] : [spans[at][0] * scale, Math.max(2, (spans[at][1] - spans[at][0] + 1) * scale)]);
  const [bx, bw] = box(x), [by, bh] = box(y), picture = network.value.document.features?.input;
  return (
    <figure class="window">
      <svg viewBox={`-1 -1 ${w + 2} ${h + 2}`} width={w + 2} height={h + 2} role="img" aria-label={`The part of ${input.id} that it sees`}>
        <rect class="whole" width={w} height={h} />
        {picture && y !== null && <image href={picture} width={w} height={h} preserveAspectRatio="none" />}
        <rect class="seen" x={bx} y={by} width={Math.min(bw, w - bx)} height={Math.min(bh, h - by)} />
      </svg>
      <figcaption>
        {flat.map(([axis, at]) => (
          <div><Axis name={axis} /> <span class="mono">{spans[at][1] < spans[at][0] ? "nothing but padding" : `${spans[at][0]} … ${spans[at][1]}`}</span> <span class="quiet">{Math.max(0, spans[at][1] - spans[at][0] + 1)} of {sizes[at]}</span></div>
        ))}
        <div class="quiet">of {input.id}</div>
      </figcaption>
    </figure>
  );
}
