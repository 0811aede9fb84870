// Runs the page in headless Chromium: node test.mjs EXPLAINED.onnx PHOTOGRAPH [DRAWING.png]
// Prints what it found as JSON: class, map, and the input that it made. The browser is $CHROMIUM, else /usr/bin/chromium.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, resolve } from "node:path";
import { chromium } from "playwright-core";

const [model, photograph, drawing] = process.argv.slice(2);
if (!photograph) throw new Error("node test.mjs EXPLAINED.onnx PHOTOGRAPH [DRAWING.png]");
const types = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const server = createServer((request, response) => {
  const path = join(import.meta.dirname, normalize(new URL(request.url, "http://localhost").pathname));
  if (!path.startsWith(import.meta.dirname) || !existsSync(path)) return response.writeHead(404).end();
  response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
  createReadStream(path).pipe(response);
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  await page.goto(`http://127.0.0.1:${server.address().port}/index.html`);
  await page.setInputFiles("#model", resolve(model));
  await page.setInputFiles("#photograph", resolve(photograph));
  const said = page.locator("#said");
  const ready = () => !document.getElementById("said").textContent.startsWith("Choose");
  await page.waitForFunction(ready, null, { timeout: 120000 });
  const text = await said.textContent();
  if (text.startsWith("error")) throw new Error(text);
  if (drawing) await page.locator("#drawing").screenshot({ path: drawing });
  const found = await page.evaluate(() => window.found);
  console.log(JSON.stringify({ said: text, browser: browser.version(), ...found }));
} finally {
  await browser.close();
  server.close();
}
