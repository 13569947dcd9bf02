/** Search: layers, module paths, kinds and shapes. */

import { useEffect, useRef, useState } from "preact/hooks";
import { written } from "./network";
import { choose, network } from "./state";

/** Tensors that a text finds: those whose name begins with it first. */
export function find(text: string, most = 12): string[] {
  const wanted = text.trim().toLowerCase().replace(/(\d)\s*[x*]\s*(?=\d)/g, "$1×");
  if (!wanted) return [];
  const net = network.value, found: [number, string][] = [];
  for (const it of net.document.tensors) {
    const op = net.op(it.id), own = op && net.layers.get(op.layer);
    const names = [it.id, op?.layer ?? "", op?.kind ?? "input", ...(own?.modules ?? []), it.module, written(it)].map((name) => name.toLowerCase());
    const at = names.findIndex((name) => name.includes(wanted));
    if (at >= 0) found.push([names[at].startsWith(wanted) ? at : at + 10, it.id]);
  }
  return found.sort((a, b) => a[0] - b[0]).slice(0, most).map(([, id]) => id);
}

export function Search() {
  const [text, setText] = useState(""), [at, setAt] = useState(0), [isOpen, setOpen] = useState(false);
  const field = useRef<HTMLInputElement>(null), found = isOpen ? find(text) : [];
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLInputElement && event.target.type !== "range";
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); field.current?.focus(); }
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
  const take = (id: string | undefined) => { if (id) { choose(id); setOpen(false); setText(""); field.current?.blur(); } };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (event.key === "Enter") take(found[at]);
    else if (event.key === "Escape") { setOpen(false); field.current?.blur(); }
    else return;
    event.preventDefault();
  };
  return (
    <div class="search">
      <input ref={field} type="search" placeholder="Find a layer  /" value={text} list={undefined} role="combobox" aria-label="Find a layer" aria-expanded={found.length > 0}
        aria-controls="found" aria-autocomplete="list" aria-activedescendant={found.length ? `found-${at}` : undefined}
        onInput={(it) => { setText(it.currentTarget.value); setAt(0); setOpen(true); }} onKeyDown={keys}
        onBlur={() => setOpen(false)} onFocus={() => setOpen(true)} />
      <ul id="found" role="listbox" aria-label="Found" hidden={!found.length}>
        {found.map((id, index) => {
          const it = network.value.tensors.get(id)!, op = network.value.op(id);
          return (
            <li id={`found-${index}`} role="option" aria-selected={index === at} onPointerDown={(event) => { event.preventDefault(); take(id); }}>
              <span>{id}</span><small>{op?.kind ?? "input"} {written(it)}</small>
            </li>
          );
        })}
      </ul>
      {isOpen && text.trim() && !found.length && <p class="nothing" role="status">Nothing is called so.</p>}
    </div>
  );
}
