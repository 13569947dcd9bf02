import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

/** Where the package ships the page; Python puts the data into it. */
const SHIPPED = new URL("../src/torchport/geometry/page.html", import.meta.url);

/** Allows the one script that the page has, by its hash, and nothing else: no request, no inline handler. */
function sealed(): Plugin {
  return {
    name: "sealed",
    apply: "build",
    closeBundle() {
      const text = readFileSync(new URL("./dist/index.html", import.meta.url), "utf8");
      const scripts = [...text.matchAll(/<script type="module"[^>]*>([\s\S]*?)<\/script>/g)];
      if (scripts.length !== 1) throw new Error(`one script is expected, there are ${scripts.length}`);
      const code = scripts[0][1];
      const hash = createHash("sha256").update(code, "utf8").digest("base64");
      const plain = text
        .replace(scripts[0][0], "")
        .replace("__POLICY__", `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`)
        .replace("</body>", () => `<script type="module">${code}</script>\n</body>`);
      writeFileSync(SHIPPED, plain);
    },
  };
}

export default defineConfig({
  plugins: [viteSingleFile({ removeViteModuleLoader: true }), sealed()],
  build: { target: "es2022", cssMinify: true, modulePreload: false },
});
