// The page's whole behaviour. Pictures come as bytes in the answer and are drawn on canvases, so that the page needs
// nothing but what its own server sends.

const $ = (id) => document.getElementById(id);
// Matplotlib's inferno at five places, as in src/predict/overlay.rs.
const COLOURS = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
// Longest edge of a film as it is drawn.
const EDGE = 640;

let token = sessionStorage.getItem("token") ?? "";
let info = null;
let map = null;
let shown = null;
let asked = 0;

function headers() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// Asks the server; an answer that is none becomes an error with a remedy.
async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers() });
  } catch {
    throw { error: "The server does not answer", remedy: "See whether it still runs, then try again" };
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw { error: `The server answered ${response.status} in a form that is not known`, remedy: "Load this page again" };
  }
  if (!response.ok) throw { ...answer, status: response.status };
  return answer;
}

function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}

function fail(reason) {
  $("status").hidden = true;
  // What is said of an earlier film must not stand under a later one's refusal.
  $("result").hidden = true;
  if (reason.status === 401) {
    $("ask-token").hidden = false;
    $("token").focus();
    if (!token) return;
    reason = { ...reason, remedy: "Type the token that the server was started with" };
  }
  $("error").textContent = sentence(reason.error ?? "This did not work");
  $("remedy").textContent = sentence(reason.remedy ?? String(reason));
  $("failure").hidden = false;
}

function tell(text) {
  $("failure").hidden = true;
  $("result").classList.add("stale");
  $("status").textContent = text;
  $("status").hidden = false;
}

function two(value) {
  return value.toFixed(2).replace(/^0/, "");
}

// Two digits that never round an unlikely class to none or a likely one to certain.
function percent(value) {
  if (value > 0.99) return "> 99 %";
  if (value < 0.01) return "< 1 %";
  return `${Math.round(value * 100)} %`;
}

async function start() {
  try {
    info = await ask("/api/models");
    map = info.neighbours === null ? null : await ask("/api/map");
  } catch (reason) {
    return fail(reason);
  }
  $("ask-token").hidden = true;
  $("failure").hidden = true;
  $("served").textContent = info.models.map((model) => model.name).join(" and ");
}

// Sends a film and shows what comes back, unless another has been chosen meanwhile.
async function read(blob) {
  const turn = ++asked;
  if (!info) await start();
  if (!info) return;
  if (blob.size > info.max_bytes) {
    return fail({
      error: `The film has ${Math.ceil(blob.size / 2 ** 20)} MiB, and this server takes ${Math.floor(info.max_bytes / 2 ** 20)}`,
      remedy: "Save it as PNG or JPEG",
    });
  }
  tell("Reading the film…");
  const form = new FormData();
  // Its name stays here.
  form.append("file", blob, "film");
  const query = new URLSearchParams({ saliency: true, preview: true, neighbours: info.neighbours !== null });
  try {
    const answer = await ask(`/api/predict?${query}`, { method: "POST", body: form });
    const film = await picture(answer.film.preview);
    const alike = await Promise.all((answer.neighbours ?? []).map(async (neighbour) => ({
      ...neighbour,
      film: await picture(neighbour.preview),
    })));
    if (turn !== asked) return;
    shown = { answer, film, alike };
    show();
    $("status").hidden = true;
  } catch (reason) {
    if (turn === asked) fail(reason);
  }
}

async function picture({ png }) {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

function show() {
  const { answer, film, alike } = shown;
  const classes = info.models[0].classes;
  const likeliest = answer.predictions[0].class;
  draw($("plain"), film);
  $("size").textContent = `${answer.film.columns} × ${answer.film.rows}`;
  for (const old of document.querySelectorAll(".model")) old.remove();
  answer.predictions.forEach((prediction, place) => $("film").append(card(prediction, info.models[place], classes)));
  $("classes").querySelectorAll("label").forEach((label) => label.remove());
  classes.forEach((name) => $("classes").append(choice(name, name === likeliest)));
  $("neighbours").hidden = alike.length === 0;
  $("among").textContent = info.neighbours ?? "";
  $("alike").replaceChildren(...alike.map(likeness));
  $("map").hidden = !map || !answer.place;
  $("result").hidden = false;
  $("result").classList.remove("stale");
  drawMaps();
  if (!$("map").hidden) drawPlace(answer.place, classes);
  // On a phone the answer would begin below the window.
  if (matchMedia("(max-width: 760px)").matches) document.querySelector(".model").scrollIntoView();
}

// One model's map, answer and probabilities.
function card(prediction, model, classes) {
  const made = $("model").content.cloneNode(true).firstElementChild;
  const place = classes.indexOf(prediction.class);
  made.querySelector("canvas").setAttribute("aria-label", `What speaks for a class in the film, by ${model.name}`);
  made.querySelector(".name").textContent = model.name;
  made.querySelector(".how").textContent = [model.made_by, `sees ${model.size} × ${model.size}`].filter(Boolean).join(", ");
  const answer = made.querySelector(".answer");
  answer.classList.add(prediction.unsure ? "unsure" : `class-${Math.min(place, 4)}`);
  made.querySelector(".words").textContent = prediction.unsure
    ? `Unsure, rather ${prediction.class}`
    : sentence(prediction.class);
  const bars = made.querySelector(".bars");
  classes.forEach((name, number) => bars.append(bar(name, prediction.probabilities[name], number)));
  made.querySelector(".calibration").textContent = calibration(model);
  return made;
}

function bar(name, value, number) {
  const item = document.createElement("li");
  item.className = `class-${Math.min(number, 4)}`;
  const label = document.createElement("span");
  label.textContent = name;
  const progress = document.createElement("progress");
  progress.max = 1;
  progress.value = value;
  progress.setAttribute("aria-label", `Probability of ${name}`);
  const output = document.createElement("output");
  output.textContent = percent(value);
  item.append(label, progress, output);
  return item;
}

function calibration(model) {
  const below = two(model.unsure_below);
  if (model.calibration_error === null) {
    return `Unsure below ${below}. How far its probabilities are off has not been measured.`;
  }
  const error = two(model.calibration_error);
  return `Unsure below ${below}: .65 and the ${error} that its probabilities were off on average, by cross-validation on ${model.calibration_films} films.`;
}

function choice(name, checked) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "class", value: name, checked });
  input.addEventListener("change", drawMaps);
  label.append(input, ` ${name}`);
  return label;
}

function likeness({ label, similarity, film }) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `A film labelled ${label}`);
  draw(canvas, film);
  const caption = document.createElement("figcaption");
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = label;
  caption.append(name, `similarity ${two(similarity)}`);
  figure.append(canvas, caption);
  return figure;
}

// Draws a film on a square of black; returns where it lies.
function draw(canvas, film) {
  canvas.width = canvas.height = EDGE;
  const scale = EDGE / Math.max(film.width, film.height);
  const [width, height] = [film.width, film.height].map((length) => Math.max(1, Math.round(length * scale)));
  const [left, top] = [width, height].map((length) => Math.floor((EDGE - length) / 2));
  // Maps are drawn over what is read back.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, EDGE, EDGE);
  context.imageSmoothingQuality = "high";
  context.drawImage(film, left, top, width, height);
  return { context, left, top, width, height };
}

function drawMaps() {
  if (!shown) return;
  const name = document.querySelector("[name=class]:checked")?.value;
  const opacity = $("opacity").value / 100;
  document.querySelectorAll(".model > canvas").forEach((canvas, place) => {
    const at = draw(canvas, shown.film);
    const saliency = shown.answer.predictions[place].saliency;
    const map = saliency.maps[name];
    const pixels = at.context.getImageData(at.left, at.top, at.width, at.height);
    for (let y = 0, i = 0; y < at.height; y++) {
      const row = between((y + 0.5) / at.height, saliency.rows);
      for (let x = 0; x < at.width; x++, i += 4) {
        const column = between((x + 0.5) / at.width, saliency.columns);
        const value = (row) => {
          const start = row * saliency.columns;
          return mix(map[start + column.first], map[start + column.second], column.share);
        };
        const heat = mix(value(row.first), value(row.second), row.share) / 1000;
        const colour = colourOf(heat);
        for (let channel = 0; channel < 3; channel++) {
          pixels.data[i + channel] = mix(pixels.data[i + channel], colour[channel], heat * opacity);
        }
      }
    }
    at.context.putImageData(pixels, at.left, at.top);
  });
}

// Draws where the film lies among the labelled ones, the classes in the colours of the bars.
function drawPlace(place, classes) {
  const canvas = $("places");
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = [width, height].map((length) => Math.round(length * scale));
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const ends = [0, 1].map((axis) => {
    const all = [...map.films.map((film) => film.place[axis]), place[axis]];
    return [Math.min(...all), Math.max(...all)];
  });
  const margin = 16;
  const at = (where) => [width, height].map((length, axis) => {
    const [low, high] = ends[axis];
    const share = (where[axis] - low) / (high - low || 1);
    // Upwards, as axes go.
    return margin + (axis ? 1 - share : share) * (length - 2 * margin);
  });
  const style = getComputedStyle(document.documentElement);
  const colours = classes.map((_, number) => classColour(number));
  for (const film of map.films) {
    context.fillStyle = colours[classes.indexOf(film.label)] ?? style.getPropertyValue("--secondary");
    context.globalAlpha = 0.8;
    context.beginPath();
    context.arc(...at(film.place), 3, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
  context.strokeStyle = style.getPropertyValue("--text");
  context.lineWidth = 2;
  context.beginPath();
  context.arc(...at(place), 7, 0, 2 * Math.PI);
  context.stroke();
  $("legend").replaceChildren(...classes.map((name, number) => mark(name, `class-${Math.min(number, 4)}`)), mark("this film", "", "this"));
  $("explained").textContent = `first two principal components, ${percent(map.explained)} of the variance`;
}

// What a class is drawn in, as the bars are.
function classColour(number) {
  const probe = document.createElement("i");
  probe.className = `class-${Math.min(number, 4)}`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).getPropertyValue("--colour");
  probe.remove();
  return colour;
}

function mark(text, of, kind = "") {
  const item = document.createElement("span");
  item.className = of;
  const dot = document.createElement("i");
  dot.className = kind;
  item.append(dot, text);
  return item;
}

// The two cells around a place in 0..1 of a row, and the share of the second.
function between(place, count) {
  const at = Math.min(Math.max(place * count - 0.5, 0), count - 1);
  const first = Math.floor(at);
  return { first, second: Math.min(first + 1, count - 1), share: at - first };
}

function mix(from, to, share) {
  return from + (to - from) * share;
}

function colourOf(heat) {
  const at = heat * (COLOURS.length - 1);
  const first = Math.min(Math.floor(at), COLOURS.length - 2);
  return COLOURS[first].map((channel, i) => mix(channel, COLOURS[first + 1][i], at - first));
}

function drawScale() {
  const context = $("colours").getContext("2d");
  for (let x = 0; x < 128; x++) {
    context.fillStyle = `rgb(${colourOf(x / 127).map(Math.round).join(" ")})`;
    context.fillRect(x, 0, 1, 1);
  }
}

$("file").addEventListener("change", () => {
  const [film] = $("file").files;
  if (film) press(null, film);
  // The same film may be chosen again.
  $("file").value = "";
});

// A film dropped beside the field would otherwise be opened instead of the page.
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const [film] = event.dataTransfer.files;
  if (film) press(null, film);
});
addEventListener("paste", (event) => {
  const [film] = event.clipboardData?.files ?? [];
  if (film) press(null, film);
});

function press(button, film) {
  for (const other of document.querySelectorAll("[data-sample]")) other.ariaPressed = other === button;
  return read(film);
}

for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", async () => {
    try {
      const response = await fetch(`/samples/${button.dataset.sample}.jpg`);
      press(button, await response.blob());
    } catch {
      fail({ error: "The server does not answer", remedy: "See whether it still runs, then try again" });
    }
  });
}

$("opacity").addEventListener("input", drawMaps);
$("ask-token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  start();
});

drawScale();
start();
