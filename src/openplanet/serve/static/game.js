/* The game: where was it taken? You against the model and, where it is known, the best that anyone could do.
 *
 *   OpenPlaNet.game(element, {where, rounds: [{photo, image, answer}]});
 *
 * ``answer`` is base64 of JSON {truth: {lat, lng, place}, model: {lat, lng, place, sure}, map, limit: {lat, lng}}; all but
 * ``truth`` may be missing. The maps are those of globe.js. All texts are set as text.
 */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});
  const EARTH_KM = 6371.0088, SCORE_KM = 1492.7; // as evaluation/measures/metrics.py has them
  const NAMES = { you: "You", model: "Model", limit: "Bayes limit" };

  function make(tag, name, text) {
    const found = document.createElement(tag);
    if (name) found.className = name;
    if (text !== undefined) found.textContent = text;
    return found;
  }

  function button(text, name, act) {
    const found = make("button", name, text);
    found.type = "button";
    found.addEventListener("click", act);
    return found;
  }

  function kmApart(a, b) {
    const rad = Math.PI / 180;
    const h = Math.sin(((b.lat - a.lat) * rad) / 2) ** 2 + Math.cos(a.lat * rad) * Math.cos(b.lat * rad) * Math.sin(((b.lng - a.lng) * rad) / 2) ** 2;
    return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
  }

  /** GeoGuessr's points, 0 to 5000; of no guess 0. */
  const score = (km) => 5000 * Math.exp(-km / SCORE_KM);
  const kmText = (km) => (Number.isFinite(km) ? OpenPlaNet.kmText(km) : "no guess").replace(" ", "\u00a0");
  const points = (value) => Math.round(value).toLocaleString("en");
  const unpack = (text) => JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));

  function table(head, rows) {
    const found = make("table", "scores"), top = make("tr");
    for (const text of head) top.append(make("th", "", text));
    found.append(top);
    for (const row of rows) {
      const line = make("tr");
      row.forEach((text, k) => line.append(make(k ? "td" : "th", "", text)));
      found.append(line);
    }
    return found;
  }

  function game(element, { where, rounds }) {
    const done = []; // {photo, guess, seconds, km: {you, model, limit}, truth}
    let player = "", map = null;

    function intro() {
      const form = make("form", "game-start"), label = make("label", "", "Your name "), name = make("input");
      Object.assign(name, { type: "text", required: true, maxLength: 40, autocomplete: "off" });
      label.append(name);
      const go = make("button", "primary", "Play");
      form.append(label, go);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        player = name.value.trim();
        if (player) play();
      });
      const words = `${rounds.length} photos of ${where}, drawn by chance. Click on the globe where each was taken. Then you see where it was, and how far off the others were.`;
      element.replaceChildren(make("h1", "", "Where was it taken?"), make("p", "", words), form);
    }

    function play() {
      if (done.length === rounds.length) return end();
      const round = rounds[done.length];
      const photo = make("img", "game-photo");
      photo.src = round.image;
      photo.alt = "The photo to be placed";
      const place = make("div"), said = make("p", "soft", "Click on the globe.");
      said.setAttribute("role", "status");
      let guess = null;
      const began = Date.now();
      const sure = button("This is the place", "primary", () => answer(guess));
      sure.disabled = true;
      const put = (at) => {
        guess = at;
        map.mark(at);
        sure.disabled = false;
        said.textContent = `${Math.abs(at.lat).toFixed(2)}° ${at.lat < 0 ? "S" : "N"}, ${Math.abs(at.lng).toFixed(2)}° ${at.lng < 0 ? "W" : "E"}`;
      };
      const bar = make("div", "game-bar");
      bar.append(sure, button("Middle of the map", "", () => put(map.middle())), button("No idea", "", () => answer(null)), said);
      const body = make("div", "game-round"), right = make("div");
      right.append(place, bar);
      body.append(photo, right);
      element.replaceChildren(make("h2", "", `Photo ${done.length + 1} of ${rounds.length}`), body);
      if (map) map.remove();
      map = OpenPlaNet.globe(place, { label: "The globe: click where the photo was taken" }, { wheel: true, click: ([lng, lat]) => put({ lat, lng }) });

      function answer(at) {
        const told = unpack(round.answer);
        const guesses = { you: at, model: told.model, limit: told.limit };
        const km = {};
        for (const who of Object.keys(guesses)) if (guesses[who] || who === "you") km[who] = guesses[who] ? kmApart(guesses[who], told.truth) : Infinity;
        done.push({ photo: round.photo, guess: at, seconds: Math.round((Date.now() - began) / 100) / 10, km, truth: told.truth });
        show(told, guesses, km, bar);
      }
    }

    /** Where it was, and who was how far off. */
    function show(told, guesses, km, bar) {
      const colours = { you: "#c0392b", model: "#1769aa", limit: "#8a5a00" };
      const marks = [], strokes = [], keys = [];
      for (const who of Object.keys(km)) {
        if (!guesses[who]) continue;
        const { lat, lng } = guesses[who];
        marks.push({ lat, lng, title: `${NAMES[who]}: ${kmText(km[who])}`, colour: colours[who], radius: 6 });
        strokes.push({ from: { lat, lng }, to: told.truth, colour: colours[who], title: NAMES[who] });
        keys.push({ colour: colours[who], text: NAMES[who] });
      }
      const { best: _best, places: _places, ...field } = told.map || {};
      map.mark(null);
      map.update({ ...field, label: "Where it was taken", truth: { ...told.truth, title: told.truth.place }, points: marks, lines: strokes, keys });
      const rows = Object.keys(km).map((who) => [NAMES[who], kmText(km[who]), points(score(km[who]))]);
      const model = told.model ? ` The model says: ${told.model.place}${told.model.sure ? ` (${OpenPlaNet.percent(told.model.sure)})` : ""}.` : "";
      const next = button(done.length === rounds.length ? "To the summary" : "Next photo", "primary", play);
      bar.replaceChildren(make("p", "", `It was taken near ${told.truth.place}.${model}`), table(["", "distance", "GeoScore"], rows), next);
      next.focus();
    }

    function end() {
      if (map) map.remove();
      map = null;
      const who = Object.keys(NAMES).filter((each) => done.some(({ km }) => each in km));
      const middle = (values) => {
        const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
        return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
      };
      const of = (each) => done.map(({ km }) => (each in km ? km[each] : Infinity));
      const share = (values, most) => OpenPlaNet.percent(values.filter((km) => km <= most).length / values.length);
      const sums = who.map((each) => [NAMES[each], points(of(each).reduce((sum, km) => sum + score(km), 0)), kmText(middle(of(each))), share(of(each), 200), share(of(each), 750)]);
      const won = done.filter(({ km }) => "model" in km && km.you < km.model).length;
      const words = who.includes("model") ? `You were nearer than the model in ${won} of ${done.length} rounds.` : "";
      const each = done.map(({ km, truth }, k) => [`${k + 1}. ${truth.place}`, ...who.map((name) => `${kmText(km[name] ?? Infinity)}\n${points(score(km[name] ?? Infinity))} points`)]);
      element.replaceChildren(
        make("h1", "", "Done"), make("p", "", words),
        table(["", "GeoScore", "median", "within 200 km", "within 750 km"], sums),
        make("p", "soft", "The file has your rounds: `openplanet evaluate … --predictions rounds.csv` shows you beside the model. This page forgets them."),
        button("Save rounds.csv", "primary", save), make("h2", "", "Each round"), table(["", ...who.map((name) => NAMES[name])], each),
      );
    }

    function save() {
      const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
      const rows = done.map(({ photo, guess, seconds }) => [player, photo, guess ? guess.lat.toFixed(6) : "", guess ? guess.lng.toFixed(6) : "", seconds]);
      const text = [["player", "photo", "lat", "lng", "seconds"], ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.download = "rounds.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }

    intro();
  }

  Object.assign(OpenPlaNet, { game });
})(window);
