/* One photo's answer beside its map: in files (locate --map) and on the page of openplanet serve.
 *
 *   OpenPlaNet.answer(element, {title, record, map, thumbnail, note});
 *
 * ``record`` is a photo of `openplanet locate --json` (docs/output.md) or null; ``map`` a description (globe.js) or null;
 * ``thumbnail`` an address that the page may show, or null; ``note`` a sentence. All texts are set as text.
 */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});
  const MOST_PLACES = [5, 3, 4]; // of each level
  const LEAST = 0.05; // places less likely are left out, unless nothing is likelier

  const FROM = {
    given: "Given position", between: "Between given positions", near: "At the nearest given position in time", track: "From a track",
  };

  function make(tag, name, text) {
    const found = document.createElement(tag);
    if (name) found.className = name;
    if (text !== undefined) found.textContent = text;
    return found;
  }

  function answer(element, { title, record, map, thumbnail, note }) {
    const section = make("section", "op-section");
    const about = make("div", "op-about");
    section.append(make("h2", "", title));
    if (thumbnail) about.append(picture(thumbnail, title, record && record.evidence));
    const words = make("div", "op-words");
    if (record) words.append(...said(record));
    if (note) words.append(make("p", "op-note", note));
    if (record && record.places.length && !record.flag) words.append(tree(record.places, 0));
    if (record && record.evidence) words.append(evidence(record));
    if (words.childNodes.length) about.append(words);
    const place = make("div", "op-place-of-map");
    const body = make("div", map ? "op-body" : "op-body op-flat-body");
    if (about.childNodes.length) body.append(about);
    if (map) body.append(place);
    section.append(body);
    element.replaceChildren(section);
    return map ? OpenPlaNet.globe(place, map) : null;
  }

  /** The sentences: what it is, how sure, the best point. */
  function said(record) {
    const { percent, kmText } = OpenPlaNet;
    const lines = [];
    if (record.flag) return [make("p", "op-verdict", `Not a photograph of a place: ${record.flag}`)];
    if (record.error) return [make("p", "op-verdict", `Not located: ${record.error}`)];
    if (record.answer) {
      const verdict = make("p", "op-verdict", record.answer.level ? record.answer.name : "Not enough evidence");
      if (record.answer.level) verdict.append(make("b", "", percent(record.answer.probability)));
      lines.push(verdict);
      if (!record.answer.level) lines.push(make("p", "op-note", "No single country is likely enough. These are the most probable places."));
    }
    const { best } = record;
    const radii = Object.entries((best && best.radius_km) || {}).map(([share, km]) => `${percent(Number(share))} within ${kmText(km)}`);
    if (best && FROM[record.source]) lines.push(make("p", "op-note", `${[`${FROM[record.source]}: ${at(best)}`, ...radii].join(", ")}.`));
    else if (best && radii.length) {
      const apart = best.in_answer === false ? " It lies outside of the place named, where no single cell is as likely." : "";
      lines.push(make("p", "op-note", `Best point ${at(best)}: ${radii.join(", ")}${best.calibrated ? "" : " (not calibrated)"}.${apart}`));
    }
    return lines;
  }

  function at({ lat, lng }) {
    return `${lat.toFixed(4)}, ${lng.toFixed(4)}`;
  }

  /** Countries, regions in them, cities in those, each with a bar. */
  function tree(nodes, depth) {
    const list = make("ul", depth ? "op-tree" : "op-tree op-root");
    const likely = nodes.filter((node) => node.probability >= LEAST);
    const shown = (likely.length || depth ? likely : nodes).slice(0, MOST_PLACES[depth]);
    for (const node of shown) {
      const item = make("li"), row = make("div", "op-row");
      const bar = make("span", "op-bar");
      bar.style.setProperty("--op-share", String(Math.min(1, node.probability)));
      row.append(make("span", "op-name", node.name), make("span", "op-share", OpenPlaNet.percent(node.probability)), bar);
      item.append(row);
      const inside = (node.places || []).filter((each) => each.probability >= LEAST);
      if (inside.length) item.append(tree(inside, depth + 1));
      list.append(item);
    }
    return list;
  }

  /** The photo; with evidence, over it what the answer hangs on: darker where covering it lowers the probability. */
  function picture(address, title, found) {
    const figure = make("figure", "op-picture"), stack = make("div", "op-stack"), image = make("img");
    image.src = address;
    image.alt = title;
    image.loading = "lazy";
    stack.append(image);
    figure.append(stack);
    if (!found || !found.drop_when_covered) return figure;
    const drops = found.drop_when_covered, most = Math.max(...drops.flat(), 1e-9);
    const grid = make("div", "op-drops");
    grid.style.setProperty("--op-columns", String(drops[0].length));
    grid.setAttribute("role", "img");
    grid.setAttribute("aria-label", "What the answer depends on: bright where covering the photo lowers the probability");
    for (const drop of drops.flat()) {
      const part = make("span");
      part.style.setProperty("--op-drop", String(Math.max(0, drop) / most));
      part.title = `covered: ${drop >= 0 ? "−" : "+"}${OpenPlaNet.percent(Math.abs(drop))}`;
      grid.append(part);
    }
    stack.append(grid);
    const box = make("input"), label = make("label", "op-switch");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => { grid.hidden = !box.checked; });
    label.append(box, make("span", "", "show what the answer depends on"));
    figure.append(label);
    return figure;
  }

  function evidence(record) {
    const { percent, kmText } = OpenPlaNet;
    const { evidence: found, best } = record;
    const part = make("div", "op-evidence");
    part.append(make("h3", "", "Evidence"));
    const now = best && best.probability !== undefined ? ` The model gives it ${percent(best.probability)}.` : "";
    part.append(make("p", "op-note", `Of all training photos, ${percent(found.prior_probability)} were taken around the best point.${now}`));
    if (!found.alike || !found.alike.length) return part;
    part.append(make("p", "op-note", "The most similar photos of the reference:"));
    const list = make("ol", "op-alike");
    for (const each of found.alike) {
      const by = [each.attribution, each.licence].filter(Boolean).join(", ");
      const item = make("li");
      if (/^data:image\/jpeg;base64,/.test(each.picture || "")) {
        const small = make("img");
        small.src = each.picture;
        small.alt = "";
        item.append(small);
      }
      item.append(`${each.source}: ${kmText(each.km)} from the best point, similarity ${each.cosine.toFixed(2)}`);
      if (by) item.append(make("span", "op-by", ` (${by})`));
      list.append(item);
    }
    part.append(list);
    return part;
  }

  /** Shows all answers of a page: elements of class op-answer that hold theirs as JSON in a script. */
  function showAnswers(within) {
    for (const element of (within || document).querySelectorAll(".op-answer")) {
      const script = element.querySelector('script[type="application/json"]');
      if (script) answer(element, JSON.parse(script.textContent));
    }
  }

  Object.assign(OpenPlaNet, { answer, showAnswers });
})(window);
