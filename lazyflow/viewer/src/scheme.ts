// Whether a notebook is light or dark, which each says in its own way: as what is behind the widget.

/** Let the element be as light or dark as what is behind it, now and when that changes; what is given ends it. */
export function followScheme(element: HTMLElement, host: HTMLElement): () => void {
  const follow = (): void => {
    const scheme = schemeBehind(host);
    if (element.style.colorScheme !== scheme) element.style.colorScheme = scheme;
  };
  // A theme is an attribute of the document's outermost elements, or a style sheet of its head.
  const observer = new MutationObserver(() => requestAnimationFrame(follow));
  observer.observe(document.documentElement, { attributes: true });
  observer.observe(document.body, { attributes: true });
  observer.observe(document.head, { childList: true });
  const preference = matchMedia("(prefers-color-scheme: dark)");
  preference.addEventListener("change", follow);
  follow();
  return () => {
    observer.disconnect();
    preference.removeEventListener("change", follow);
  };
}

/** Light or dark as the first background that is not transparent; where there is none, as the system. */
function schemeBehind(host: HTMLElement): string {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  for (let at: Element | null = host; at && pixel; at = parentOf(at)) {
    // A colour is written in many ways (`rgb`, `oklch`, ...): what is painted with it is numbers from 0 to 255.
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = getComputedStyle(at).backgroundColor;
    pixel.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pixel.getImageData(0, 0, 1, 1).data as unknown as [
      number,
      number,
      number,
      number,
    ];
    if (alpha > 127) return 0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "dark" : "light";
  }
  return "light dark";
}

function parentOf(element: Element): Element | null {
  const root = element.getRootNode();
  return element.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
}
