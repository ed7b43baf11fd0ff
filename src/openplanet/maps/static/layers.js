/* From the description of a map to what is drawn: GeoJSON with colours, marks, a legend in words, and where to look.
 *
 * The description is documented at the top of globe.js. Positions here are [lng, lat] in degrees.
 */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});
  const KM_PER_DEGREE = 111.195;
  const SHARES = [0.25, 0.5, 0.75, 0.9, 0.99]; // contours of the probability
  const LIKELY = 0.05; // places from this probability on have to lie in the first view
  const STEEPEST = 55; // degrees of latitude: seen from a pole nobody knows the continents
  const FLAT_FROM = 56; // degrees: what reaches farther about its middle does not fit on one side of a globe
  const THEMES = {
    light: {
      water: "#d5e3ec", land: "#f7f5ee", coast: "#7d8c97", border: "#b9c1c6", grid: "#c6d6e0", ink: "#22303a", halo: "#ffffff",
      ramp: ["#fbe9b0", "#f9bd60", "#e66d55", "#a83278", "#55257f"], opacity: 0.72,
    },
    dark: {
      water: "#101a24", land: "#25313c", coast: "#64788a", border: "#42515e", grid: "#1b2833", ink: "#e8eef2", halo: "#0b1118",
      ramp: ["#4a2c63", "#8c2f80", "#cf4a66", "#f58f4f", "#fde28c"], opacity: 0.78,
    },
  };
  const BEST = "#1769aa", TRUTH = "#0a8f55";

  /** A colour of the ramp, of a share from 0 to 1. */
  function shade(ramp, share) {
    const at = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
    const low = Math.min(Math.floor(at), ramp.length - 2);
    const part = (text, k) => parseInt(text.slice(1 + 2 * k, 3 + 2 * k), 16);
    const mixed = [0, 1, 2].map((k) => Math.round(part(ramp[low], k) * (low + 1 - at) + part(ramp[low + 1], k) * (at - low)));
    return `rgb(${mixed.join(",")})`;
  }

  function feature(type, coordinates, properties) {
    return { type: "Feature", properties: properties || {}, geometry: { type, coordinates } };
  }

  function collection(features) {
    return { type: "FeatureCollection", features };
  }

  /** A great circle between two positions, as a line without jumps. */
  function greatCircle([lng, lat], [toLng, toLat]) {
    const [a, b] = [vector([lng, lat]), vector([toLng, toLat])];
    const angle = Math.acos(Math.min(1, Math.max(-1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])));
    const steps = Math.max(1, Math.ceil(angle * 30));
    const points = [];
    for (let k = 0; k <= steps; k++) {
      const [p, q] = angle < 1e-9 ? [1, 0] : [Math.sin((1 - k / steps) * angle), Math.sin((k / steps) * angle)];
      points.push(position(a.map((each, axis) => p * each + q * b[axis])));
    }
    return OpenPlaNet.cells.unwrapped(points);
  }

  /** The circle of that radius about a position, as a closed line. */
  function circle([lng, lat], km) {
    const middle = vector([lng, lat]);
    const east = vector([lng + 90, 0]);
    const north = [middle[1] * east[2] - middle[2] * east[1], middle[2] * east[0] - middle[0] * east[2], middle[0] * east[1] - middle[1] * east[0]];
    const angle = Math.min(km / KM_PER_DEGREE, 179) * (Math.PI / 180);
    const points = [];
    for (let k = 0; k <= 96; k++) {
      const [e, n] = [Math.cos((k / 48) * Math.PI) * Math.sin(angle), Math.sin((k / 48) * Math.PI) * Math.sin(angle)];
      points.push(position(middle.map((each, axis) => each * Math.cos(angle) + e * east[axis] + n * north[axis])));
    }
    return OpenPlaNet.cells.unwrapped(points);
  }

  function vector([lng, lat]) {
    const [a, b] = [(lng * Math.PI) / 180, (lat * Math.PI) / 180];
    return [Math.cos(b) * Math.cos(a), Math.cos(b) * Math.sin(a), Math.sin(b)];
  }

  function position([x, y, z]) {
    return [(Math.atan2(y, x) * 180) / Math.PI, (Math.atan2(z, Math.hypot(x, y)) * 180) / Math.PI];
  }

  /** Degrees between two positions. */
  function apart(one, other) {
    const [a, b] = [vector(one), vector(other)];
    return (Math.acos(Math.min(1, Math.max(-1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2]))) * 180) / Math.PI;
  }

  /** The smallest cap about positions: {lng, lat, degrees}. */
  function cap(positions) {
    const vectors = positions.map(vector);
    let middle = [0, 1, 2].map((axis) => vectors.reduce((sum, each) => sum + each[axis], 0));
    if (Math.hypot(...middle) < 1e-6 * vectors.length) middle = vectors[0];
    for (let k = 1; k < 200; k++) {
      const unit = middle.map((each) => each / Math.hypot(...middle));
      const dots = vectors.map((each) => each[0] * unit[0] + each[1] * unit[1] + each[2] * unit[2]);
      const farthest = vectors[dots.indexOf(Math.min(...dots))];
      middle = unit.map((each, axis) => each + (farthest[axis] - each) / (k + 1));
    }
    const [lng, lat] = position(middle);
    return { lng, lat, degrees: Math.max(...positions.map((each) => apart([lng, lat], each))) };
  }

  /** Decoded cells with their values and areas; kept with the description, since themes and time change nothing. */
  function decoded(description) {
    const { cells } = description;
    if (!cells || !cells.ids) return null;
    if (!cells.decoded) {
      const found = OpenPlaNet.cells.decode(cells.ids);
      const choices = [cells, ...(cells.also || [])];
      const values = choices.map((choice) => [...new Float32Array(OpenPlaNet.cells.bytes(choice.values))]);
      const held = cells.held ? [...new Uint8Array(OpenPlaNet.cells.bytes(cells.held))] : [];
      const areas = found.map(OpenPlaNet.cells.area);
      const rings = found.map((cell) => OpenPlaNet.cells.ring(cell, description.turn));
      Object.defineProperty(cells, "decoded", { value: { cells: found, values, held, areas, rings }, enumerable: false });
    }
    return cells.decoded;
  }

  /** For each cell its place from pale (0) to strong (1), NaN where it is not drawn; and what the legend says. */
  function shades({ colour, what, unit }, values, areas) {
    if (colour === "mass") {
      const order = values.map((_, k) => k).sort((a, b) => values[b] / areas[b] - values[a] / areas[a]);
      const shares = new Array(values.length).fill(NaN);
      let before = 0;
      for (const k of order) {
        const step = SHARES.findIndex((share) => before < share);
        if (step >= 0 && values[k] > 0) shares[k] = 1 - step / (SHARES.length - 1);
        before += values[k];
      }
      return { shares, legend: { kind: "steps", steps: SHARES, what: what || "the smallest area that holds so much of the probability" } };
    }
    const shown = colour === "density" ? values.map((value, k) => value / areas[k]) : values;
    const positive = shown.filter((value) => value > 0).sort((a, b) => a - b);
    if (!positive.length) return { shares: shown.map(() => NaN), legend: null };
    const log = colour !== "value";
    const edge = (share) => positive[Math.round(share * (positive.length - 1))];
    const [low, high] = log ? [edge(0.01), edge(0.99)] : [positive[0], positive[positive.length - 1]];
    const scale = (value) => (high <= low ? 1 : log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
    return { shares: shown.map((value) => (value > 0 ? scale(value) : NaN)), legend: { kind: "ramp", low, high, what, unit: unit || "" } };
  }

  /** All that is drawn of a description. ``step``: the photo of the route that the scrubber is at, or none. ``choice``:
   *  by which values cells are coloured, where there are several. */
  function layers(description, dark, step, choice) {
    const theme = THEMES[dark ? "dark" : "light"];
    const found = decoded(description);
    const drawn = { theme, cells: [], borders: [], circles: [], lines: [], points: [], marks: [], legend: [] };
    if (found) drawCells(description, found, drawn, choice || 0);
    if (description.best) drawBest(description.best, drawn);
    (description.places || []).forEach((place, k) => {
      const title = `${place.rank || k + 1}. ${place.name}: ${percent(place.probability)}`;
      drawn.marks.push({ kind: "place", at: [place.lng, place.lat], text: percent(place.probability), title, probability: place.probability });
    });
    if ((description.places || []).length) drawn.legend.push({ kind: "place", text: "the most probable places" });
    (description.lines || []).forEach((line) => {
      const { from, to, colour = theme.ink, width = 1.4, opacity = 1, title = "" } = line;
      const drawnLine = greatCircle([from.lng, from.lat], [to.lng, to.lat]);
      drawn.lines.push(feature("LineString", drawnLine, { colour, width, opacity, title }));
    });
    (description.points || []).forEach((point) => {
      const colour = point.colour || theme.ink;
      drawn.points.push(feature("Point", [point.lng, point.lat], { colour, radius: point.radius || 4, edge: theme.halo, ring: 1, title: point.title || "" }));
    });
    (description.keys || []).forEach((key) => drawn.legend.push({ kind: "point", colour: key.colour || theme.ink, text: key.text }));
    if (description.route) drawRoute(description, drawn, step);
    if (description.truth) {
      drawn.marks.push({ kind: "truth", at: [description.truth.lng, description.truth.lat], title: description.truth.title || "where it was taken" });
      drawn.legend.push({ kind: "truth", text: "where it was taken" });
    }
    (description.labels || []).forEach((label) => drawn.marks.push({ kind: "label", at: [label.lng, label.lat], text: label.name }));
    return drawn;
  }

  function drawCells(description, found, drawn, choice) {
    const [by, values] = [[description.cells, ...(description.cells.also || [])][choice], found.values[choice]];
    const { shares, legend } = shades(by, values, found.areas);
    const { theme } = drawn;
    const { titles } = description.cells;
    const order = shares.map((_, k) => k).filter((k) => !Number.isNaN(shares[k])).sort((a, b) => shares[a] - shares[b]);
    for (const k of order) {
      const value = by.colour === "mass" ? percent(values[k]) : `${round(values[k])} ${by.unit || ""}`.trim();
      const title = titles ? titles[k] : `${value} in ${round(found.areas[k])} km²`;
      drawn.cells.push(feature("Polygon", [found.rings[k]], { colour: shade(theme.ramp, shares[k]), title }));
    }
    if (legend) drawn.legend.push({ ...legend, colours: theme.ramp });
    (description.cells.regions || []).forEach((share, k) => {
      const inside = found.cells.filter((_, index) => found.held[index] > k);
      if (!inside.length) return;
      const border = OpenPlaNet.cells.border(inside, description.turn);
      drawn.borders.push(feature("MultiLineString", border, { colour: theme.ink, width: k ? 2.6 : 1.1 }));
      drawn.legend.push({ kind: "line", colour: theme.ink, width: k ? 2.6 : 1.1, text: `the ${percent(share)} region` });
    });
  }

  function drawBest(best, drawn) {
    const at = [best.lng, best.lat];
    const said = (best.radii || []).map((radius) => `${percent(radius.share)} within ${kmText(radius.km)}`);
    (best.radii || []).forEach((radius, k) => {
      if (radius.km < 9000) drawn.circles.push(feature("LineString", circle(at, radius.km), { colour: BEST, width: k ? 1.4 : 2.2, dash: k > 0 }));
    });
    drawn.marks.push({ kind: "best", at, title: [best.title || "best point", ...said].join(", ") });
    drawn.legend.push({ kind: "best", text: ["best point", ...said].join(", ") });
  }

  function drawRoute(description, drawn, step) {
    const { theme } = drawn;
    const photos = description.route;
    const count = Math.max(photos.length - 1, 1);
    photos.forEach((photo, k) => {
      const before = photos[k - 1];
      const past = step === undefined || k <= step;
      if (before && (before.lat !== photo.lat || before.lng !== photo.lng)) {
        const line = greatCircle([before.lng, before.lat], [photo.lng, photo.lat]);
        drawn.lines.push(feature("LineString", line, { colour: theme.ink, width: 1.6, opacity: past ? 0.8 : 0.2, title: "" }));
      }
      if (photo.truth) {
        const off = greatCircle([photo.truth.lng, photo.truth.lat], [photo.lng, photo.lat]);
        drawn.lines.push(feature("LineString", off, { colour: TRUTH, width: 1, opacity: 0.6, title: "" }));
        const look = { colour: TRUTH, radius: 4, edge: theme.halo, ring: 1, title: "where it was taken" };
        drawn.points.push(feature("Point", [photo.truth.lng, photo.truth.lat], look));
      }
    });
    photos.forEach((photo, k) => {
      const [past, here] = [step === undefined || k <= step, step === k];
      const edge = photo.given ? TRUTH : theme.halo;
      const look = { colour: shade(theme.ramp, k / count), radius: here ? 9 : 6, edge, ring: photo.given ? 3 : 1.2, opacity: past ? 1 : 0.25 };
      drawn.points.push(feature("Point", [photo.lng, photo.lat], { ...look, title: photo.title || "" }));
    });
    drawn.legend.push({ kind: "ramp", what: "order of capture", ends: ["first", "last"], colours: theme.ramp });
    if (photos.some((photo) => photo.given)) drawn.legend.push({ kind: "given", text: "given position" });
    if (photos.some((photo) => photo.truth)) drawn.legend.push({ kind: "point", colour: TRUTH, text: "where it was taken" });
  }

  /** Where to look first: {lng, lat, degrees, flat}. */
  function firstView(description) {
    if (description.view) return { flat: false, ...description.view };
    const { best, places, truth, route, lines, points } = description;
    const at = ({ lng, lat }) => [lng, lat];
    const near = [];
    if (best) near.push(at(best));
    (places || []).filter((place) => place.probability >= LIKELY).forEach((place) => near.push(at(place)));
    if (truth) near.push(at(truth));
    (route || []).forEach((photo) => near.push(at(photo), ...(photo.truth ? [at(photo.truth)] : [])));
    (lines || []).forEach((line) => near.push(at(line.from), at(line.to)));
    (points || []).forEach((point) => point.far || near.push(at(point)));
    if (!near.length) return { lng: 10, lat: 15, degrees: 180, flat: Boolean(description.flat) };
    const found = cap(near);
    found.lat = Math.max(-STEEPEST, Math.min(STEEPEST, found.lat));
    found.degrees = Math.max(...near.map((each) => apart([found.lng, found.lat], each)));
    const radius = best && best.radii && best.radii.length ? (1.15 * best.radii[0].km) / KM_PER_DEGREE : 0;
    if (best && radius < FLAT_FROM) found.degrees = Math.max(found.degrees, apart([found.lng, found.lat], at(best)) + radius);
    found.degrees = Math.max(found.degrees, 0.02);
    return { ...found, flat: description.flat === undefined ? found.degrees > FLAT_FROM : description.flat };
  }

  function percent(share) {
    const value = 100 * share;
    return value > 0 && value < 0.1 ? "<0.1 %" : `${value >= 10 || value === 0 ? Math.round(value) : Number(value.toFixed(1))} %`;
  }

  function round(value) {
    const words = (number) => number.toLocaleString("en", { maximumSignificantDigits: 2 });
    return value >= 1e6 ? `${words(value / 1e6)} million` : words(value);
  }

  function kmText(km) {
    return km < 1 ? `${Math.round(1000 * km)} m` : km < 10 ? `${km.toFixed(1)} km` : `${Math.round(km).toLocaleString("en")} km`;
  }

  Object.assign(OpenPlaNet, { layers, firstView, percent, kmText, round, apart, colours: { BEST, TRUTH } });
})(window);
