/* What lies over and under a map as ordinary elements: marks, the legend, the scrubber of a route. */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});

  const CROWDED = 80; // pixels: names of places that all lie so near together are left out

  function make(tag, name, text) {
    const found = document.createElement(tag);
    if (name) found.className = name;
    if (text !== undefined) found.textContent = text;
    return found;
  }

  /** Elements for marks, in ``over``; ``say`` shows a title. */
  function marks(over, wanted, say) {
    const made = wanted.map((mark) => {
      const element = make(mark.title ? "button" : "span", `op-mark op-${mark.kind}`, mark.text || "");
      if (mark.title) {
        element.type = "button";
        element.setAttribute("aria-label", mark.title);
        const here = () => say(mark.title, { x: element.offsetLeft, y: element.offsetTop });
        for (const event of ["focus", "pointerenter", "click"]) element.addEventListener(event, here);
        for (const event of ["blur", "pointerleave"]) element.addEventListener(event, () => say(""));
      }
      return { ...mark, element };
    });
    over.replaceChildren(...made.map((mark) => mark.element));
    return made;
  }

  /** Moves marks to where ``project`` has them; of places and names that would meet, the first stays; it shows what the
   *  places have together. */
  function placeMarks(placed, project, wide, high) {
    const taken = [];
    const wherever = placed.map((mark) => project(mark.at));
    const named = wherever.filter((at, k) => at && placed[k].kind === "label");
    const [across, down] = [0, 1].map((axis) => Math.max(...named.map((at) => at[axis])) - Math.min(...named.map((at) => at[axis])));
    const crowded = named.length > 2 && Math.max(across, down) < CROWDED;
    placed.forEach((mark, k) => {
      const at = wherever[k];
      let seen = Boolean(at) && !(crowded && mark.kind === "label") && at[0] > -20 && at[1] > -20 && at[0] < wide + 20 && at[1] < high + 20;
      if (seen && (mark.kind === "label" || mark.kind === "place")) {
        const [left, right, up] = mark.kind === "label" ? [4, 10 + 6.5 * mark.text.length, 0] : [18, 18, 19];
        const box = [at[0] - left, at[1] - up - 9, at[0] + right, at[1] - up + 9];
        const met = taken.find((other) => box[0] < other.box[2] && box[2] > other.box[0] && box[1] < other.box[3] && box[3] > other.box[1]);
        seen = (mark.kind === "place" || box[2] < wide) && !met;
        if (seen) taken.push({ box, mark, sum: mark.probability });
        else if (met && mark.kind === "place") met.sum += mark.probability;
      }
      mark.element.hidden = !seen;
      if (seen) {
        mark.element.style.left = `${at[0]}px`;
        mark.element.style.top = `${at[1]}px`;
      }
    });
    for (const { mark, sum } of taken) if (mark.kind === "place") mark.element.textContent = OpenPlaNet.percent(sum);
  }

  function legend(element, entries) {
    element.replaceChildren(...entries.map((entry) => {
      const row = make("div", "op-key");
      if (entry.kind === "steps" || entry.kind === "ramp") {
        const colours = entry.kind === "steps" ? [...entry.colours].reverse() : entry.colours;
        const ends = entry.ends || (entry.kind === "ramp" ? [OpenPlaNet.round(entry.low), `${OpenPlaNet.round(entry.high)} ${entry.unit}`.trim()] : []);
        if (ends[0] !== undefined) row.append(make("span", "", ends[0]));
        colours.forEach((colour, k) => {
          const swatch = make("span", "op-swatch");
          swatch.style.setProperty("--op-colour", colour);
          row.append(swatch);
          if (entry.kind === "steps") row.append(make("span", "op-step", OpenPlaNet.percent(entry.steps[k])));
        });
        if (ends[1] !== undefined) row.append(make("span", "", ends[1]));
        row.append(make("span", "op-what", entry.what || ""));
      } else {
        const sign = make("span", `op-sign op-sign-${entry.kind}`);
        if (entry.colour) sign.style.setProperty("--op-colour", entry.colour);
        if (entry.width) sign.style.setProperty("--op-width", `${entry.width}px`);
        row.append(sign, make("span", "", entry.text));
      }
      return row;
    }));
  }

  /** A slider over the photos of a route, and a switch to where each is placed by itself. */
  function scrubber(element, description, go) {
    const route = description.route || [];
    element.replaceChildren();
    element.hidden = route.length < 2;
    if (element.hidden) return;
    const last = route.length - 1;
    const label = make("label", "", "Photo");
    const slider = make("input");
    Object.assign(slider, { type: "range", min: 0, max: last, value: last, step: 1 });
    const said = make("output", "op-said");
    label.append(slider);
    element.append(label, said);
    let current = description;
    const show = (k) => {
      const photo = current.route[k];
      const words = [`${k + 1} of ${route.length}`, photo.time, photo.title].filter(Boolean).join(" · ");
      said.textContent = words;
      slider.setAttribute("aria-valuetext", words);
    };
    slider.addEventListener("input", () => {
      show(Number(slider.value));
      go(Number(slider.value), current);
    });
    show(last);
    if (route.some((photo) => photo.alone)) {
      const before = make("label", "op-before"), box = make("input");
      box.type = "checkbox";
      before.append(box, make("span", "", "each photo by itself"));
      box.addEventListener("change", () => {
        const moved = route.map((photo) => (photo.alone && !photo.given ? { ...photo, ...photo.alone } : photo));
        current = box.checked ? { ...description, route: moved } : description;
        go(Number(slider.value), current);
      });
      element.append(before);
    }
  }

  /** Buttons to named views, and a choice of what cells are coloured by. */
  function choices(element, description, look, choose) {
    const views = (description.views || []).map((view) => {
      const button = make("button", "op-view", view.name);
      button.type = "button";
      button.addEventListener("click", () => look({ flat: false, ...view }));
      return button;
    });
    const { cells } = description;
    const also = cells && cells.also ? [cells, ...cells.also] : [];
    const select = make("select");
    select.setAttribute("aria-label", "Colour by");
    also.forEach((each, k) => {
      const option = make("option", "", `Colour by ${each.what}`);
      option.value = String(k);
      select.append(option);
    });
    select.addEventListener("change", () => choose(Number(select.value)));
    element.replaceChildren(...(also.length ? [select] : []), ...views);
    element.hidden = !element.childNodes.length;
  }

  Object.assign(OpenPlaNet, { choices, marks, placeMarks, legend, scrubber });
})(window);
