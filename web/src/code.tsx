/** model.py, all of it: what makes the chosen tensor is lit; a click on a line chooses what that line makes. */

import { computed } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Span } from "./document";
import { choose, chosen, layer, network, tensor } from "./state";

export interface Token { kind: string; text: string; start: number }

const WORDS = new Set(("False None True and as assert async await break class continue def del elif else except finally for from global " +
  "if import in is lambda nonlocal not or pass raise return try while with yield").split(" "));
const TOKEN = /("""[\s\S]*?"""|'''[\s\S]*?'''|#[^\n]*|[rbf]?"(?:\\.|[^"\\\n])*"|[rbf]?'(?:\\.|[^'\\\n])*')|(\b\d[\d_.]*(?:e[+-]?\d+)?\b)|([A-Za-z_]\w*)/g;

/** Python's source by lines, as pieces with what they are. */
export function tokens(code: string): Token[][] {
  const lines: Token[][] = [[]];
  let column = 0;
  const add = (kind: string, text: string) => text.split("\n").forEach((part, at) => {
    if (at) { lines.push([]); column = 0; }
    if (part) lines[lines.length - 1].push({ kind, text: part, start: column });
    column += part.length;
  });
  let end = 0, before = "";
  for (const it of code.matchAll(TOKEN)) {
    add("", code.slice(end, it.index));
    const [text, string, number, word] = it;
    if (string) add(string.startsWith("#") ? "comment" : "string", text);
    else if (number) add("number", text);
    else add(WORDS.has(word) ? "word" : before === "class" || before === "def" ? "name" : word === "self" ? "self" : "", text);
    before = word ?? "";
    end = it.index + text.length;
  }
  add("", code.slice(end));
  return lines;
}

/** The columns of a line that a span covers; null: none. Its columns count bytes of UTF-8. */
export function covered(span: Span | null, line: number, text: string): [number, number] | null {
  if (!span || line < span.line || line > span.end_line) return null;
  const characters = (bytes: number) => new TextDecoder().decode(new TextEncoder().encode(text).slice(0, bytes)).length;
  const from = line === span.line ? characters(span.column) : text.length - text.trimStart().length;
  return [from, line === span.end_line ? characters(span.end_column) : text.length];
}

function Line({ pieces, marks }: { pieces: Token[]; marks: [[number, number] | null, string][] }) {
  const cuts = new Set<number>();
  for (const [range] of marks) if (range) { cuts.add(range[0]); cuts.add(range[1]); }
  const found = [];
  for (const piece of pieces) {
    let start = 0;
    const ends = [...cuts].map((it) => it - piece.start).filter((it) => it > 0 && it < piece.text.length).sort((a, b) => a - b);
    for (const end of [...ends, piece.text.length]) {
      const text = piece.text.slice(start, end), at = piece.start + start;
      const mark = marks.find(([range]) => range && at >= range[0] && at < range[1])?.[1];
      const inner = piece.kind ? <span class={`py-${piece.kind}`}>{text}</span> : text;
      found.push(mark ? <mark class={mark}>{inner}</mark> : inner);
      start = end;
    }
  }
  return <>{found}</>;
}

export function Code() {
  const net = network.value, code = net.document.code, now = tensor.value, made = layer.value?.span ?? null;
  const lines = useMemo(() => tokens(code), [code]), texts = useMemo(() => code.split("\n"), [code]);
  const pane = useRef<HTMLDivElement>(null);
  const block = net.document.blocks.find((it) => it.path === now.module) ?? null;
  useEffect(() => {
    const box = pane.current, line = box?.querySelector<HTMLElement>(`[data-line="${now.span?.line ?? made?.line ?? 1}"]`);
    if (!box || !line) return;
    // to the right only as far as the lit expression needs, and of a long one to its beginning
    const lit = line.querySelector<HTMLElement>("mark.now"), start = lit?.offsetLeft ?? 0, end = start + (lit?.offsetWidth ?? 0) + 24;
    const left = end > box.clientWidth ? Math.min(end - box.clientWidth, Math.max(0, start - 60)) : 0;
    box.scrollTo({ top: line.offsetTop - Math.min(box.clientHeight * 0.3, 150), left, behavior: calm() ? "auto" : "smooth" });
  }, [now.id]);
  const pick = (line: number) => { const id = at(line); if (id) choose(id); };
  return (
    <div class="code" ref={pane} tabindex={0} role="region" aria-label="model.py">
      <pre>
        {lines.map((pieces, index) => {
          const line = index + 1, text = texts[index];
          const marks: [[number, number] | null, string][] = [[covered(now.span, line, text), "now"], [covered(made, line, text), "made"]];
          const inside = block && line >= block.line && line <= block.end_line, can = makes.value.has(line);
          return (
            <span class={`line${inside ? " inside" : ""}${can ? " can" : ""}`} data-line={line} onClick={can ? () => pick(line) : undefined}>
              <span class="number">{line}</span><Line pieces={pieces} marks={marks} />{"\n"}
            </span>
          );
        })}
      </pre>
    </div>
  );
}

/** Lines of model.py -> tensors that are made there, or whose layer is. */
const makes = computed(() => {
  const net = network.value, found = new Map<number, string[]>();
  const add = (span: Span | null, id: string) => {
    if (span) for (let line = span.line; line <= span.end_line; line++) found.set(line, [...(found.get(line) ?? []), id]);
  };
  for (const it of net.document.tensors) add(it.span, it.id);
  for (const it of net.document.ops) add(net.layers.get(it.layer)?.span ?? null, it.outputs[0]);
  return found;
});

/** What a click on a line chooses: the next tensor of it after the chosen one, of the same module where there is one. */
function at(line: number): string | undefined {
  const all = makes.value.get(line) ?? [], module = tensor.value.module, net = network.value;
  const near = all.filter((it) => net.tensors.get(it)!.module === module), from = near.length ? near : all;
  return from[(from.indexOf(chosen.value) + 1) % from.length];
}

export const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
