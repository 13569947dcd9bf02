/** The page: the network, the card of what is chosen, and model.py beside it. */

import { Fragment, render } from "preact";
import { Axis } from "./axes";
import { Card } from "./card";
import { Code } from "./code";
import { read } from "./document";
import { Picture } from "./picture";
import { Search } from "./search";
import { asTable, chosen, network, picture, start, theme } from "./state";
import { described, places } from "./layout";
import { Table } from "./table";
import "./style.css";

const large = (it: number) => {
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"]] as const) if (it >= size) return `${(it / size).toPrecision(3)} ${letter}`;
  return it.toLocaleString("en");
};

function Head() {
  const { document: it } = network.value, file = it.source.split(/[\\/]/).at(-1);
  const dark = theme.value ? theme.value === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  const shape = described(picture.value, places(picture.value, network.value.inputs));
  const facts = [
    file ? `from ${file}` : `from ${it.name}`, `Keras ${it.keras}`, `${it.totals.layers} layers${shape ? `, ${shape}` : ""}`,
    `${it.totals.parameters.toLocaleString("en")} parameters`, ...(it.totals.multiplies ? [`${large(it.totals.multiplies)} multiply-adds`] : []),
    it.permutes.length ? `${it.permutes.length} ${it.permutes.length === 1 ? "permute" : "permutes"} left` : "no permute left",
  ];
  return (
    <header class="top">
      <div>
        <h1>{it.class}</h1>
        <p class="facts-line">{facts.map((text, at) => <Fragment key={text}>{at > 0 && <span aria-hidden="true"> · </span>}<span>{text}</span></Fragment>)}</p>
      </div>
      <div class="tools">
        <Search />
        <button type="button" onClick={() => { asTable.value = !asTable.value; }} aria-pressed={asTable.value}>Table</button>
        <button type="button" onClick={() => { theme.value = dark ? "light" : "dark"; }} aria-label={dark ? "Light colours" : "Dark colours"}>◐</button>
      </div>
    </header>
  );
}

/** Axes that are drawn as sides of a box. */
const WORDS: Record<string, string> = { d: "planes", h: "rows", w: "columns", t: "steps" };

function Page() {
  const sizes = Object.entries(network.value.document.size);
  const axes = new Set(network.value.document.tensors.flatMap((it) => it.keras.axes)), named = Object.entries(WORDS).filter(([axis]) => axes.has(axis));
  return (
    <>
      <Head />
      <main>
        <section class="map" aria-label="The network">
          {asTable.value ? <Table /> : <Picture />}
          {!asTable.value && <p class="legend">
            Boxes to scale: sides as √ of {named.map(([axis, word], at) => <>{at > 0 && ", "}<Axis name={axis} /> {word}</>)}{named.length > 0 && "; depth as √ of "}<Axis name="c" /> channels.
            {sizes.length > 0 && <> The model leaves sizes open; drawn for {sizes.map(([axis, size], at) => <>{at > 0 && ", "}<Axis name={axis} /> = {size}</>)}.</>}
          </p>}
        </section>
        <p class="heard" role="status">{`Card of ${chosen.value}`}</p>
        <div class="columns">
          <Card />
          <aside class="source" aria-label="Source"><h2>model.py</h2><Code /></aside>
        </div>
      </main>
    </>
  );
}

async function main(): Promise<void> {
  const text = document.getElementById("network")!.textContent!;
  start(await read(text));
  document.title = `${network.value.document.class}: geometry`;
  render(<Page />, document.getElementById("app")!);
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

void main();
