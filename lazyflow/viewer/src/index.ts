// What the bundle gives: the viewer, what the page needs to have it shown, and by default what a notebook needs.

import { render } from "./widget.ts";

export default { render };
export { pageAddress } from "./address.ts";
export type { Address } from "./address.ts";
export { mount } from "./mount.ts";
export type { MountOptions } from "./mount.ts";
export type { Connection, FileFormat, Listener, Transport } from "./transport.ts";
export { webSocketTransport } from "./websocket.ts";
