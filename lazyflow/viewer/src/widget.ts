// The viewer in a notebook: in a shadow root, so that neither's styles reach the other, as light or dark as the notebook.

import { channelTransport } from "./channel.ts";
import type { Model } from "./channel.ts";
import { mount } from "./mount.ts";
import { followScheme } from "./scheme.ts";

/** Show the widget in an element of the notebook; what is given takes it away again. */
export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const inside = document.createElement("div");
  const setHeight = (): void => void (inside.style.height = `${Number(model.get("height"))}px`);
  const host = document.createElement("div");
  host.className = "lf-widget";
  host.attachShadow({ mode: "open" }).append(inside);
  host.addEventListener("keydown", keepKey);
  el.replaceChildren(host);
  setHeight();
  model.on("change:height", setHeight);
  const unmount = mount(inside, channelTransport(model));
  const unfollow = followScheme(inside.firstElementChild as HTMLElement, host);
  return () => {
    model.off("change:height", setHeight);
    unfollow();
    unmount();
    host.remove();
  };
}

/** What is typed in the viewer is not for the notebook, whose keys add and delete cells; its commands stay its own. */
function keepKey(event: KeyboardEvent): void {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}
