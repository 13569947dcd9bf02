/** The network drawn: boxes to scale, arrows, levels. Arrows walk along edges, Enter opens a block, Escape closes it. */

import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { colour } from "./axes";
import { begins, fitted, layout, type Layout } from "./layout";
import { channels, space, written, type Node } from "./network";
import { choose, chosen, hovered, network, open, picture, toggle } from "./state";

/** The width that an element has, as it changes. */
export function useWidth(): [RefObject<HTMLDivElement | null>, number] {
  const ref = useRef<HTMLDivElement>(null), [width, setWidth] = useState(Math.max(320, window.innerWidth - 48));
  useEffect(() => {
    const watch = new ResizeObserver(([it]) => setWidth(Math.round(it.contentRect.width)));
    watch.observe(ref.current!);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}

export function Picture() {
  const [ref, width] = useWidth();
  const shown = picture.value, turned = width < 660;
  const made = useMemo(() => layout(shown, network.value.inputs, width, turned), [shown, width, turned]);
  const [zoom, setZoom] = useState({ scale: 1, x: 0, y: 0 });
  useEffect(() => setZoom({ scale: 1, x: 0, y: 0 }), [made]);
  const here = shown.of.get(chosen.value)!;
  const features = network.value.document.features;

  const change = (factor: number, cx = made.width / 2, cy = made.height / 2) => setZoom((it) => {
    const scale = Math.min(12, Math.max(1, it.scale * factor)), ratio = scale / it.scale;
    return scale === 1 ? { scale, x: 0, y: 0 } : { scale, x: cx - (cx - it.x) * ratio, y: cy - (cy - it.y) * ratio };
  });
  useEffect(() => {
    const svg = ref.current!.querySelector("svg")!;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = svg.getBoundingClientRect(), k = made.width / box.width;
      change(Math.exp(-event.deltaY * 0.01), (event.clientX - box.left) * k, (event.clientY - box.top) * k);
    };
    svg.addEventListener("wheel", wheel, { passive: false });
    return () => svg.removeEventListener("wheel", wheel);
  }, [made]);
  const drag = (event: PointerEvent) => {
    if (zoom.scale === 1 || event.button !== 0) return;
    const svg = event.currentTarget as SVGSVGElement, k = made.width / svg.getBoundingClientRect().width;
    const from = { x: event.clientX, y: event.clientY }, start = zoom;
    const go = (it: PointerEvent) => setZoom({ ...start, x: start.x + (it.clientX - from.x) * k, y: start.y + (it.clientY - from.y) * k });
    const stop = () => { window.removeEventListener("pointermove", go); window.removeEventListener("pointerup", stop); };
    window.addEventListener("pointermove", go);
    window.addEventListener("pointerup", stop);
  };
  const walk = (event: KeyboardEvent, node: Node) => {
    const next = beside(made, shown.nodes, node, event.key);
    if (next) { event.preventDefault(); focus(ref.current!, next); }
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (node.block && here === node.id && event.key === "Enter") toggle(node.block.path);
      else choose(network.value.telling(node).id);
    } else if (event.key === "Escape") {
      const around = network.value.around(node.shown.id).filter((it) => open.value.has(it.path)).at(-1);
      if (around) { event.preventDefault(); toggle(around.path); }
    }
  };
  const on = hovered.value ?? here, node = shown.by.get(on) ?? shown.by.get(here)!;

  return (
    <div class="picture" ref={ref}>
      <svg viewBox={`0 0 ${made.width} ${made.height}`} style={{ width: "100%", maxWidth: `${Math.max(made.width, 1)}px` }} role="group"
        class={zoom.scale > 1 ? "zoomed" : ""} aria-label={`The network: ${shown.nodes.length} boxes. Arrow keys walk along the arrows.`} onPointerDown={drag}>
        <defs>
          {["arrow", "arrow-on"].map((id) => (
            <marker id={id} key={id} viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
              <path class={id} d="M0.5,0.8 L7,4 L0.5,7.2 z" />
            </marker>
          ))}
        </defs>
        <g transform={`translate(${zoom.x} ${zoom.y}) scale(${zoom.scale})`}>
          {made.levels.map((it) => (
            <g class="level" aria-hidden="true">
              {turned ? <line x1={it.x} x2={it.x} y1="18" y2={made.height} /> : <line x1="0" x2={made.width} y1={it.y + 0.5} y2={it.y + 0.5} />}
              <text x={it.x} y={turned ? it.y : it.y - 4} text-anchor={turned ? "middle" : "start"}>
                {it.label.map((size, at) => <>{at > 0 && "×"}<tspan class={colour(it.axes[at] ?? "")}>{size}</tspan></>)}
              </text>
            </g>
          ))}
          {made.edges.map((it) => {
            const lit = it.from === on || it.to === on;
            return <path key={`${it.from}>${it.to}`} class={`edge${it.skip ? " skip" : ""}${lit ? " on" : ""}`} d={it.path} marker-end={`url(#arrow${lit ? "-on" : ""})`} />;
          })}
          {shown.nodes.map((it) => (
            <Box key={it.id} node={it} made={made} on={it.id === here} image={(network.value.inputs.has(it.shown.id) && features?.input) || features?.tensors[it.shown.id]?.picture} zoom={zoom.scale} onKeyDown={walk} />
          ))}
        </g>
      </svg>
      <div class="under">
        <p class="about"><Summary node={node} /></p>
        <span class="zoom">
          <button type="button" class="plain" aria-label="Zoom out" disabled={zoom.scale === 1} onClick={() => change(1 / 1.5)}>−</button>
          <button type="button" class="plain" aria-label="Zoom in" onClick={() => change(1.5)}>+</button>
        </span>
      </div>
    </div>
  );
}

/** One line on a box: what it is, how large. */
function Summary({ node }: { node: Node }) {
  const net = network.value, tensor = node.shown, op = net.op(tensor.id);
  return (
    <>
      <b>{node.label}</b>{" "}
      <span class="quiet">{node.block ? node.block.class : op?.kind ?? "input"}</span>{" "}
      <span class="mono">{tensor.keras.axes.map((axis, at) => at > 0 && <>{at > 1 && "×"}<span class={colour(axis)}>{tensor.keras.sizes[at]}</span></>)}</span>
      {node.members.length > 1 && <span class="quiet"> · {node.members.length} tensors</span>}
    </>
  );
}

function Box({ node, made, on, image, zoom, onKeyDown }: {
  node: Node; made: Layout; on: boolean; image?: string; zoom: number; onKeyDown: (event: KeyboardEvent, node: Node) => void;
}) {
  const { x, y, w, h, dx, dy, labelWidth } = made.boxes.get(node.id)!;
  const tensor = node.shown, flat = space(tensor).length === 0, deep = channels(tensor);
  const label = made.small && zoom < 2 ? "" : fitted(node.label, labelWidth * zoom), letters = Math.max(1, zoom * 0.8), count = `×${deep}`;
  const visible = label ? `${label} ${count}` : "", whole = label === node.label ? "" : `${node.label}, `;
  const name = `${visible}${visible && ", "}${whole}${node.block ? `${node.block.class}, ` : ""}${written(tensor)}`;
  return (
    <g class={`node${on ? " on" : ""}${node.block ? " block" : ""}`} tabindex={0} role="button" data-node={node.id} aria-label={name} aria-pressed={on}
      onClick={() => choose(network.value.telling(node).id)} onDblClick={() => node.block && toggle(node.block.path)} onKeyDown={(it) => onKeyDown(it, node)}
      onPointerEnter={() => { hovered.value = node.id; }} onPointerLeave={() => { hovered.value = null; }}
      onFocus={() => { hovered.value = node.id; }} onBlur={() => { hovered.value = null; }}>
      <rect class="hit" x={x - 4} y={y - dy - 4} width={w + dx + 8} height={h + dy + (label ? 32 : 8)} />
      <path class="top" d={`M${x},${y} l${dx},${-dy} h${w} l${-dx},${dy} z`} />
      <path class="side" d={`M${x + w},${y} l${dx},${-dy} v${h} l${-dx},${dy} z`} />
      <rect class="face" x={x} y={y} width={w} height={h} />
      {image && <image href={image} x={x} y={y} width={w} height={h} preserveAspectRatio="none" />}
      <rect class="rim" x={x} y={y} width={w} height={h} />
      {on && !flat && <path class="mark ax-h" d={`M${x},${y} v${h}`} />}
      {on && !flat && space(tensor).length > 1 && <path class="mark ax-w" d={`M${x},${y + h} h${w}`} />}
      {on && <path class="mark ax-c" d={space(tensor).length === 1 ? `M${x},${y + h} h${w}` : `M${x + w},${y + h} l${dx},${-dy}`} />}
      {label && <text class="label" x={begins(x, label, made.width)} y={y + h + 13 / letters} style={{ fontSize: `${11 / letters}px` }}>{label}</text>}
      {label && <text class="count ax-c" x={x} y={y + h + 24 / letters} style={{ fontSize: `${10 / letters}px` }}>{count}</text>}
    </g>
  );
}

/** The box that an arrow key leads to: along an arrow, else to the nearest that way. */
function beside(made: Layout, nodes: Node[], node: Node, key: string): string | null {
  const forwards = made.turned ? "ArrowDown" : "ArrowRight", backwards = made.turned ? "ArrowUp" : "ArrowLeft";
  if (key === forwards) return nodes.find((it) => it.feeds.includes(node.id))?.id ?? null;
  if (key === backwards) return node.feeds.at(-1) ?? null;
  if (!/^Arrow/.test(key)) return null;
  const all = nodes.filter((it) => it.feeds.includes(node.id)), at = made.places.get(node.id)!;
  const sign = key === "ArrowDown" || (made.turned && key === "ArrowRight") ? 1 : -1;
  const linked = [...all.map((it) => it.id), ...node.feeds].filter((it) => {
    const other = made.places.get(it)!;
    return Math.sign(other.row - at.row || other.lane - at.lane) === sign;
  });
  return linked[0] ?? null;
}

function focus(root: HTMLElement, id: string): void {
  for (const it of root.querySelectorAll<SVGGElement>("[data-node]")) if (it.dataset.node === id) it.focus();
}
