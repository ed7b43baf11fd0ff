/* The review page: a grid of photos beside the map (maps/static/globe.js). Texts come from files: they are set as text. */
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const { rows } = data;
  const changed = new Map(); // by file: what is not kept yet
  const KEY = `openplanet-geotag-${data.run}`;
  const FILTERS = {
    open: ["to decide", (row) => row.accept === "" && writes(row)],
    placed: ["with a place", writes],
    yes: ["accepted", (row) => row.accept === "yes"],
    no: ["rejected", (row) => row.accept === "no"],
    left: ["left out", (row) => Boolean(row.left_out)],
    all: ["all", () => true],
  };
  const WORDS = { yes: "accepted", no: "rejected", "": "" };
  let chosen = null, map = null, sending = null;

  const at = (id) => document.getElementById(id);
  const make = (tag, name, text) => {
    const found = document.createElement(tag);
    if (name) found.className = name;
    if (text !== undefined) found.textContent = text;
    return found;
  };
  function writes(row) { return row.lat !== null || Boolean(row.country) || row.accept === "yes"; }
  const percent = (value) => (value === null ? "" : `${Math.round(100 * value)} %`);
  const metres = (value) => (value === null ? "" : value < 1000 ? `${Math.round(value)} m` : `${value < 10000 ? (value / 1000).toFixed(1) : Math.round(value / 1000)} km`);
  const how = (row) => row.left_out || [row.source, percent(row.probability), metres(row.radius_m)].filter(Boolean).join(" · ");

  function tell(text) { at("state").textContent = text; }

  function counts() {
    const yes = rows.filter((row) => row.accept === "yes").length, no = rows.filter((row) => row.accept === "no").length;
    return `${rows.length} photos, ${yes} accepted, ${no} rejected`;
  }

  /** The whole grid; only when the filter changes or at the start. */
  function grid() {
    const shown = rows.filter(FILTERS[at("filter").value][1]);
    const albums = new Map();
    for (const row of shown) albums.set(row.album, [...(albums.get(row.album) || []), row]);
    const parts = [];
    for (const [album, some] of albums) {
      const head = make("div", "album");
      head.append(make("h2", "", album || "no album"), make("span", "", `${some.length} photos`));
      for (const [text, accept] of [["Accept album", "yes"], ["Reject album", "no"]]) {
        const button = make("button", "", text);
        button.type = "button";
        button.addEventListener("click", () => decide(some.filter(writes), accept));
        head.append(button);
      }
      const cells = make("div", "grid");
      cells.append(...some.map(card));
      parts.push(head, cells);
    }
    at("photos").replaceChildren(...parts);
    if (!shown.length) at("photos").append(make("p", "", "No photo is here."));
    tell(counts());
  }

  function card(row) {
    const button = make("button", "photo");
    button.type = "button";
    if (row.thumb) {
      const image = make("img");
      image.loading = "lazy";
      image.alt = "";
      image.src = row.thumb;
      button.append(image);
    } else button.append(make("div", "none"));
    button.append(make("span", "mark"), make("span", "name", row.file.split("/").pop()), make("span", "where"), make("span", "how"));
    button.addEventListener("click", () => choose(row));
    row.card = button;
    refresh(row);
    return button;
  }

  function refresh(row) {
    if (!row.card) return;
    row.card.dataset.accept = row.accept;
    row.card.setAttribute("aria-pressed", String(row === chosen));
    row.card.querySelector(".mark").textContent = WORDS[row.accept] || "undecided";
    row.card.querySelector(".where").textContent = row.place || (row.lat === null ? "no place" : `${row.lat.toFixed(4)}, ${row.lng.toFixed(4)}`);
    row.card.querySelector(".how").textContent = how(row);
    row.card.title = `${row.file}: ${how(row)}`;
  }

  function decide(some, accept) {
    for (const row of some) {
      row.accept = accept;
      note(row);
    }
    if (some.includes(chosen)) detail();
    tell(counts());
    keep();
  }

  function note(row) {
    const one = { accept: row.accept };
    if (row.moved) Object.assign(one, { lat: row.lat, lng: row.lng });
    changed.set(row.file, one);
    refresh(row);
  }

  /** The point of the chosen photo goes elsewhere; by itself that decides nothing. */
  function move(lat, lng, place) {
    if (!chosen) return;
    Object.assign(chosen, { lat: Number(lat.toFixed(6)), lng: Number(lng.toFixed(6)), moved: true, source: "by hand", radius_m: null, probability: null, place: place || "", left_out: "" });
    note(chosen);
    detail(true);
    keep();
  }

  function choose(row) {
    const before = chosen;
    chosen = row;
    if (before) refresh(before);
    refresh(row);
    detail();
  }

  function description(row) {
    const others = rows.filter((each) => each.album === row.album && each !== row && each.lat !== null && each.accept !== "no");
    const told = {
      label: `Where ${row.file} was taken`,
      places: row.candidates.map((each, k) => ({ rank: k + 1, name: each.place, probability: each.probability, lat: each.lat, lng: each.lng })),
      points: others.slice(0, 500).map((each) => ({ lat: each.lat, lng: each.lng, title: each.file, colour: "grey", radius: 3, far: true })),
    };
    if (row.lat !== null) {
      const radii = row.radius_m === null ? [] : [{ share: 0.95, km: row.radius_m / 1000 }];
      told.best = { lat: row.lat, lng: row.lng, title: row.place || row.file, radii };
    }
    return told;
  }

  function detail(stay) {
    const row = chosen, about = at("about");
    about.replaceChildren();
    if (!row) return;
    if (row.thumb) {
      const image = make("img");
      image.src = row.thumb;
      image.alt = "";
      about.append(image);
    }
    about.append(make("b", "", row.file), make("div", "", row.place), make("div", "", how(row)),
      make("div", "", [row.taken_at.replace("T", " "), row.camera].filter(Boolean).join(" · ")), make("div", "mark", WORDS[row.accept] || "undecided"));
    at("candidates").replaceChildren(...row.candidates.map((each, k) => {
      const button = make("button", "", `${k + 1}  ${each.place || `${each.lat.toFixed(3)}, ${each.lng.toFixed(3)}`}  ${percent(each.probability)}`);
      button.type = "button";
      button.addEventListener("click", () => move(each.lat, each.lng, each.place));
      return button;
    }));
    const told = description(row);
    if (!map) map = OpenPlaNet.globe(at("map"), told, { click: ([lng, lat]) => move(lat, lng), wheel: true });
    else map.update(told, stay);
    map.mark(row.lat === null ? null : { lat: row.lat, lng: row.lng });
  }

  /** The pin follows the pointer where the map can say what lies below it; a click moves it everywhere. */
  function draggable() {
    const area = at("map");
    let dragging = false;
    area.addEventListener("pointerdown", (event) => {
      if (!event.target.closest(".op-pin") || !map || !map.engine || !map.engine.map) return;
      dragging = true;
      area.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    const position = (event) => {
      const box = area.querySelector(".op-canvas").getBoundingClientRect();
      return map.engine.map.unproject([event.clientX - box.left, event.clientY - box.top]).wrap();
    };
    area.addEventListener("pointermove", (event) => { if (dragging) map.mark(position(event)); });
    area.addEventListener("pointerup", (event) => {
      if (!dragging) return;
      dragging = false;
      const { lat, lng } = position(event);
      move(lat, lng);
    });
  }

  function all() {
    const decisions = {};
    for (const row of rows) {
      if (row.accept || row.moved) decisions[row.file] = row.moved ? { accept: row.accept, lat: row.lat, lng: row.lng } : { accept: row.accept };
    }
    return { ...data.generator, run: data.run, decisions };
  }

  /** At once to the server; else in this browser, until they are saved as a file. */
  function keep() {
    if (!data.keepAt) {
      try { localStorage.setItem(KEY, JSON.stringify(all().decisions)); } catch { /* a browser that keeps nothing for files */ }
      tell(`${counts()}; not saved`);
      return;
    }
    sending = (sending || Promise.resolve()).then(async () => {
      if (!changed.size) return;
      const some = Object.fromEntries(changed);
      changed.clear();
      try {
        const answer = await fetch(data.keepAt, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ run: data.run, decisions: some }) });
        const told = await answer.json();
        // what was decided meanwhile is sent next
        tell(answer.ok ? `${counts()}; ${changed.size ? "keeping" : "kept"}` : `not kept: ${told.error}`);
      } catch {
        for (const [file, one] of Object.entries(some)) if (!changed.has(file)) changed.set(file, one);
        tell("not kept: openplanet geotag --serve does not answer; start it again");
      }
    });
  }

  function save() {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(all(), null, 1)], { type: "application/json" }));
    link.download = "decisions.json";
    link.click();
    tell(`${counts()}; saved: openplanet geotag --apply RUN --decisions decisions.json`);
  }

  function remembered() {
    if (data.keepAt) return;
    let told = {};
    try { told = JSON.parse(localStorage.getItem(KEY) || "{}"); } catch { /* none */ }
    for (const row of rows) {
      const one = told[row.file];
      if (!one) continue;
      row.accept = one.accept;
      if ("lat" in one) Object.assign(row, { lat: one.lat, lng: one.lng, moved: true, source: "by hand", radius_m: null, probability: null, place: "", left_out: "" });
    }
  }

  function step(by) {
    const cards = [...at("photos").querySelectorAll(".photo")];
    const next = cards[Math.min(cards.length - 1, Math.max(0, cards.indexOf(chosen && chosen.card) + by))];
    if (next) { next.click(); next.scrollIntoView({ block: "nearest" }); }
  }

  for (const row of rows) row.original = { lat: row.lat, lng: row.lng, source: row.source, radius_m: row.radius_m, probability: row.probability, place: row.place, left_out: row.left_out };
  for (const [name, [text]] of Object.entries(FILTERS)) at("filter").append(new Option(text, name));
  at("filter").value = "placed";
  at("filter").addEventListener("change", grid);
  at("above").addEventListener("click", () => {
    const least = Number(at("least").value) / 100;
    decide(rows.filter((row) => row.accept === "" && row.probability !== null && row.probability >= least), "yes");
  });
  at("save").addEventListener("click", save);
  at("save").hidden = Boolean(data.keepAt);
  const mine = (accept) => () => chosen && decide([chosen], accept);
  at("yes").addEventListener("click", mine("yes"));
  at("no").addEventListener("click", mine("no"));
  at("undecided").addEventListener("click", mine(""));
  at("back").addEventListener("click", () => {
    if (!chosen) return;
    Object.assign(chosen, chosen.original);
    chosen.moved = chosen.lat !== null; // said outright: an earlier decision may have moved it
    note(chosen);
    detail();
    keep();
  });
  const keys = { a: mine("yes"), r: mine("no"), u: mine(""), ArrowRight: () => step(1), ArrowLeft: () => step(-1) };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, .op-map") || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  remembered();
  grid();
  draggable();
  const first = at("photos").querySelector(".photo");
  if (first) first.click();
})();
