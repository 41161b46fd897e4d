// Draws the chain's thumbnails. A press on one tells the server to show that picture.
// Must not know what the pictures are for.

const strip = element.querySelector(".ip-chain");

function draw() {
  const links = props.links ?? [];
  strip.replaceChildren(...(links.length > 1 ? links.map(thumbnail) : []));
  mark();
  strip.scrollLeft = strip.scrollWidth;
}

function thumbnail({ number, label, url }) {
  const button = document.createElement("button");
  const image = document.createElement("img");
  const name = document.createElement("span");
  button.type = "button";
  button.dataset.number = number;
  Object.assign(image, { src: url, alt: "", draggable: false });
  name.textContent = label;
  button.append(image, name);
  button.addEventListener("click", () => trigger("choose", { number }));
  return button;
}

// Marks the shown picture without building the buttons again, so that the focus stays where it is.
function mark() {
  for (const button of strip.children) button.setAttribute("aria-pressed", Number(button.dataset.number) === props.shown);
}

watch("links", draw);
watch("shown", mark);
draw();
