/** The document that `torchport explain --json` prints: docs/explain-json.md says what its fields mean. */

export interface Side { axes: string[]; sizes: (number | null)[] }
export interface Span { line: number; column: number; end_line: number; end_column: number }
export interface Sees { input: string; axis: number; name: string; fewest: number; most: number; along: number | null }

export interface Tensor {
  id: string; op: string | null; keras: Side; torch: Side; dtype: string; bytes: number; parts: number[][];
  module: string; code: string; span: Span | null; sees: Sees[];
}

/** What a step of the output reads along one axis of an input; `among`: some of it, which, in words. */
export type Reading = { axis: number | null; among?: string } & (
  | { kind: "point" | "whole" }
  | { kind: "window" | "transposed"; k: number; s: number; d: number; before: number; after: number }
  | { kind: "part"; before: number; after: number }
  | { kind: "past"; backwards: boolean }
  | { kind: "digit"; stride: number; size: number }
  | { kind: "table"; of: string; spans: [number, number][] }
);

export interface Section { title: string; lines: string[] }
export interface Op {
  id: string; layer: string; kind: string; inputs: string[]; outputs: string[];
  reads: { tensor: string; axes: Reading[] }[]; multiplies: number | null; card: Section[];
}

export interface Pair { keras: number[]; torch: number[]; keras_place: number; torch_place: number; value: number | null }
export interface Weight {
  keras: string | null; keras_side: Side | null; torch: string; torch_side: Side; dtype: string; bytes: number;
  pattern: string; steps: Record<string, unknown>[]; is_statistic: boolean; constant: unknown; pairs: Pair[];
  sample: { shape: number[]; values: number[] } | null; largest: number | null;
}

export interface Layer {
  id: string; kind: string; options: Record<string, unknown>; modules: string[]; code: string; span: Span | null;
  parameters: number; statistics: number; weights: Weight[]; affine: { scale: number[]; shift: number[] } | null;
}

export interface Block { path: string; class: string; times: number; line: number; end_line: number; parent: string | null }

/** What the network makes of the input that the user gave: pictures as data URLs. */
export interface Feature {
  picture: string; torch: string | null; difference: string | null; largest: number | null; power: number | null;
  range: [number, number]; share: number[]; channels: number; top: { channel: number; picture: string }[];
}
export interface Features { ran: string[]; note: string; input: string; tensors: Record<string, Feature> }

export interface Document {
  schema: number; name: string; class: string; source: string; keras: string; torchport: string;
  size: Record<string, number>;
  totals: { parameters: number; statistics: number; bytes: number; multiplies: number; not_counted: number; layers: number };
  inputs: string[]; outputs: string[]; tensors: Tensor[]; ops: Op[]; layers: Layer[]; blocks: Block[];
  permutes: Record<string, unknown>[]; notes: string[]; code: string; features?: Features | null;
}

/** Reads what Python wrote into the page: JSON as it is, or gzip in base64 where it is long. */
export async function read(text: string): Promise<Document> {
  const given = text.trim();
  if (given.startsWith("{")) return JSON.parse(given) as Document;
  const bytes = Uint8Array.from(atob(given), (it) => it.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text()) as Document;
}
