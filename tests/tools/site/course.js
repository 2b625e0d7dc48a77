// Films and guesses of the course's pages. A film is a set of frames that were drawn when the site was built: its controls
// choose one. No library, and no request but for the frames.
"use strict";

for (const film of document.querySelectorAll("figure.film")) {
  const {tracks, states, shown, texts} = JSON.parse(film.querySelector("script").textContent);
  const controls = [...film.querySelectorAll(".film-controls input, .film-controls select")];
  const over = film.querySelector(".film-over"), below = film.querySelector(".film-below");
  const words = film.querySelector("[role=status]");
  const frames = new Map(); // number -> picture, loading or loaded
  const finest = tracks.reduce((best, words, track) => (words.length > tracks[best].length ? track : best), 0);
  let wanted = -1;

  const valueOf = control =>
    control.type === "checkbox" ? Number(control.checked) : control.tagName === "SELECT" ? control.selectedIndex : Number(control.value);
  const numbers = new Map(states.map((state, number) => [state.join(), number]));
  const stateOf = values => numbers.get(values.join());
  const values = () => controls.map(valueOf);
  const start = controls.map(control =>
    control.type === "checkbox" ? Number(control.defaultChecked)
      : control.tagName === "SELECT" ? Math.max(0, [...control.options].findIndex(option => option.defaultSelected))
      : Number(control.defaultValue));

  function load(number) {
    if (!frames.has(number)) {
      const image = new Image();
      image.alt = "";
      image.decoding = "sync"; // a frame is never shown half
      image.src = `${film.dataset.frames}/${String(number).padStart(3, "0")}.webp`;
      image.ready = new Promise(resolve => { image.onload = () => { image.there = true; resolve(); }; });
      image.onerror = () => frames.delete(number); // asked for again when it is needed again
      frames.set(number, image);
    }
    return frames.get(number);
  }

  // The frames that a move of one control leads to, the nearest first: all, or one of so many.
  function around(track, every = 1) {
    const now = values(), found = [];
    for (let value = now[track] % every; value < tracks[track].length; value += every) {
      const state = stateOf(now.map((each, other) => (other === track ? value : each)));
      if (state !== undefined) found.push([Math.abs(value - now[track]), shown[state]]);
    }
    return found.sort((a, b) => a[0] - b[0]).map(each => each[1]);
  }

  // Where a state was not filmed, the other controls go back to where they start: one moves at a time.
  function goBack(moved) {
    controls.forEach((control, track) => {
      if (track === moved || track === finest) return;
      if (control.type === "checkbox") control.checked = Boolean(start[track]);
      else if (control.tagName === "SELECT") control.selectedIndex = start[track];
      else control.value = start[track];
    });
  }

  function show(moved) {
    if (stateOf(values()) === undefined) goBack(moved);
    const now = values(), state = stateOf(now);
    controls.forEach((control, track) => {
      const word = tracks[track][now[track]], said = control.parentElement.querySelector("output");
      if (control.type === "range") {
        said.textContent = word;
        control.setAttribute("aria-valuetext", word);
      }
    });
    words.textContent = below.alt = texts[state];
    wanted = shown[state];
    const frame = load(wanted);
    if (frame.there) put(wanted);
    else {
      const near = around(finest).find(number => frames.get(number)?.there);
      if (near !== undefined) put(near); // until the right one has come
      const mine = wanted;
      frame.ready.then(() => { if (wanted === mine && frame.there) put(mine); });
    }
  }

  function put(number) {
    if (over.firstChild !== frames.get(number)) over.replaceChildren(frames.get(number));
    film.dataset.frame = number;
  }

  controls.forEach((control, track) => {
    control.addEventListener("input", () => show(track));
    // Who touches a control is about to move it.
    for (const event of ["pointerenter", "focus"]) control.addEventListener(event, () => around(track).forEach(load));
  });

  // What scrolls sideways must be reached by the keyboard, too; what does not is no stop on the way.
  const view = film.querySelector(".film-window");
  new ResizeObserver(() => {
    if (view.scrollWidth > view.clientWidth) view.tabIndex = 0;
    else view.removeAttribute("tabindex");
  }).observe(view);

  addPlay(film, controls[finest], controls, () => show(finest));
  // A page that comes back keeps what its inputs stood at.
  window.addEventListener("pageshow", () => { if (values().join() !== start.join()) show(finest); });

  new IntersectionObserver((entries, observer) => {
    if (entries.some(entry => entry.isIntersecting)) {
      observer.disconnect();
      around(finest, 3).forEach(load); // a start; the others when a hand comes near
    }
  }, {rootMargin: "300px"}).observe(film);
}

// A slider with many steps can play through them, once; any touch of a control ends it. Nothing moves by itself.
function addPlay(film, slider, controls, show) {
  if (slider.type !== "range" || slider.max < 7) return;
  const button = document.createElement("button");
  let timer = 0;
  button.type = "button";
  button.className = "film-play";
  const label = slider.labels[0].textContent;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "▶";
    button.setAttribute("aria-label", `Play: ${label}`);
  };
  const step = () => {
    if (Number(slider.value) >= Number(slider.max)) return stop();
    slider.value = Number(slider.value) + 1;
    show();
  };
  stop();
  button.addEventListener("pointerenter", () => slider.dispatchEvent(new Event("pointerenter"))); // its frames are needed too
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) >= Number(slider.max)) { slider.value = 0; show(); }
    button.textContent = "❚❚";
    button.setAttribute("aria-label", `Pause: ${label}`);
    timer = setInterval(step, 150);
  });
  for (const control of controls) control.addEventListener("input", stop);
  film.querySelector(".film-controls").append(button);
}

for (const form of document.querySelectorAll("form.guess")) {
  const {kind, answer, unit} = form.dataset, status = form.querySelector("[role=status]");
  const slider = form.querySelector("input[type=range]");
  slider?.addEventListener("input", () => { form.querySelector("output").textContent = slider.value; });
  form.addEventListener("submit", event => {
    event.preventDefault();
    if (kind === "words") {
      const chosen = form.querySelector("input:checked")?.value;
      status.textContent = `It is ${answer}.` + (chosen === undefined ? "" : ` You guessed ${chosen}${chosen === answer ? ", too." : "."}`);
    } else {
      const number = answer.split(" ")[0], digits = (number.split(".")[1] ?? "").length;
      const apart = Number(number) - Number(slider.value);
      const more = Number(apart.toFixed(digits)) === 0 ? "" : `: ${Math.abs(apart).toFixed(digits)} ${apart > 0 ? "more" : "less"}`;
      status.textContent = `You guessed ${slider.value}${unit ? ` ${unit}` : ""}. It is ${answer}${more}.`;
    }
  });
}
