/* The game on the server's page. */
import { askJson } from "/static/ask.js";

const { OpenPlaNet } = window;
OpenPlaNet.outlines = fetch("/static/countries-50m.json").then((answer) => answer.json());
askJson("/api/game")
  .then((game) => OpenPlaNet.game(document.getElementById("game"), game))
  .catch((error) => { document.getElementById("status").textContent = error.message; });
