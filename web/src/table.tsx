/** The network as a table: a line a tensor, under its block. */

import { Axis, colour } from "./axes";
import type { Tensor } from "./document";
import { choose, chosen, network } from "./state";

export function Table() {
  const net = network.value;
  let block = "";
  return (
    <div class="table" role="region" aria-label="Table of tensors" tabindex={0}>
      <table>
        <thead><tr><th scope="col">layer</th><th scope="col">kind</th><th scope="col">Keras</th><th scope="col">PyTorch</th><th scope="col">sees</th><th scope="col" class="number">parameters</th><th scope="col" class="number">MACs</th></tr></thead>
        <tbody>
          {net.document.tensors.map((it) => {
            const around = net.around(it.id), own = net.op(it.id), layer = net.layer(it.id);
            const head = around.map((at) => at.path).join() !== block && around.length > 0 ? around.at(-1)! : null;
            block = around.map((at) => at.path).join();
            return (
              <>
                {head && <tr class="head"><th scope="colgroup" colSpan={7}>{head.path} <small>{head.class}</small></th></tr>}
                <tr class={it.id === chosen.value ? "on" : ""}>
                  <td style={{ paddingLeft: `${around.length * 14 + 4}px` }}><button type="button" class="link" onClick={() => choose(it.id)}>{own?.layer ?? it.id}</button></td>
                  <td>{own?.kind ?? "input"}</td><td><Shape of={it} side="keras" /></td><td><Shape of={it} side="torch" /></td>
                  <td>{it.sees.filter((at) => at.name !== "c").map((at) => (at.fewest === at.most ? at.most : `${at.fewest}–${at.most}`)).join("×")}</td>
                  <td class="number">{own && layer && own.outputs[0] === it.id && layer.parameters ? layer.parameters.toLocaleString("en") : ""}</td>
                  <td class="number">{own?.multiplies ? own.multiplies.toLocaleString("en") : ""}</td>
                </tr>
              </>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Shape({ of: it, side }: { of: Tensor; side: "keras" | "torch" }) {
  return <span class="mono">{it[side].axes.map((axis, at) => <>{at > 0 && " "}{at === 0 ? <Axis name={axis} /> : <span class={colour(axis)} title={axis}>{it[side].sizes[at]}</span>}</>)}</span>;
}
