/* The page of `openplanet serve`: takes photos, asks the server, and shows answers by the component of maps/static.
 *
 * Names of files and all that the server says are hostile text: they are set by textContent alone.
 */
import { ask, askJson, form, lines } from "/static/ask.js";
import { filesOf, save } from "/static/files.js";

const FORMATS = ["geojson", "kml", "gpx", "csv"];
const ASKED = `map=true&thumbnail=true&files=${FORMATS.join(",")}`;
const $ = (id) => document.getElementById(id);
const { OpenPlaNet } = window;
OpenPlaNet.outlines = fetch("/static/countries-50m.json").then((answer) => answer.json());

/** files: what was chosen. photos: {index, record, map, thumbnail} in the order shown. whole: the object to save. */
const state = { files: [], photos: [], whole: null, chosen: 0, maps: {}, going: null, models: null, glimpsed: 0 };

function make(tag, name, text) {
  const found = document.createElement(tag);
  if (name) found.className = name;
  if (text !== undefined) found.textContent = text;
  return found;
}

function say(text, bad) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", Boolean(bad));
}

function drawMap(place, description) {
  if (state.maps[place]) state.maps[place].update(description);
  else state.maps[place] = OpenPlaNet.globe($(place), description, { wheel: false });
}

function dropMap(place) {
  if (state.maps[place]) state.maps[place].remove();
  delete state.maps[place];
}

/** Ask about these files; what was shown goes. */
async function locate(files) {
  if (!files.length) return;
  if (state.going) state.going.abort();
  const going = (state.going = new AbortController());
  Object.assign(state, { files, photos: [], whole: null, chosen: 0, glimpsed: 0 });
  const most = state.models ? state.models.limits.album_photos : 0;
  const several = files.length > 1, tooMany = most && files.length > most;
  const busy = (seconds) => say(`The server is busy; trying again in ${seconds} s…`);
  const options = { body: form(files), signal: going.signal, busy };
  const answering = tooMany ? null : several ? album(options) : single(options); // on its way while the page is cleared
  document.body.classList.add("asked");
  for (const name of ["journey", "strip", "actions"]) $(name).hidden = true;
  $("options").hidden = !several;
  dropMap("earth");
  dropMap("answer");
  dropMap("journey");
  for (const name of ["answer", "journey", "strip"]) $(name).replaceChildren();
  if (tooMany) return say(`${files.length} photos are more than this server takes at once (${most}).`, true);
  say(several ? `Sending ${files.length} photos…` : "Looking at it…");
  try {
    await answering;
  } catch (error) {
    if (going.signal.aborted) return;
    say(error instanceof TypeError ? "The server cannot be reached." : `Not answered: ${error.message}`, true);
  }
}

async function single(options) {
  const whole = await askJson(`/api/locate?${ASKED}`, options);
  const [{ map, thumbnail, ...record }] = whole.photos;
  state.whole = whole;
  state.photos = [{ index: 0, record, map, thumbnail }];
  say("");
  show(0);
  offer();
}

async function album(options) {
  const together = $("together").checked;
  const query = `together=${together}&anchors=${together && $("anchors").checked}`;
  const answer = await ask(`/api/album?${ASKED}&${query}`, options);
  $("journey").hidden = $("strip").hidden = false;
  let last = null;
  for await (const line of lines(answer)) {
    if (line.type === "error") throw new Error(line.error);
    if (line.type === "photo") {
      const { map, thumbnail, ...record } = line.record;
      state.photos.push({ index: line.index, record, map, thumbnail });
      $("strip").append(tile(state.photos.length - 1));
      say(`${state.photos.length} of ${state.files.length} photos looked at…`);
      glimpse();
    } else last = line;
  }
  if (!last) throw new Error("the connection broke; try again");
  finish(last);
}

/** Where photos are by themselves, while others are still looked at. */
function glimpse() {
  const now = performance.now();
  if (now - state.glimpsed < 300) return; // a large album's lines come faster than a map is drawn
  state.glimpsed = now;
  const placed = state.photos.filter(({ record }) => record.best);
  const points = placed.map(({ record }) => ({ lat: record.best.lat, lng: record.best.lng, title: record.photo, colour: "#1769aa", radius: 5 }));
  drawMap("journey", { label: "Photos placed so far", points });
}

function finish({ type: _, map, ...whole }) {
  state.whole = whole;
  const by = new Map(state.photos.map((photo) => [photo.index, photo]));
  state.photos = whole.photos.map((record) => ({ ...by.get(record.index), record }));
  $("strip").replaceChildren(...state.photos.map((_photo, place) => tile(place)));
  const counts = {};
  for (const { status } of whole.photos) counts[status] = (counts[status] || 0) + 1;
  say(`${whole.photos.length} photos: ${Object.entries(counts).map(([what, count]) => `${count} ${what}`).join(", ")}.`);
  if (map) drawMap("journey", map);
  show(0);
  offer();
}

/** A photo of the strip. */
function tile(place) {
  const { record, thumbnail } = state.photos[place];
  const button = make("button", `tile ${record.status === "given" ? "given" : ""}`);
  button.type = "button";
  button.setAttribute("role", "option");
  button.setAttribute("aria-selected", "false");
  const image = make("img");
  if (thumbnail) image.src = thumbnail;
  image.alt = "";
  image.loading = "lazy";
  const where = record.answer && record.answer.level ? record.answer.name : record.status === "located" ? "not enough evidence" : record.status;
  button.append(image, make("span", "tile-name", record.photo), make("span", "tile-where soft", where));
  button.addEventListener("click", () => choose(place));
  return button;
}

function show(place) {
  const photo = state.photos[place];
  if (!photo) return;
  state.chosen = place;
  const alone = state.whole && state.whole.album;
  const { record, map, thumbnail } = photo;
  const time = record.time ? record.time.replace("T", " ").slice(0, 16) : "";
  let note = alone && map ? "The map shows what this photo says by itself." : "";
  if (record.alone && record.source === "model" && record.alone.place.country) note = `By itself: ${wordsOf(record.alone.place)}. ${note}`;
  dropMap("answer");
  const title = [time, record.photo].filter(Boolean).join(" · ");
  const drawn = OpenPlaNet.answer($("answer"), { title, record, map: map || null, thumbnail: thumbnail || null, note });
  if (drawn) state.maps.answer = drawn;
  [...$("strip").children].forEach((each, k) => {
    each.setAttribute("aria-selected", String(k === place));
    each.tabIndex = k === place ? 0 : -1;
  });
  $("explain").hidden = !record.best || record.source !== "model" || Boolean(record.evidence) || state.models?.finest !== "cell";
  $("strip").children[place]?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** Photos that have a place, in the order of the map's scrubber. */
function onRoute() {
  return state.photos.flatMap(({ record }, place) => (record.best ? [place] : []));
}

/** Show a photo, and where it lies on the route. */
function choose(place) {
  const slider = $("journey").querySelector("input[type=range]"), step = onRoute().indexOf(place);
  if (!slider || step < 0) return show(place);
  slider.value = step;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}

function wordsOf({ city, region, country }) {
  return [...new Set([city, region, country].filter(Boolean))].join(", ");
}

/** Evidence about the chosen photo. */
async function explain() {
  const place = state.chosen, photo = state.photos[place];
  $("explain").disabled = true;
  say("Covering parts of it, one after the other…");
  try {
    const whole = await askJson("/api/explain?map=true&thumbnail=true", { body: form([state.files[photo.index]]), signal: state.going.signal });
    const { map, thumbnail, ...record } = whole.photos[0];
    state.photos[place] = { ...photo, map, thumbnail, record: state.whole.album ? { ...photo.record, evidence: record.evidence } : record };
    say("");
    if (state.chosen === place) show(place);
  } catch (error) {
    if (!state.going.signal.aborted) say(`Not explained: ${error.message}`, true);
  }
  $("explain").disabled = false;
}

/** Buttons that save the answers. */
function offer() {
  $("actions").hidden = false;
  const { files, ...rest } = state.whole;
  const bare = { ...rest, photos: rest.photos.map(({ map, thumbnail, index, ...record }) => record) };
  const all = { json: JSON.stringify(bare, null, 2), ...files };
  const name = state.files.length > 1 ? "photos" : state.photos[0].record.photo.replace(/\.[^.]*$/, "").replace(/^.*\//, "");
  $("exports").replaceChildren(make("span", "soft", "Save as"), ...Object.keys(all).map((kind) => {
    const button = make("button", "", { geojson: "GeoJSON" }[kind] || kind.toUpperCase());
    button.type = "button";
    button.addEventListener("click", () => save(`${name}.${kind}`, all[kind]));
    return button;
  }));
}

function listen() {
  $("files").addEventListener("change", () => {
    const files = [...$("files").files];
    $("files").value = ""; // so that the same photo can be chosen again
    locate(files);
  });
  $("explain").addEventListener("click", explain);
  for (const name of ["together", "anchors"]) $(name).addEventListener("change", () => locate(state.files));
  document.addEventListener("paste", (event) => locate([...event.clipboardData.files]));
  for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    locate(await filesOf(event.dataTransfer));
  });
  $("strip").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? state.photos.length - 1 : step ? state.chosen + step : -1;
    if (to < 0 || to >= state.photos.length) return;
    event.preventDefault();
    choose(to);
    $("strip").children[to].focus();
  });
  $("journey").addEventListener("input", (event) => { // the scrubber of the map
    if (event.target.type !== "range") return;
    show(onRoute()[Number(event.target.value)]);
  });
}

async function start() {
  listen();
  drawMap("earth", { label: "The Earth" });
  state.models = await askJson("/api/models");
  const [model] = state.models.models;
  $("model").textContent = `${model.name}: ${model.cells.toLocaleString("en")} cells`;
  $("to-game").hidden = !state.models.game;
}

start().catch((error) => say(error.message, true));
