/** What the network makes of the input that was given: components of the channels as colours, both sides, and the difference. */

import type { Tensor } from "./document";
import { network } from "./state";

export function Seen({ tensor }: { tensor: Tensor }) {
  const all = network.value.document.features, found = all?.tensors[tensor.id];
  if (!all || !found || network.value.inputs.has(tensor.id)) return null;
  const percent = (it: number) => `${(100 * it).toFixed(it < 0.0995 ? 1 : 0)} %`;
  return (
    <section class="part">
      <h3>What the network sees <small>{found.channels > 1 ? `three components of ${found.channels} channels as red, green, blue` : "one channel"}</small></h3>
      <div class="maps">
        <Map src={found.picture} text={all.ran.includes("keras") ? "Keras" : "PyTorch"} about="feature map" />
        {found.torch && <Map src={found.torch} text="PyTorch" about="feature map, the same components" />}
        {found.difference && <Map src={found.difference} text={`difference × 10${power(found.power ?? 0)}`} about="difference of both" />}
      </div>
      <dl class="facts">
        {all.ran.includes("keras") && <><dt>largest difference</dt><dd class="mono">{found.largest === null ? "no number" : found.largest && found.largest.toExponential(1)}</dd></>}
        <dt>values</dt><dd class="mono">{found.range.map((it) => it.toFixed(2)).join(" … ")}</dd>
        {found.share.length > 0 && <><dt>variance shown</dt><dd class="mono">{found.share.map(percent).join(" + ")}</dd></>}
      </dl>
      {found.top.length > 1 && <>
        <div class="maps small">{found.top.map((it) => <Map src={it.picture} text={`${it.channel}`} about={`channel ${it.channel}`} />)}</div>
        <p class="note">The channels that vary most.{all.note && ` ${all.note}`}</p>
      </>}
    </section>
  );
}

function Map({ src, text, about }: { src: string; text: string; about: string }) {
  return <figure><img src={src} alt={`${text}: ${about}`} /><figcaption>{text}</figcaption></figure>;
}

const power = (it: number) => String(it).replace(/./g, (digit) => ({ "-": "⁻" })[digit] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]);
