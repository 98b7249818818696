// Drives the prediction page in headless Chromium: see README.md.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { crc32, deflateSync } from "node:zlib";

// NODE_PATH is read by `require` and not by `import`.
const { chromium } = createRequire(import.meta.url)("playwright-core");

const { values: args } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:8080" },
    film: { type: "string" },
    out: { type: "string", default: "." },
    token: { type: "string" },
    browser: { type: "string", default: "/usr/bin/chromium" },
  },
});
assert(args.film, "--film is needed: a PNG to send");
mkdirSync(args.out, { recursive: true });

// A black PNG of 20,000 × 10,000 pixels.
function huge() {
  const chunk = (name, body) => {
    const named = Buffer.concat([Buffer.from(name), body]);
    const [length, check] = [body.length, crc32(named)].map((number) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(number);
      return bytes;
    });
    return Buffer.concat([length, named, check]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(20_000, 0);
  head.writeUInt32BE(10_000, 4);
  head[8] = 8;
  const pixels = deflateSync(Buffer.alloc(20_001 * 10_000), { level: 1 });
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}

const film = readFileSync(args.film);
const files = {
  dicom: new URL("../dicom/rle.dcm", import.meta.url).pathname,
  huge: { name: "huge.png", mimeType: "image/png", buffer: huge() },
  text: { name: "letter.txt", mimeType: "text/plain", buffer: Buffer.from("This is a text and no film.") },
  cut: { name: "cut.png", mimeType: "image/png", buffer: film.subarray(0, film.length / 2) },
};
const browser = await chromium.launch({ executablePath: args.browser, args: ["--no-sandbox"] });

async function open(width, height) {
  const page = await browser.newPage({ viewport: { width, height } });
  const faults = [];
  page.on("console", (message) => {
    // The browser reports every refused request, which is what some steps are about.
    const refused = /Failed to load resource: .* (401|422)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !refused) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(args.url)) faults.push(`a request to ${request.url()}`);
  });
  await page.goto(args.url);
  return { page, faults };
}

async function answered(page) {
  await page.waitForFunction(() => document.getElementById("status").hidden
    && !(document.getElementById("result").hidden && document.getElementById("failure").hidden), null, { timeout: 60_000 });
}

async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

for (const [name, width, height] of [["phone", 390, 844], ["desktop", 1280, 800]]) {
  const { page, faults } = await open(width, height);
  const shot = async (state) => {
    assert.equal(await overflow(page), 0, `${name}: the page is wider than the window at ${state}`);
    await page.screenshot({ path: join(args.out, `${name}-${state}.png`), fullPage: true });
  };
  if (args.token) {
    await page.fill("#token", "a wrong token");
    await shot("token");
    await page.click("#ask-token button");
    await page.waitForSelector("#failure:not([hidden])");
    await shot("wrong-token");
    await page.fill("#token", args.token);
    await page.click("#ask-token button");
  }
  await page.waitForFunction(() => document.getElementById("served").textContent !== "");
  await shot("empty");

  await page.setInputFiles("#file", args.film);
  await answered(page);
  assert(await page.isHidden("#failure"), await page.textContent("#failure"));
  const models = await page.locator(".model").count();
  assert(models >= 1);
  for (const words of await page.locator(".model .words").allTextContents()) assert(words.length > 3);
  await shot("film");

  const mapped = () => page.evaluate(() => document.querySelector(".model canvas").toDataURL());
  const before = await mapped();
  await page.locator("#opacity").fill("100");
  assert.notEqual(await mapped(), before, "the strength of the map changes nothing");

  await page.setInputFiles("#file", files.text);
  await answered(page);
  await page.waitForSelector("#failure:not([hidden])");
  assert.match(await page.textContent("#error"), /^Not a DICOM, PNG/);
  assert(await page.isHidden("#result"), "the last film's answer stands under a refusal");
  await shot("text");
  await page.setInputFiles("#file", files.cut);
  await page.waitForFunction(() => document.getElementById("error").textContent.includes("cut short"));

  await page.setInputFiles("#file", files.huge);
  await page.waitForFunction(() => document.getElementById("error").textContent.includes("20000"), null, { timeout: 60_000 });
  await shot("huge");
  await page.setInputFiles("#file", files.dicom);
  await answered(page);
  await page.waitForSelector("#result:not([hidden])");
  assert(await page.isHidden("#failure"), await page.textContent("#failure"));
  await shot("dicom");

  for (const number of [1, 2, 3, 4]) {
    await page.click(`[data-sample="${number}"]`);
    await page.waitForFunction(() => document.getElementById("status").hidden && document.getElementById("failure").hidden);
    await shot(`sample-${number}`);
  }

  const bytes = [...film];
  const token = args.token ?? "";
  const statuses = await page.evaluate(async ({ bytes, token }) => {
    const send = async () => {
      const form = new FormData();
      form.append("file", new Blob([new Uint8Array(bytes)]), "film");
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      return (await fetch("/api/predict?saliency=true", { method: "POST", body: form, headers })).status;
    };
    return Promise.all(Array.from({ length: 50 }, send));
  }, { bytes, token });
  assert.deepEqual([...new Set(statuses)], [200]);

  // By the keyboard alone.
  const chooser = page.waitForEvent("filechooser");
  await page.focus("#file");
  await page.keyboard.press("Space");
  await (await chooser).setFiles(args.film);
  await answered(page);
  assert.deepEqual(faults, [], name);
  console.log(`${name}: ${models} model${models > 1 ? "s" : ""}, 50 of 50 films answered at once, no fault`);
  await page.close();
}
await browser.close();
