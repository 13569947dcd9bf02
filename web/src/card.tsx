/** The card of a layer: what it is, what it says, and what can be moved. A section with nothing to say is not there. */

import type { ComponentChildren } from "preact";
import { Axis, Turned } from "./axes";
import type { Section as Told } from "./document";
import { Element, Field } from "./element";
import { Seen } from "./features";
import { Weights } from "./kernel";
import { MatrixView, matrixOf } from "./matrixview";
import { OneAxis, sliding } from "./sliding";
import { choose, chosen, layer, network, op, open, picture, tensor, toggle } from "./state";

function Part({ title, about, children }: { title: ComponentChildren; about?: ComponentChildren; children: ComponentChildren }) {
  return <section class="part"><h3>{title}{about && <small> {about}</small>}</h3>{children}</section>;
}

export function Card() {
  const net = network.value, now = tensor.value, giver = op.value, own = layer.value, node = picture.value.by.get(picture.value.of.get(now.id)!)!;
  const blocks = net.around(now.id), slides = sliding(giver).length > 0;
  const weights = own?.weights.filter((it) => it.keras) ?? [];
  const drawn = giver !== undefined && matrixOf(giver) !== null;
  const said = (title: string) => giver?.card.find((it) => it.title === title)?.lines ?? [];
  const options = Object.entries(own?.options ?? {}).filter(([key, it]) => told(key, it));
  return (
    <article class="card" aria-label={`Card of ${now.id}`} key={now.id}>
      <header>
        {blocks.length > 0 && (
          <nav class="path" aria-label="Blocks">{blocks.map((it) => (
            <button type="button" class="plain" aria-expanded={open.value.has(it.path)} onClick={() => toggle(it.path)}>{it.path.split(".").at(-1)}<small> {it.class}</small> <span aria-hidden="true">{open.value.has(it.path) ? "−" : "+"}</span></button>
          ))}</nav>
        )}
        <h2>{giver?.layer ?? now.id} <small>{giver?.kind ?? "input"}</small></h2>
        {now.code && <p class="call mono">{now.code}{now.span && <span class="quiet">   line {now.span.line}</span>}</p>}
        {node.members.length > 1 && <Members ids={node.members.map((it) => it.id)} />}
      </header>
      <div class="parts">
        <Part title="Shape">
          <Turned keras={now.keras} torch={now.torch} />
          <p class="note">{said("shape").findLast((it) => !/^(Keras|PyTorch) /.test(it)) ?? (now.keras.axes.join() === now.torch.axes.join() ? "the same order on both sides" : "PyTorch holds it channels first")}</p>
          <Words sections={(giver?.card ?? []).filter((it) => !ELSEWHERE.has(it.title) && (it.title !== "matrix" || !drawn) && (!DRAWN.has(it.title) || !slides))} />
        </Part>
        {said("mistake").length > 0 && <section class="part mistake"><h3>The usual mistake</h3><Lines lines={said("mistake")} /></section>}
        {slides && <Part title="One axis, in full"><OneAxis key={giver!.id} op={giver!} /></Part>}
        {now.keras.axes.length > 1 && <Part title="Where did my element go?" about="drag"><Element tensor={now} /></Part>}
        <SeesPart />
        <Seen tensor={now} />
        {weights.length > 0 && <Part title="Weights" about={count(own!.parameters, own!.statistics)}><Weights key={own!.id} weights={weights} /></Part>}
        {drawn && <Part title="The layer is a matrix" about="columns are inputs, rows are outputs"><MatrixView key={giver!.id} op={giver!} />{said("matrix").filter((it) => !it.startsWith("a sum over the taps")).map((it) => <p class="note">{it}</p>)}</Part>}
        {options.length > 0 && <Part title="Options in Keras"><dl class="options">{options.map(([key, it]) => <><dt>{key}</dt><dd class="mono">{String(it)}</dd></>)}</dl></Part>}
      </div>
    </article>
  );
}

/** Options that say something: defaults that everybody has are left out. */
function told(key: string, value: unknown): boolean {
  if (value === null || value === "" || (Array.isArray(value) && !value.length)) return false;
  return !/^(name|dtype|trainable|synchronized|use_bias|data_format|autocast|groups)$/.test(key) || (key === "groups" && value !== 1);
}

function count(parameters: number, statistics: number): string {
  const written = (it: number) => it.toLocaleString("en");
  return statistics ? `${written(parameters)} trained, ${written(statistics)} statistics` : written(parameters);
}

/** Sections that are drawn or moved elsewhere on the card, or have a place of their own. */
const ELSEWHERE = new Set(["layer", "shape", "element", "weights", "mistake"]);

/** What is drawn of a layer that slides. */
const DRAWN = new Set(["stamps", "window"]);

/** What Python says of a layer: the same sentences as in the terminal. */
function Words({ sections }: { sections: Told[] }) {
  const told = sections.filter((it) => it.lines.length);
  return told.length ? <dl class="words">{told.map((it) => <><dt>{it.title}</dt><dd><Lines lines={it.lines} /></dd></>)}</dl> : null;
}

/** Lines of a card: sentences, and between them rows of numbers with what they are of, as a table. */
function Lines({ lines }: { lines: string[] }) {
  const groups: string[][] = [];
  for (const it of lines) isRow(it) && isRow(groups.at(-1)?.[0] ?? "") ? groups.at(-1)!.push(it) : groups.push([it]);
  return <>{groups.map((it) => (isRow(it[0]) ? <Rows rows={it} /> : <Line text={it[0]} />))}</>;
}

/** What is set in columns. */
const isRow = (text: string) => /\S {3,}\S|^ {2,}/.test(text);

function Rows({ rows }: { rows: string[] }) {
  return (
    <div class="scroll" tabindex={0} role="group" aria-label="Numbers side by side">
      <table class="rows mono"><tbody>{rows.map((it) => {
        const [head, ...numbers] = it.trim().split(/ {2,}/);
        return <tr><th scope="row">{head}</th>{numbers.map((at) => <td>{at}</td>)}</tr>;
      })}</tbody></table>
    </div>
  );
}

/** A sentence; the axis that it begins with has its colour. */
function Line({ text }: { text: string }) {
  const [, axis, rest] = /^([a-z]):( .*)$/s.exec(text) ?? [];
  return <p>{axis ? <><Axis name={axis} />{rest}</> : text}</p>;
}

function SeesPart() {
  const now = tensor.value;
  if (network.value.inputs.has(now.id) || !now.sees.some((it) => it.name !== "c")) return null;
  return <Part title="What it sees of the input" about="the element above"><Field tensor={now} /></Part>;
}

/** The tensors that one box of the picture stands for. */
function Members({ ids }: { ids: string[] }) {
  const most = 8, here = ids.indexOf(chosen.value), first = Math.max(0, Math.min(here - 3, ids.length - most));
  return (
    <p class="members" role="group" aria-label="Tensors of this box">
      {first > 0 && <span class="quiet">{first} before</span>}
      {ids.slice(first, first + most).map((id) => {
        const giver = network.value.op(id);
        return <button type="button" class="chip" aria-pressed={id === chosen.value} onClick={() => choose(id)} title={giver?.kind}>{giver?.layer ?? id}</button>;
      })}
      {first + most < ids.length && <span class="quiet">{ids.length - first - most} more</span>}
    </p>
  );
}
