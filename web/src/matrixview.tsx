/** The matrix of a layer: sorted from channels last to channels first, and its transpose. */

import { useMemo, useState } from "preact/hooks";
import { Axis } from "./axes";
import type { Op } from "./document";
import { matrix, position, type Matrix } from "./matrix";
import { shownNumber } from "./kernel";
import { network } from "./state";

export const matrixOf = (op: Op | undefined) => (op ? matrix(op, network.value.layers.get(op.layer)) : null);

const product = (sizes: number[]) => sizes.reduce((a, b) => a * b, 1);

export function MatrixView({ op }: { op: Op }) {
  const it = useMemo(() => matrixOf(op)!, [op]), [way, setWay] = useState(0), [at, setAt] = useState<[number, number] | null>(null);
  const rows = product(it.outputs) * it.channels[0], columns = product(it.inputs) * it.channels[1];
  const q = Math.max(3.5, Math.min(13, 340 / Math.max(rows, columns))), [out, from] = it.kind === "transposed" ? ["Aᵀ", "A"] : ["A", "Aᵀ"];
  const near = it.entries.find((entry) => at && same(position(it, entry, way), at));
  return (
    <>
      {it.axes.length > 0 && <label class="sort">
        <span>channels last</span>
        <input type="range" min="0" max="100" value={way * 100} aria-label="From channels last to channels first" onInput={(event) => setWay(Number(event.currentTarget.value) / 100)} />
        <span>channels first</span>
      </label>}
      <div class="tilings">
        <figure>
          <Grid it={it} way={way} q={q} at={at} pick={setAt} label={`${out}: ${rows} rows, ${columns} columns`} />
          <figcaption>{out}, this layer<span class="quiet"> {rows} × {columns}</span></figcaption>
        </figure>
        <figure>
          <Grid it={it} way={way} q={q * 0.62} at={at} across label={`${from}: ${columns} rows, ${rows} columns`} />
          <figcaption>{from}{it.kind === "transposed" ? ", the convolution it is the transpose of" : ", what carries the gradient back"}</figcaption>
        </figure>
        {it.outputs.length > 0 && <Images it={it} near={near} />}
      </div>
      {it.outputs.length > 0 && <p class="formula"><Formula it={it} way={way} /></p>}
      <p class="note">Drawn for {it.axes.length > 0 && `${it.inputs.join("×")} steps and `}{it.channels[1]} → {it.channels[0]} {it.axes.length ? "channels" : "numbers"}, {op.kind.startsWith("Average") ? "each weight one share of what is really read" : it.axes.length ? "with this layer's own kernel" : "a corner of this layer's kernel, turned: Keras computes x · kernel, torch weight · x"}. A row is what an output reads,
        a column where an input is added.{it.outputs.length > 0 && " Sorting rows and columns is all that “channels first” means: P A Pᵀ."}
        {it.axes.length > 0 && !it.outputs.length && ` Keras flattened ${it.axes.join(" ")} c, PyTorch c ${it.axes.join(" ")}: sorting the columns is all that is done to the kernel, A Pᵀ.`}
        {it.groups > 1 && ` This is one of ${it.groups} groups, which have channels of their own: A has as many such blocks.`}
        {near && <> <span class="mono">{shownNumber(near.value)}</span></>}</p>
    </>
  );
}

const same = (a: [number, number], b: [number, number]) => Math.abs(a[0] - b[0]) < 0.01 && Math.abs(a[1] - b[1]) < 0.01;

function Grid({ it, way, q, at, pick, across, label }: {
  it: Matrix; way: number; q: number; at: [number, number] | null; pick?: (at: [number, number] | null) => void; across?: boolean; label: string;
}) {
  const rows = product(it.outputs) * it.channels[0], columns = product(it.inputs) * it.channels[1];
  const [w, h] = across ? [rows * q, columns * q] : [columns * q, rows * q], settled = way === 0 || way === 1;
  const lines = (count: number, blocks: number) => Array.from({ length: blocks - 1 }, (_, block) => ((block + 1) * count) / blocks);
  const cut = way < 0.5 ? [it.outputs[0] ?? 1, it.inputs[0] ?? 1] : it.channels;
  const over = (event: PointerEvent) => {
    if (!pick || !settled) return;
    const box = (event.currentTarget as Element).getBoundingClientRect();
    pick([Math.floor(((event.clientY - box.top) / box.height) * rows), Math.floor(((event.clientX - box.left) / box.width) * columns)]);
  };
  return (
    <svg class="matrix" viewBox={`0 0 ${w} ${h}`} width={w} height={h} role="img" aria-label={label} onPointerMove={over} onPointerLeave={() => pick?.(null)}>
      <rect class="ground" width={w} height={h} />
      {at && !across && <><rect class="band" y={at[0] * q} width={w} height={q} /><rect class="band" x={at[1] * q} width={q} height={h} /></>}
      {settled && lines(rows, cut[0]).map((line) => (across ? <path class="rule" d={`M${line * q},0 v${h}`} /> : <path class="rule" d={`M0,${line * q} h${w}`} />))}
      {settled && lines(columns, cut[1]).map((line) => (across ? <path class="rule" d={`M0,${line * q} h${w}`} /> : <path class="rule" d={`M${line * q},0 v${h}`} />))}
      {it.entries.map((entry) => {
        const [row, column] = position(it, entry, way), share = Math.round(20 + 80 * Math.min(1, Math.abs(entry.value) / it.largest));
        const [x, y] = across ? [row, column] : [column, row];
        return <rect class={`weight${entry.value < 0 ? " below" : ""}`} style={{ "--share": `${share}%` }} x={x * q} y={y * q} width={q} height={q} />;
      })}
    </svg>
  );
}

/** Input and output as images: what the row under the pointer reads, where its column is added. */
function Images({ it, near }: { it: Matrix; near: Matrix["entries"][number] | undefined }) {
  const draw = (sizes: number[], lit: Set<number>, main: number | null, title: string) => {
    const [d, h, w] = [...Array(3 - sizes.length).fill(1), ...sizes] as [number, number, number], wide = d * (w + 1) - 1;
    return (
      <figure>
        <svg viewBox={`0 0 ${wide * 13 + 1} ${h * 13 + 1}`} width={wide * 13 + 1} height={h * 13 + 1} role="img" aria-label={title}>
          {Array.from({ length: d * h * w }, (_, at) => <rect class={`pixel${lit.has(at) ? " lit" : ""}${at === main ? " main" : ""}`} x={((at % w) + Math.floor(at / (h * w)) * (w + 1)) * 13 + 0.5} y={(Math.floor(at / w) % h) * 13 + 0.5} width="12" height="12" rx="2" />)}
        </svg>
        <figcaption class="quiet">{title}</figcaption>
      </figure>
    );
  };
  const reads = new Set(near ? it.entries.filter((entry) => entry.out === near.out).map((entry) => entry.from) : []);
  const gives = new Set(near ? it.entries.filter((entry) => entry.from === near.from).map((entry) => entry.out) : []);
  return <div class="images">{draw(it.inputs, reads, near?.from ?? null, "input")}{draw(it.outputs, gives, near?.out ?? null, "output")}</div>;
}

/** The sum of Kronecker products, one a tap, in both orders. */
function Formula({ it, way }: { it: Matrix; way: number }) {
  const parts = it.axes.map((axis) => <msub><mi>S</mi><mi class={`ax-${axis}`}>{axis}</mi></msub>);
  const factors = way < 0.5 ? [...parts, <mi class="ax-c">C</mi>] : [<mi class="ax-c">C</mi>, ...parts];
  return (
    <>
      <math display="inline"><mi>A</mi><mo>=</mo><munder><mo>∑</mo><mtext>taps</mtext></munder>{factors.map((factor, at) => <>{at > 0 && <mo>⊗</mo>}{factor}</>)}</math>
      <span class="quiet"> S says what a tap reads along {it.axes.map((axis, at) => <>{at > 0 && " and "}<Axis name={axis} /></>)}, <Axis name="c">C</Axis> holds its weights between channels.</span>
    </>
  );
}
